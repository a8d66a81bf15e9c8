/**
 * Builds the libraries that none of the npm packages has, libggml-rpc and libmtmd, from llama.cpp's sources inside the
 * npm package of the same release, into a folder that git ignores. Wants git, cmake and a C++ compiler (`CC` and `CXX`
 * choose another); takes two minutes of a processor, once.
 *
 * Usage: `deno task natives [--if-possible] [--out FOLDER]`. With `--if-possible` a missing tool is told and not a
 * failure.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  NATIVE_RELEASE,
  nativePackage,
  OWN_NATIVES_LIST,
  ownNativesCache,
  packageFolder,
} from "../../src/inference/launch/mod.ts";

/** The release of llama.cpp in the packages. `src/inference/llama/abi.ts` has its layouts. */
const LLAMA_RELEASE = "0.4.0";
/** Of the npm package with the sources, as the registry tells it. */
const SOURCES_SHA512 =
  "E3N0Ev2Va0wzydvXYFwM9Hvyo07PoWjt8T/9GMc43Cvt8YkV/NU/tYUgEMC1grTPv2o9PRjQi0G3Wb5P/awiMg==";
/** npm itself, run by Deno: it knows the user's registry, proxies and credentials. */
const NPM = "npm:npm@11.6.2";
const LIBRARY = /^(?:lib)?(?:ggml-rpc|mtmd)\.(?:so|dylib|dll)$/;

const HERE = dirname(fileURLToPath(import.meta.url));
const RECIPE = join(HERE, "natives");

/** Builds into `folder` unless the very same was built there before; tells which. */
async function buildNatives(folder: string): Promise<"built" | "there already"> {
  const recipes = ["CMakeLists.txt", "mtmd_memory.cpp", "quiet_stdout.h"].map((name) =>
    Deno.readFile(join(RECIPE, name))
  );
  const digests = (await Promise.all(recipes)).map((bytes) => digestOf("sha256", bytes, "hex"));
  const mark = [NATIVE_RELEASE, ...digests].join(" ");
  if (await isBuilt(folder, mark)) return "there already";
  const work = await Deno.makeTempDir({ prefix: "odist-natives-" });
  try {
    const sources = await fetchSources(work);
    const built = join(work, "build");
    const natives = await packageFolder(nativePackage());
    await run("cmake", [
      ...["-S", RECIPE, "-B", built, "-DCMAKE_BUILD_TYPE=Release"],
      ...Deno.build.os === "windows" ? ["-G", "Ninja"] : [],
      ...Object.entries({ SOURCES: sources, NATIVES: natives, RELEASE: LLAMA_RELEASE })
        .map(([name, value]) => `-DLLAMA_${name}=${value.replaceAll("\\", "/")}`),
    ]);
    await run("cmake", ["--build", built, "--parallel", String(navigator.hardwareConcurrency)]);
    await install(built, folder, mark);
    return "built";
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** The folder in `work` of llama.cpp's sources, from the bundle of git in the package. */
export async function fetchSources(work: string): Promise<string> {
  const spec = `node-llama-cpp@${NATIVE_RELEASE}`;
  await run(Deno.execPath(), ["run", "-A", "--no-lock", NPM, "pack", "--silent", spec], work);
  const archive = `node-llama-cpp-${NATIVE_RELEASE}.tgz`;
  const digest = digestOf("sha512", await Deno.readFile(join(work, archive)), "base64");
  if (digest !== SOURCES_SHA512) {
    throw new Error(`Cannot trust ${archive}: wanted SHA-512 ${SOURCES_SHA512}, got ${digest}`);
  }
  const bundle = "package/llama/gitRelease.bundle";
  await run("tar", ["-xzf", archive, bundle], work);
  await run("git", ["clone", "--quiet", "--config=advice.detachedHead=false", bundle, "src"], work);
  return join(work, "src");
}

/** Puts the libraries in place, and then the list that says they are whole. */
async function install(built: string, folder: string, mark: string): Promise<void> {
  // In its place all at once: runners start meanwhile.
  const unfinished = `${folder}.unfinished`;
  await removeFolder(unfinished);
  await Deno.mkdir(unfinished, { recursive: true });
  const list: Record<string, string> = {};
  for (const { name } of Deno.readDirSync(built)) {
    if (!LIBRARY.test(name)) continue;
    const bytes = await Deno.readFile(join(built, name));
    await Deno.writeFile(join(unfinished, name), bytes);
    list[name] = digestOf("sha256", bytes, "hex");
  }
  if (Object.keys(list).length !== 2) throw new Error(`cmake built ${Object.keys(list)}`);
  await Deno.writeTextFile(
    join(unfinished, OWN_NATIVES_LIST),
    JSON.stringify(list, null, 2) + "\n",
  );
  await removeFolder(folder);
  await Deno.rename(unfinished, folder);
  await Deno.writeTextFile(markOf(folder), mark);
}

async function isBuilt(folder: string, mark: string): Promise<boolean> {
  try {
    return await Deno.readTextFile(markOf(folder)) === mark;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function removeFolder(folder: string): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Beside the folder: in it lies only what is packed. */
function markOf(folder: string): string {
  return `${folder}.built`;
}

function digestOf(kind: "sha256" | "sha512", bytes: Uint8Array, as: "hex" | "base64"): string {
  return createHash(kind).update(bytes).digest(as);
}

/** Runs a program to its end; what it said is told when it fails. */
async function run(program: string, args: readonly string[], cwd?: string): Promise<void> {
  const command = new Deno.Command(program, {
    args: [...args],
    ...cwd === undefined ? {} : { cwd },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  if (success) return;
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
  throw new Error(`${program} ${args.join(" ")} failed:\n${said.slice(-4_000)}`);
}

/** The tools that aren't there. */
async function missingTools(): Promise<string[]> {
  const compiler = (Deno.env.get("CXX") ?? "c++").split(" ")[0] ?? "c++";
  const missing: string[] = [];
  for (const tool of ["git", "tar", "cmake", compiler]) {
    try {
      await run(tool, ["--version"]);
    } catch {
      missing.push(tool);
    }
  }
  return missing;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { out: { type: "string" }, "if-possible": { type: "boolean", default: false } },
  });
  const folder = values.out ?? ownNativesCache(dirname(dirname(HERE)));
  const missing = await missingTools();
  if (missing.length > 0) {
    const text = `Cannot build llama.cpp's further libraries: there is no ${missing.join(", ")}`;
    console.error(`${text}. On Debian: apt-get install git cmake g++`);
    Deno.exit(values["if-possible"] ? 0 : 1);
  }
  console.log(`${folder}: ${await buildNatives(folder)}`);
}
