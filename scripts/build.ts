/**
 * Makes `dist/odist`, one file that needs neither Deno nor Node: a self-extracting executable around the pinned Deno, and
 * on Windows, which has no shell to unpack it, what `deno compile` makes.
 *
 * Usage: `deno task build [--kind auto|compile|extract] [--gpu cuda|vulkan] [--out FILE]`.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findOwnNativeFolder } from "../src/inference/launch/mod.ts";
import { buildPage } from "./packaging/page.ts";
import { gatherPayload, type Gpu, nativeSpecifiers } from "./packaging/payload.ts";
import { runDeno } from "./packaging/run_deno.ts";
import { writeSelfExtracting } from "./packaging/self_extracting.ts";

/** A larger file is refused: nobody should have to download it. */
const FILE_BYTES_MAX = 200 * 2 ** 20;

/** How long `deno compile` may try to download its runtime. */
const COMPILE_TIMEOUT_MS = 90_000;

/** What to build. */
interface BuildOptions {
  readonly root: string;
  readonly out: string;
  readonly kind: "auto" | "compile" | "extract";
  readonly gpu: Gpu | undefined;
}

function parseOptions(args: readonly string[]): BuildOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kind: { type: "string", default: "auto" },
      gpu: { type: "string" },
      out: { type: "string" },
    },
  });
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const { kind, gpu } = values;
  if (kind !== "auto" && kind !== "compile" && kind !== "extract") {
    throw new TypeError(`--kind must be auto, compile or extract: current value is "${kind}"`);
  }
  if (gpu !== undefined && gpu !== "cuda" && gpu !== "vulkan") {
    throw new TypeError(`--gpu must be cuda or vulkan: current value is "${gpu}"`);
  }
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  return { root, kind, gpu, out: resolve(values.out ?? join(root, `dist/odist${suffix}`)) };
}

async function build(options: BuildOptions): Promise<void> {
  await Deno.mkdir(dirname(options.out), { recursive: true });
  // A compiled file starts each of its processes with one and the same set of permissions; an unpacked one doesn't.
  const suits = Deno.build.os === "windows" ? "compile" : "extract";
  const kind = options.kind === "auto" ? suits : options.kind;
  if (kind === "extract") return await makeSelfExtracting(options);
  const failure = await compile(options);
  if (failure !== undefined) throw new Error(failure);
}

/** Undefined when the file was made, otherwise what `deno compile` said. */
async function compile({ root, out, gpu }: BuildOptions): Promise<string | undefined> {
  const natives = nativeSpecifiers(gpu).map((name) => `--include=${name}`);
  const own = findOwnNativeFolder();
  if (own !== "") natives.push(`--include=${own}`);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "compile",
      "--quiet",
      "--self-extracting",
      "-A",
      "--unstable-net",
      "--unstable-no-legacy-abort",
      "--unstable-raw-imports",
      "--exclude-unused-npm",
      "--include=src/models/embedded",
      "--include=src/inference/webp/main.ts",
      "--include=dist/ui",
      ...natives,
      `--output=${out}`,
      "main.ts",
    ],
    cwd: root,
    stdin: "null",
    stdout: "null",
    signal: AbortSignal.timeout(COMPILE_TIMEOUT_MS),
  }).output();
  return success ? undefined : new TextDecoder().decode(stderr);
}

async function makeSelfExtracting({ root, out, gpu }: BuildOptions): Promise<void> {
  const workFolder = await Deno.makeTempDir({ prefix: "odist-build-" });
  try {
    const files = await gatherPayload({ root, workFolder, gpu });
    const { version } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
    await writeSelfExtracting(out, { version, files });
  } finally {
    await Deno.remove(workFolder, { recursive: true });
  }
}

if (import.meta.main) {
  const startedAtMs = performance.now();
  const options = parseOptions(Deno.args);
  await runDeno(options.root, ["check", "--quiet", "main.ts"]);
  await buildPage(options.root);
  await build(options);
  if (findOwnNativeFolder() === "") {
    console.log(
      "Without libraries for models over several machines and for images: run `deno task natives` before",
    );
  }
  const { size } = await Deno.stat(options.out);
  const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
  console.log(`${options.out}: ${(size / 2 ** 20).toFixed(1)} MiB in ${seconds} s`);
  if (size > FILE_BYTES_MAX) throw new RangeError(`${options.out} must be at most 200 MiB`);
}
