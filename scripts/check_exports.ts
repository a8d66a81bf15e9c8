/**
 * Finds exports that nobody imports, and values that only tests use. Values must be imported by another file; a type may also
 * serve its own file, or stand in a folder's `mod.ts` so that the face is whole. What a test looks at behind a face must at least
 * serve the file it stands in.
 *
 * @module
 */
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { findSources } from "./checks/module_graph.ts";

/** Path relative to the root and text of each file. */
export type SourceTexts = ReadonlyMap<string, string>;

interface Exported {
  readonly name: string;
  readonly kind: "value" | "type" | "reexport";
}

/** What one file takes from another; `"*"` stands for everything. */
interface Taken {
  readonly target: string;
  readonly name: string;
}

/** Every finding as one line. Only files below `src` are asked; every given file counts as importer. */
export function checkExports(given: SourceTexts): string[] {
  const sources = new Map(
    [...given].map(([path, text]) => [path, withStarsNamed(path, text, given)]),
  );
  const taken = takenByAll(sources);
  const product = new Map([...sources].filter(([path]) => isShipped(path)));
  const takenByProduct = takenByAll(product);
  return [...product].filter(([path]) => path.startsWith("src/")).flatMap(([path, text]) => {
    const place = { path, source: withoutComments(text), sources };
    return exportsOf(place.source).flatMap((exported) => {
      const { name } = exported;
      if (!isTaken(taken, path, name)) {
        return isExcused(exported, place) ? [] : [`${path}: nobody imports "${name}"`];
      }
      const serves = isTaken(takenByProduct, path, name) || servesProduct(exported, place);
      return serves ? [] : [`${path}: only tests use "${name}"`];
    });
  });
}

/** The text with each `export *` as the list of names that it stands for, so that every one of them is asked for. */
function withStarsNamed(path: string, text: string, sources: SourceTexts): string {
  return text.replaceAll(/^export \* from "([^"]+)";$/gm, (star, specifier: string) => {
    const target = join(dirname(path), specifier).replaceAll("\\", "/");
    const behind = sources.get(target);
    if (behind === undefined) return star;
    const names = exportsOf(withoutComments(behind)).map(({ name }) => name);
    return `export { ${names.join(", ")} } from "${specifier}";`;
  });
}

/** Neither tests nor what only they import. Scripts and benches are used by people. */
function isShipped(path: string): boolean {
  return !path.startsWith("tests/") && !path.endsWith("_test.ts");
}

function takenByAll(sources: SourceTexts): Set<string> {
  const taken = new Set<string>();
  for (const [path, text] of sources) {
    for (const { target, name } of takenBy(path, withoutComments(text))) {
      taken.add(`${target}#${name}`);
    }
  }
  return taken;
}

function isTaken(taken: ReadonlySet<string>, path: string, name: string): boolean {
  return taken.has(`${path}#${name}`) || taken.has(`${path}#*`);
}

/** A declaration that its own file uses; a type, which costs nothing. Tests go to that file, not through a face. */
function servesProduct(
  exported: Exported,
  place: { readonly path: string; readonly source: string; readonly sources: SourceTexts },
): boolean {
  if (exported.kind === "reexport") return isTypeBehind(exported.name, place);
  return exported.kind === "type" || occursAgain(exported.name, place.source);
}

function occursAgain(name: string, source: string): boolean {
  return [...source.matchAll(new RegExp(`\\b${name}\\b`, "g"))].length > 1;
}

function isExcused(
  exported: Exported,
  place: { readonly path: string; readonly source: string; readonly sources: SourceTexts },
): boolean {
  if (exported.kind === "type") {
    return occursAgain(exported.name, place.source);
  }
  return exported.kind === "reexport" && isTypeBehind(exported.name, place);
}

/** Whether a re-exported name is a type where it is declared. */
function isTypeBehind(
  name: string,
  place: { readonly path: string; readonly source: string; readonly sources: SourceTexts },
): boolean {
  const origin = takenBy(place.path, place.source).find((row) => row.name === name);
  const text = origin && place.sources.get(origin.target);
  if (origin === undefined || text === undefined) return false;
  const source = withoutComments(text);
  const declared = exportsOf(source).find((exported) => exported.name === name);
  if (declared?.kind !== "reexport") return declared?.kind === "type";
  return isTypeBehind(name, { path: origin.target, source, sources: place.sources });
}

const DECLARED =
  /^export (?:declare )?(?:default )?(?:abstract )?(?:async )?(function\*?|class|const|let|interface|type) (\w+)/gm;
const LISTED = /^export (?:type )?\{([^}]*)\}/gm;

function exportsOf(source: string): Exported[] {
  const exported: Exported[] = [];
  for (const [, keyword, name = ""] of source.matchAll(DECLARED)) {
    exported.push({ name, kind: keyword === "interface" || keyword === "type" ? "type" : "value" });
  }
  for (const [, list = ""] of source.matchAll(LISTED)) {
    for (const { outer } of namesIn(list)) exported.push({ name: outer, kind: "reexport" });
  }
  return exported;
}

const NAMED = /\b(?:import|export)\s+(?:type\s+)?\{([^}]*)\}\s*from\s*"([^"]+)"/g;
const WHOLE = /\b(?:import\s*\*\s*as\s+\w+\s+from|import\s*\()\s*"([^"]+)"/g;

function takenBy(path: string, source: string): Taken[] {
  const resolve = (specifier: string) =>
    normalize(join(dirname(path), specifier)).replaceAll("\\", "/");
  const taken: Taken[] = [];
  for (const [, list = "", specifier = ""] of source.matchAll(NAMED)) {
    for (const { inner } of namesIn(list)) taken.push({ target: resolve(specifier), name: inner });
  }
  for (const [, specifier = ""] of source.matchAll(WHOLE)) {
    taken.push({ target: resolve(specifier), name: "*" });
  }
  return taken;
}

/** `a, type b as c` → names inside the other file and outside. */
function namesIn(list: string): { readonly inner: string; readonly outer: string }[] {
  return list.split(",").map((part) => part.trim().replace(/^type\s+/, ""))
    .filter((part) => part !== "")
    .map((part) => {
      const [inner = "", outer = inner] = part.split(/\s+as\s+/);
      return { inner, outer };
    });
}

function withoutComments(text: string): string {
  return text.replaceAll(/^\s*\/\*\*?[\s\S]*?\*\//gm, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

async function readSources(root: string): Promise<SourceTexts> {
  const folders = ["src", "tests", "scripts", "bench"];
  const paths = (await Promise.all(folders.map((folder) => findSources(root, folder)))).flat();
  const sources = new Map<string, string>();
  for (const path of [...paths, "main.ts"]) {
    sources.set(path, await Deno.readTextFile(join(root, path)));
  }
  return sources;
}

if (import.meta.main) {
  const findings = checkExports(
    await readSources(dirname(dirname(fileURLToPath(import.meta.url)))),
  );
  for (const finding of findings) console.error(finding);
  console.log(`exports: ${findings.length} findings`);
  if (findings.length > 0) Deno.exit(1);
}
