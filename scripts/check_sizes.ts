/**
 * Checks the sizes of files and folders, and that nothing else appears at the root. Functions and nesting are
 * `lint/sizes.ts`'s matter.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findSources, isProduct } from "./checks/module_graph.ts";
import { SIZE_EXCEPTIONS, type SizeExceptions } from "./checks/size_exceptions.ts";

/** Lines of one file, tests included. */
const FILE_LINES_MAX = 800;
/** Sources directly in one folder, tests apart. */
const FOLDER_SOURCES_MAX = 15;
/** The folder where parts meet, and its lines with all below it, tests apart: it wires, and what decides is another's. */
const WIRING = { folder: "src/node/", linesMax: 2_300 };
/** Folders below `src` inside each other. */
const SOURCE_DEPTH_MAX = 2;

const CHECKED_FOLDERS = ["src", "tests", "scripts", "bench"];

const ROOT_ENTRIES = new Set([
  ...CHECKED_FOLDERS,
  "docs",
  "deploy",
  "deno.json",
  "deno.lock",
  "main.ts",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
]);

/** One checked file. */
export interface SizedFile {
  /** Relative to the root, with `/`. */
  readonly path: string;
  readonly lines: number;
}

/** Every finding as one line, empty when all is well. */
export function checkSizes(files: readonly SizedFile[], exceptions: SizeExceptions): string[] {
  return [
    ...findLongFiles(files, exceptions),
    ...findFullFolders(files, exceptions),
    ...findDeepFiles(files),
    ...findWiring(files),
  ];
}

/** Names at the root that the layout does not know; dotfiles are free. */
export function checkRoot(tracked: readonly string[]): string[] {
  const entries = new Set(tracked.map((path) => path.split("/")[0] ?? path));
  return [...entries].filter((name) => !name.startsWith(".") && !ROOT_ENTRIES.has(name)).sort()
    .map((name) => `${name}: must not be at the root`);
}

function findLongFiles(files: readonly SizedFile[], exceptions: SizeExceptions): string[] {
  const findings = files.flatMap(({ path, lines }) => {
    const row = exceptions.files.find((exception) => exception.file === path);
    return compare(path, {
      actual: lines,
      max: FILE_LINES_MAX,
      excepted: row?.lines,
      unit: "lines",
    });
  });
  const paths = new Set(files.map((file) => file.path));
  const stale = [...exceptions.files, ...exceptions.functions].filter((row) =>
    !paths.has(row.file)
  );
  return [...findings, ...stale.map((row) => `${row.file}: is gone; delete its exception`)];
}

function findFullFolders(files: readonly SizedFile[], exceptions: SizeExceptions): string[] {
  const counts = new Map<string, number>();
  for (const { path } of files.filter((file) => isProduct(file.path))) {
    counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  }
  return [...counts].flatMap(([folder, actual]) => {
    // A scenario per file is the rule in tests.
    if (folder.startsWith("tests/")) return [];
    const row = exceptions.folders.find((exception) => exception.folder === folder);
    return compare(folder, {
      actual,
      max: FOLDER_SOURCES_MAX,
      excepted: row?.sources,
      unit: "sources",
    });
  });
}

function findDeepFiles(files: readonly SizedFile[]): string[] {
  return files.filter(({ path }) => /^src\/.*\.tsx?$/.test(path))
    .filter(({ path }) => path.split("/").length - 2 > SOURCE_DEPTH_MAX)
    .map(({ path }) => `${path}: lies deeper than ${SOURCE_DEPTH_MAX} folders below src`);
}

function findWiring(files: readonly SizedFile[]): string[] {
  const { folder, linesMax } = WIRING;
  const actual = files.filter(({ path }) => path.startsWith(folder) && isProduct(path))
    .reduce((sum, { lines }) => sum + lines, 0);
  return compare(folder, { actual, max: linesMax, excepted: undefined, unit: "lines" });
}

function compare(
  subject: string,
  size: {
    readonly actual: number;
    readonly max: number;
    readonly excepted: number | undefined;
    readonly unit: string;
  },
): string[] {
  const allowed = size.excepted ?? size.max;
  if (size.actual > allowed) {
    return [`${subject}: has ${size.actual} ${size.unit}, at most ${allowed} are allowed`];
  }
  return size.excepted !== undefined && size.actual < size.excepted
    ? [`${subject}: has ${size.actual} ${size.unit}; lower or delete its exception`]
    : [];
}

async function readSizes(root: string): Promise<SizedFile[]> {
  const paths = (await Promise.all(CHECKED_FOLDERS.map((folder) => findSources(root, folder))))
    .flat();
  return await Promise.all(paths.map(async (path) => {
    const text = await Deno.readTextFile(join(root, path));
    return { path, lines: text.split("\n").length - 1 };
  }));
}

async function findTracked(root: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", { args: ["ls-files"], cwd: root }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((path) => path !== "");
}

if (import.meta.main) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const findings = [
    ...checkSizes(await readSizes(root), SIZE_EXCEPTIONS),
    ...checkRoot(await findTracked(root)),
  ];
  for (const finding of findings) console.error(finding);
  console.log(`sizes: ${findings.length} findings`);
  if (findings.length > 0) Deno.exit(1);
}
