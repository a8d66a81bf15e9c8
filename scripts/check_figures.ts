/**
 * Checks what the pages below `docs` and the README say of the source: that the figures are those of the constants they name,
 * and that the files they name are there.
 *
 * A row of a table with the columns `limit` and `constants` names its constants in the latter. Elsewhere a comment in or
 * behind a paragraph, list or table does: `<!-- figures: NAME, file.ts NAME, NAME.field, --option, NAME * NAME -->`. Times and
 * sizes that no constant holds, such as measured ones, stand in a comment of the kind `<!-- not of the source: 40 ms -->`.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { OPTIONS, type OptionSpec } from "../src/config/mod.ts";
import { findSources, isProduct } from "./checks/module_graph.ts";
import { type Figure, figuresIn, says } from "./checks/page_figures.ts";
import { SourceConstants, type SourceNumber } from "./checks/source_constants.ts";

/** A page to check. */
export interface Page {
  /** Relative to the root. */
  readonly path: string;
  readonly text: string;
  /** Whether each time and each size must be of a constant, or be said not to be. */
  readonly isStrict: boolean;
}

/** What pages are checked against. */
export interface PageFacts {
  /** The value of a constant, an option's default, or a product of them; throws Error where there is none. */
  readonly numberOf: (name: string) => SourceNumber;
  /** Every file of the repository, relative to the root. */
  readonly files: readonly string[];
}

/** Consecutive lines, and the comments that belong to them. */
interface Block {
  readonly line: number;
  readonly text: string;
}

interface Finding {
  readonly line: number;
  readonly text: string;
}

/** A number with the name it is looked up by. */
type Named = SourceNumber & { readonly name: string };
type Look = PageFacts["numberOf"];

/** A file or folder of this repository, or a source's bare name. */
const NAMED_FILE = /^(?:(?:src|tests|scripts|bench|docs)\/[\w./*-]*|[\w/]+\.ts)$/;
const FOLDERS = ["src", "tests", "scripts", "bench", "docs"];
const STRICT_PAGES = ["README.md", "docs/ARCHITECTURE.md", "docs/CLUSTER.md", "docs/SECURITY.md"];
/** Made from the schema and from the commands, and checked as such. */
const UNCHECKED_PAGES = ["docs/CONFIG.md", "docs/CLI.md"];

/** Every finding as one line, empty when all is well. */
export function checkPages(pages: readonly Page[], facts: PageFacts): string[] {
  const look = facts.numberOf;
  return pages.flatMap((page) =>
    blocksOf(page.text).flatMap((block) => {
      const findings = isLimits(block)
        ? checkLimits(block, look)
        : checkBlock(block, { look, isStrict: page.isStrict });
      const missing = findMissingFiles(block, facts.files);
      return [...findings, ...missing].map(({ line, text }) => `${page.path}:${line}: ${text}`);
    })
  );
}

/** Consecutive lines without code; a comment that stands alone is part of what it stands behind. */
function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let lines: string[] = [];
  let isCode = false;
  const end = (line: number) => {
    const text = lines.join("\n");
    const before = blocks.at(-1);
    if (before !== undefined && /^<!--[^>]*-->$/.test(text)) {
      blocks[blocks.length - 1] = { ...before, text: `${before.text}\n${text}` };
    } else if (text.trim() !== "") blocks.push({ line: line - lines.length, text });
    lines = [];
  };
  for (const [index, line] of `${page}\n`.split("\n").entries()) {
    const isFence = /^ *```/.test(line);
    if (isFence) isCode = !isCode;
    if (line.trim() === "" || isFence || isCode) end(index + 1);
    else lines.push(line);
  }
  return blocks;
}

function isLimits({ text }: Block): boolean {
  const columns = cellsOf(text.split("\n")[0] ?? "");
  return columns.includes("limit") && columns.includes("constants");
}

function checkLimits({ line, text }: Block, look: Look): Finding[] {
  const [head = "", , ...rows] = text.split("\n");
  const columns = cellsOf(head);
  return rows.flatMap((row, index) => {
    const cells = cellsOf(row);
    const limit = cells[columns.indexOf("limit")] ?? "";
    const named = spansOf(cells[columns.indexOf("constants")] ?? "");
    const flags = spansOf(limit).filter((span) => span.startsWith("--"));
    const figures = figuresIn(limit);
    const held = numbersOf(named, look);
    const offered = numbersOf(flags, look);
    const texts = [
      ...held.problems,
      ...(named.length + flags.length === 0 ? ["no constant is named"] : []),
      ...unsaid(held.numbers, figures),
      ...unheld(figures.filter(({ form }) => form !== "word"), [
        ...held.numbers,
        ...offered.numbers,
      ]).map(unheldText),
    ];
    return texts.map((text) => ({ line: line + 2 + index, text: `${cells[0]}: ${text}` }));
  });
}

function checkBlock(
  { line, text }: Block,
  by: { readonly look: Look; readonly isStrict: boolean },
): Finding[] {
  const figures = figuresIn(text);
  const held = numbersOf(namesIn(text, "figures"), by.look);
  const excused = namesIn(text, "not of the source");
  const open = figures.filter(({ form, text }) => form === "unit" && !excused.includes(text));
  const problems = [
    ...held.problems,
    ...unsaid(held.numbers, figures),
    ...excused.filter((excuse) => !figures.some(({ text }) => text === excuse))
      .map((excuse) => `"${excuse}" is not written here: delete it from the comment`),
  ];
  const loose = by.isStrict ? unheld(open, held.numbers) : [];
  return [
    ...problems.map((problem) => ({ line, text: problem })),
    ...loose.map((figure) => ({
      line: line + text.slice(0, figure.at).split("\n").length - 1,
      text: unheldText(figure),
    })),
  ];
}

/** The names in comments of one kind. */
function namesIn(text: string, kind: "figures" | "not of the source"): string[] {
  return [...text.matchAll(/<!-- ([a-z ]+): (.*?) -->/gs)]
    .filter(([, of]) => of === kind)
    .flatMap(([, , names = ""]) => names.split(/,\s+/).map((name) => name.replaceAll(/\s+/g, " ")));
}

function numbersOf(
  names: readonly string[],
  look: Look,
): { readonly numbers: readonly Named[]; readonly problems: readonly string[] } {
  const numbers: Named[] = [];
  const problems: string[] = [];
  for (const name of names) {
    try {
      numbers.push({ ...look(name), name });
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { numbers, problems };
}

function unsaid(numbers: readonly Named[], figures: readonly Figure[]): string[] {
  return numbers.filter((number) => !figures.some((figure) => says(figure, number)))
    .map(({ name, value, dimension }) =>
      `${name} is ${value}${dimension === "time" ? " ms" : ""} in the source, and no figure says so`
    );
}

function unheld(figures: readonly Figure[], numbers: readonly Named[]): Figure[] {
  return figures.filter((figure) => !numbers.some((number) => says(figure, number)));
}

function unheldText({ text }: Figure): string {
  return `"${text}" is the value of no constant that is named`;
}

/** Files named in code spans and links: by their path, a folder of it, or their bare name. */
function findMissingFiles({ line, text }: Block, files: readonly string[]): Finding[] {
  const spans = spansOf(text).filter((span) => NAMED_FILE.test(span));
  return spans.filter((span) => !files.some(namedBy(span)))
    .map((span) => ({ line, text: `there is no ${span}` }));
}

/** Whether `span` names a file. Thousands are looked through for each span: a pattern only where there is need of one. */
function namedBy(span: string): (file: string) => boolean {
  const isWhole = /\.\w+$/.test(span);
  const end = `/${span}`;
  if (!span.includes("*")) {
    return isWhole
      ? (file) => file === span || file.endsWith(end)
      : (file) => file.startsWith(span) || file.includes(end);
  }
  const path = span.split("*").map(RegExp.escape).join("[^/]*");
  const pattern = new RegExp(`(^|/)${path}${isWhole ? "$" : ""}`);
  return (file) => pattern.test(file);
}

function cellsOf(row: string): string[] {
  return row.split("|").slice(1, -1).map((cell) => cell.trim());
}

function spansOf(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);
}

/** What options are by default, where that is a figure. */
function optionNumbers(): Map<string, SourceNumber> {
  const specs: readonly OptionSpec[] = Object.values(OPTIONS);
  return new Map(specs.flatMap((spec) => {
    const spaced = spec.default.replace(/^(\d+)([A-Za-z]+)$/, "$1 $2").replace(/ m$/, " minutes")
      .replace(/ h$/, " hours");
    const [figure, ...more] = figuresIn(spaced);
    return figure === undefined || more.length > 0 ? [] : [[`--${spec.flag}`, figure] as const];
  }));
}

/** Every file below `folder`, relative to `root`. */
async function filesIn(root: string, folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(join(root, folder)));
  const found = entries.map(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? filesIn(root, path) : [path];
  });
  return (await Promise.all(found)).flat();
}

/** The pages of this repository and what they are checked against. */
export async function readPages(): Promise<[readonly Page[], PageFacts]> {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const read = async (path: string) => [path, await Deno.readTextFile(join(root, path))] as const;
  const files = [
    "README.md",
    ...(await Promise.all(FOLDERS.map((it) => filesIn(root, it)))).flat(),
  ];
  const paths = files.filter((path) => /^(README|docs\/.*)\.md$/.test(path))
    .filter((path) => !UNCHECKED_PAGES.includes(path));
  const pages = (await Promise.all(paths.map(read)))
    .map(([path, text]) => ({ path, text, isStrict: STRICT_PAGES.includes(path) }));
  const sources = (await findSources(root, "src")).filter(isProduct);
  const constants = new SourceConstants(new Map(await Promise.all(sources.map(read))));
  const options = optionNumbers();
  return [pages, { numberOf: (name) => constants.numberOf(name, options), files }];
}

async function main(): Promise<number> {
  const [pages, facts] = await readPages();
  const findings = checkPages(pages, facts);
  for (const finding of findings) console.error(finding);
  console.log(`figures: ${findings.length} findings in ${pages.length} pages`);
  return findings.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
