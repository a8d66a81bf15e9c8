/**
 * Makes the page's files of `src/ui`: its scripts and one style sheet, by Deno's own bundler. `deno task ui` does so unless
 * they are there and current.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { runDeno } from "./run_deno.ts";

/** Where they come to lie, from the root. */
export const PAGE_FOLDER = "dist/ui";
const SOURCE_FOLDER = "src/ui";
/** Its scripts, by where each begins. */
export const PAGE_SCRIPTS: Readonly<Record<string, string>> = {
  "page.js": "src/ui/mod.ts",
  "replayer.js": "src/ui/replayer/main.ts",
};
/** Below these lies everything that it is made of, but for packages. */
export const READ_FOLDERS: readonly string[] = [
  SOURCE_FOLDER,
  "src/models/modelfile",
  "src/incidents/replaying",
  "src/core",
  "src/ports",
  "src/protocol",
  "src/base",
];
/** Plain files that go along as they are. */
const PLAIN_FILES = ["index.html", "page.css"];
/** What besides the sources says what comes out. */
const ALSO_READ = ["deno.json", "deno.lock"];
/** Names the sources that the page was made of. */
const STAMP_FILE = "sources.sha256";

/** Everything that a browser fetches to show the page, as gzip makes it. */
export const PAGE_BYTES_MAX = 250 * 1024;

/** What came of it. */
export interface BuiltPage {
  readonly folder: string;
  /** False: it was there already, and of these sources. */
  readonly isNew: boolean;
  /** As gzip makes it. */
  readonly bytes: number;
}

/**
 * Makes the page unless it is there and made of these very sources.
 *
 * @throws Error with the bundler's words; RangeError where it comes out larger than {@link PAGE_BYTES_MAX}.
 */
export async function buildPage(root: string): Promise<BuiltPage> {
  const folder = join(root, PAGE_FOLDER);
  const digest = await digestOfSources(root);
  if (await isMadeOf(folder, digest)) {
    return { folder, isNew: false, bytes: await gzippedBytes(folder) };
  }
  await Deno.mkdir(dirname(folder), { recursive: true });
  // Who wants it meanwhile waits, and then finds it there.
  using lock = await Deno.open(`${folder}.lock`, { write: true, create: true });
  await lock.lock(true);
  const isNew = !await isMadeOf(folder, digest);
  if (isNew) await bundle(root, folder);
  const bytes = await gzippedBytes(folder);
  if (bytes > PAGE_BYTES_MAX) {
    throw new RangeError(
      `The page must have at most ${PAGE_BYTES_MAX} bytes, gzipped: current value is ${bytes}`,
    );
  }
  // Last, so that what was broken off is made again.
  if (isNew) await Deno.writeTextFile(join(folder, STAMP_FILE), digest);
  return { folder, isNew, bytes };
}

async function isMadeOf(folder: string, digest: string): Promise<boolean> {
  return await readOrEmpty(join(folder, STAMP_FILE)) === digest;
}

async function bundle(root: string, folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, entry] of Object.entries(PAGE_SCRIPTS)) {
    const output = ["--minify", "--output", join(folder, name)];
    await runDeno(root, ["bundle", "--quiet", "--platform=browser", ...output, entry]);
  }
  for (const name of PLAIN_FILES) {
    await Deno.copyFile(join(root, SOURCE_FOLDER, name), join(folder, name));
  }
}

async function gzippedBytes(folder: string): Promise<number> {
  const sizes = [...PLAIN_FILES, ...Object.keys(PAGE_SCRIPTS)].map(async (name) =>
    gzipSync(await Deno.readFile(join(folder, name))).length
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** SHA-256 in hex over every source of the page, tests apart, and what names the packages. */
async function digestOfSources(root: string): Promise<string> {
  const hash = createHash("sha256");
  const sources = await Promise.all(READ_FOLDERS.map((folder) => sourcesBelow(root, folder)));
  for (const path of [...sources.flat(), ...ALSO_READ]) {
    const bytes = await Deno.readFile(join(root, path));
    hash.update(`${path} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}

async function sourcesBelow(root: string, folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    const path = `${folder}/${name}`;
    if (isDirectory) paths.push(...await sourcesBelow(root, path));
    else if (!/_test\.tsx?$/.test(name)) paths.push(path);
  }
  return paths.sort();
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

if (import.meta.main) {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { folder, isNew, bytes } = await buildPage(root);
  if (isNew) console.error(`${folder}: ${(bytes / 1024).toFixed(1)} KiB gzipped`);
}
