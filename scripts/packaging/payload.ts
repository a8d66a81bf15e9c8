/**
 * Gathers what goes into a self-extracting `odist`: the pinned Deno, the bundled program, llama.cpp for this platform,
 * the tiny model and everybody's licence.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  checkOwnNatives,
  findOwnNativeFolder,
  NATIVE_RELEASE,
  nativePackage,
  packageFolder,
  refuseOther,
} from "../../src/inference/launch/mod.ts";
import { BOOT } from "./boot.ts";
import { PAGE_FOLDER } from "./page.ts";
import { readLicenses } from "./licenses.ts";
import { runDeno } from "./run_deno.ts";
import type { TarFile } from "./tar.ts";

/** GPU libraries that can be added to the CPU ones. */
export type Gpu = "cuda" | "vulkan";

/** What is packed. */
export interface PayloadOptions {
  readonly root: string;
  /** Empty folder for intermediate files. */
  readonly workFolder: string;
  readonly gpu: Gpu | undefined;
}

/** The files of the archive, sorted by path, with their manifest. */
export async function gatherPayload(options: PayloadOptions): Promise<TarFile[]> {
  const files = [
    { path: "deno", bytes: await Deno.readFile(Deno.execPath()), executable: true },
    ...await bundleProgram(options),
    ...await readNativeLibraries(options.gpu),
    ...await readOwnLibraries(),
    await plain("models/tiny.gguf", join(options.root, "src/models/embedded/tiny.gguf")),
    ...await readFolder(join(options.root, PAGE_FOLDER), "ui/"),
    bootFile(),
    await plain("install.ts", fileURLToPath(new URL("./install.ts", import.meta.url))),
    ...await readLicenses(options.root),
  ];
  return withManifest(files);
}

/** The module that an unpacked copy starts at. */
export function bootFile(): TarFile {
  return { path: "boot.js", bytes: new TextEncoder().encode(`${BOOT}\n`), executable: false };
}

/** The files sorted by path, and the manifest that `install.ts` checks them against. */
export function withManifest(files: readonly TarFile[]): TarFile[] {
  const sorted = [...files].sort((a, b) => a.path < b.path ? -1 : 1);
  return [...sorted, manifestOf(sorted)];
}

/** First half of the SHA-256 over the manifest, so over every file. */
export function payloadDigest(files: readonly TarFile[]): string {
  const manifest = files.find((file) => file.path === "manifest.json");
  if (manifest === undefined) throw new TypeError("Cannot name payload: wanted manifest.json");
  return createHash("sha256").update(manifest.bytes).digest("hex").slice(0, 32);
}

/** The npm packages with llama.cpp for this machine, without their scope; throws UnavailableError where there are none. */
function nativePackages(gpu: Gpu | undefined): string[] {
  const platform = nativePackage();
  return gpu === undefined ? [platform] : [platform, `${platform}-${gpu}`];
}

/** What `deno compile` takes along. */
export function nativeSpecifiers(gpu: Gpu | undefined): string[] {
  return nativePackages(gpu).map((name) => `npm:@node-llama-cpp/${name}@${NATIVE_RELEASE}`);
}

/** Modules that some process starts at, or loads by a computed name; the bundle keeps their places. */
const PROGRAM_ENTRIES = [
  "main.ts",
  "src/inference/launch/main.ts",
  "src/inference/confined/main.ts",
  "src/inference/confined/mod.ts",
  "src/inference/webp/main.ts",
  "src/models/template_worker/main.ts",
];

async function bundleProgram({ root, workFolder }: PayloadOptions): Promise<TarFile[]> {
  const outFolder = join(workFolder, "program");
  await runDeno(root, [
    "bundle",
    "--quiet",
    // Chunks keep dynamic imports lazy: a runner must not load the node, nor `version` the engine.
    "--code-splitting",
    // Half as much to hash, read and set up at each start; names stay, so that a trace still says what ran.
    "--minify",
    "--keep-names",
    "--external=npm:@node-llama-cpp/*",
    "--outdir",
    outFolder,
    ...PROGRAM_ENTRIES,
  ]);
  return withOwnRequire(await readProgram(outFolder, ""));
}

/** What the bundler writes where CommonJS packages ask for Node's modules, which nothing answers in an ES module. */
const FOREIGN_REQUIRE = /\(\w+=>typeof require<"u"\?.+?is not supported'\)\}\)/;
const OWN_REQUIRE = "(name=>process.getBuiltinModule(name))";

/**
 * Lets packages find Node's modules when they ask, and not before: the module where this stands is every process's, and a
 * runner or a template worker needs nothing of Node, whose setting up takes as long as the rest of their start.
 *
 * @throws TypeError when the bundler writes it another way than is known here.
 */
export function withOwnRequire(files: readonly TarFile[]): TarFile[] {
  const texts = files.map(({ bytes }) => new TextDecoder().decode(bytes));
  const asking = texts.filter((text) => FOREIGN_REQUIRE.test(text));
  const strange = texts.some((text) =>
    /createRequire|Dynamic require/.test(text.replace(FOREIGN_REQUIRE, ""))
  );
  if (asking.length !== 1 || strange) {
    throw new TypeError(
      `Cannot pack the program: wanted one file with the bundler's usual require, found ${asking.length}`,
    );
  }
  return files.map((file, index) => {
    const text = texts[index] ?? "";
    if (!FOREIGN_REQUIRE.test(text)) return file;
    return { ...file, bytes: new TextEncoder().encode(text.replace(FOREIGN_REQUIRE, OWN_REQUIRE)) };
  });
}

/** @throws UnavailableError `load_failed` when one isn't the file whose SHA-256 stands in the source. */
async function readNativeLibraries(gpu: Gpu | undefined): Promise<TarFile[]> {
  const files: TarFile[] = [];
  for (const name of nativePackages(gpu)) {
    files.push(...await readFolder(await packageFolder(name), "native/"));
  }
  for (const { path, bytes } of files) {
    refuseOther({ name: basename(path), path }, createHash("sha256").update(bytes).digest("hex"));
  }
  // The addon for Node is the one library that nothing here opens.
  return files.filter((file) => basename(file.path) !== "llama-addon.node");
}

/**
 * What `deno task natives` built; none where it didn't: a program without them says what it can't do.
 *
 * @throws UnavailableError `load_failed` when one isn't the file that was built.
 */
async function readOwnLibraries(): Promise<TarFile[]> {
  const folder = findOwnNativeFolder();
  if (folder === "") return [];
  await checkOwnNatives(folder, undefined);
  return await readFolder(folder, "own-native/");
}

async function readProgram(folder: string, prefix: string): Promise<TarFile[]> {
  const files = await readFolder(folder, prefix);
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) files.push(...await readProgram(join(folder, name), `${prefix}${name}/`));
  }
  return files;
}

async function readFolder(folder: string, prefix: string): Promise<TarFile[]> {
  const files: TarFile[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile) files.push(await plain(prefix + entry.name, join(folder, entry.name)));
  }
  return files;
}

async function plain(path: string, source: string): Promise<TarFile> {
  return { path, bytes: await Deno.readFile(source), executable: false };
}

function manifestOf(files: readonly TarFile[]): TarFile {
  const rows = files.map(({ path, bytes }) => ({
    path,
    bytes: bytes.length,
    digest: createHash("sha256").update(bytes).digest("hex"),
  }));
  const text = JSON.stringify({ files: rows }, null, 1) + "\n";
  return { path: "manifest.json", bytes: new TextEncoder().encode(text), executable: false };
}
