/**
 * The module graph of this repository as `deno info` reports it: type-only and dynamic imports included.
 *
 * @module
 */
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** One import of one file. */
export interface Import {
  /** Relative to the root with `/`, or `npm:name` or `node:name`. */
  readonly target: string;
  readonly kind: "code" | "type" | "dynamic";
}

/** Each file (relative to the root) with its imports, sorted by path. */
export type ModuleGraph = ReadonlyMap<string, readonly Import[]>;

interface DenoInfo {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string; readonly error?: string };
      readonly type?: { readonly specifier?: string; readonly error?: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

/** Every `.ts` and `.tsx` file below `folder`, relative to `root`, sorted. */
export async function findSources(root: string, folder: string): Promise<string[]> {
  const files: string[] = [];
  const walk = async (at: string) => {
    for await (const entry of Deno.readDir(join(root, at))) {
      const path = `${at}/${entry.name}`;
      if (entry.isDirectory) await walk(path);
      else if (/\.tsx?$/.test(path)) files.push(path);
    }
  };
  try {
    await walk(folder);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort();
}

/** True for files that ship: neither tests nor what tests alone use. */
export function isProduct(path: string): boolean {
  return !/_test\.tsx?$/.test(path);
}

/** Reads the graph that starts at `files`; throws Error when a file can't be parsed or found. */
export async function readGraph(root: string, files: readonly string[]): Promise<ModuleGraph> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const imports = files.map((file) => `import "${pathToFileURL(join(root, file)).href}";\n`);
    await Deno.writeTextFile(entry, imports.join(""));
    const info = await denoInfo(root, entry);
    return toGraph(info, { root, entry });
  } finally {
    await Deno.remove(entry);
  }
}

async function denoInfo(root: string, entry: string): Promise<DenoInfo> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-lock", "--config", join(root, "deno.json"), entry],
    cwd: root,
    stdin: "null",
  }).output();
  if (!success) {
    throw new Error(`Cannot read the module graph: ${new TextDecoder().decode(stderr)}`);
  }
  return JSON.parse(new TextDecoder().decode(stdout));
}

function toGraph(
  info: DenoInfo,
  place: { readonly root: string; readonly entry: string },
): ModuleGraph {
  const graph = new Map<string, readonly Import[]>();
  for (const module of info.modules) {
    if (module.error !== undefined) throw new Error(`Cannot read module: ${module.error}`);
    const path = pathOf(module.specifier, place.root);
    if (path.startsWith("npm:") || path.startsWith("node:")) continue;
    if (module.specifier === pathToFileURL(place.entry).href) continue;
    graph.set(
      path,
      (module.dependencies ?? []).map((dependency) => importOf(dependency, place.root)),
    );
  }
  return new Map([...graph].sort(([a], [b]) => a < b ? -1 : 1));
}

function importOf(
  dependency: NonNullable<DenoInfo["modules"][number]["dependencies"]>[number],
  root: string,
): Import {
  const resolved = dependency.code?.specifier ?? dependency.type?.specifier;
  const kind = dependency.isDynamic === true ? "dynamic" : dependency.code ? "code" : "type";
  return { target: pathOf(resolved ?? dependency.specifier, root), kind };
}

/** `npm:/hono@4.13.19/streaming` and `npm:hono@4.13.19/streaming` both become `npm:hono`. */
function pathOf(specifier: string, root: string): string {
  if (specifier.startsWith("npm:")) {
    const name = /^npm:\/?((?:@[^/]+\/)?[^@/]+)/.exec(specifier)?.[1];
    return `npm:${name ?? specifier}`;
  }
  if (!specifier.startsWith("file:")) return specifier;
  return relative(root, fileURLToPath(specifier)).replaceAll("\\", "/");
}
