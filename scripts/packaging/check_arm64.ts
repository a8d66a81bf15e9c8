/**
 * Runs the program as on linux-arm64, under emulation: the libraries are opened, so that their struct layouts are checked, and
 * `tiny` answers as it does on this machine. An optional check of a Linux machine of another kind.
 *
 * Usage: `deno run -A --no-lock scripts/packaging/check_arm64.ts`, with qemu-user-static and, as the emulated system's libraries,
 * libc6-arm64-cross, libstdc++6-arm64-cross, libgcc-s1-arm64-cross and libgomp1-arm64-cross (Debian).
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { createEngine } from "../../src/inference/mod.ts";
import { packageFolder } from "../../src/inference/launch/mod.ts";
import { probeNatives } from "../../src/inference/backends/mod.ts";
import { systemClock } from "../../src/node/system_ports.ts";
import type { LoadSettings, SamplerSettings, SequenceRequest } from "../../src/protocol/mod.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const EMULATOR = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", "-cpu", "max"];
const SETTINGS: LoadSettings = {
  modelPath: `${ROOT}src/models/embedded/tiny.gguf`,
  adapterPaths: [],
  ...{ contextTokens: 512, slots: 1, batchTokens: 512, threads: 1, gpuLayers: 0, mmap: true },
  ...{ flashAttention: "auto", kvCacheType: "f16", mode: "generate" },
};
const GREEDY: SamplerSettings = {
  ...{ temperature: 0, topK: 40, topP: 0.9, minP: 0, typicalP: 1, repeatLastTokens: 64 },
  ...{ repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, seed: 1 },
};

/** Deno for the emulated machine, of this one's release. */
async function fetchDeno(folder: string): Promise<string> {
  const release = Deno.version.deno;
  const specifier = `npm:@deno/linux-arm64-glibc@${release}`;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", "--no-config", "--no-lock", specifier],
    env: { DENO_DIR: folder },
    cwd: folder,
  }).output();
  if (!success) throw new Error(`Cannot fetch ${specifier}`);
  const [registry] = [...Deno.readDirSync(`${folder}/npm`)].filter(({ isDirectory }) =>
    isDirectory
  );
  const path = `${folder}/npm/${registry?.name}/@deno/linux-arm64-glibc/${release}/deno`;
  await Deno.chmod(path, 0o755);
  return path;
}

/** A greedy answer of `tiny`, computed by the runners of a command. */
async function answer(command: readonly string[], nativeFolder: string): Promise<string> {
  const env = { ODIST_NATIVE_DIR: nativeFolder };
  const engine = createEngine({ command, env, log: { log() {} }, clock: systemClock });
  const { signal } = new AbortController();
  const model = await engine.load(SETTINGS, { signal });
  const prompt = "<|im_start|>user\nTell me of a fox.<|im_end|>\n<|im_start|>assistant\n";
  const request: SequenceRequest = {
    prompt: { kind: "text", text: prompt, addSpecial: true },
    emittedTokens: [],
    sampler: GREEDY,
    ...{ predictTokensMax: 24, keepTokens: 4, grammar: null, topLogprobs: -1 },
    onLongPrompt: "truncate",
    onFullContext: "shift",
  };
  const decoder = new TextDecoder();
  let text = "";
  for await (const event of model.generate(request, signal)) {
    if (event.kind !== "tokens") continue;
    for (const { bytes } of event.tokens) text += decoder.decode(bytes, { stream: true });
  }
  await model.unload();
  return text;
}

if (import.meta.main) {
  const folder = await Deno.makeTempDir();
  try {
    const runner = (deno: readonly string[]) => [
      ...deno,
      ...["run", "-A", "--no-lock", "--no-check", `${ROOT}main.ts`, "runner"],
    ];
    const emulated = runner([...EMULATOR, await fetchDeno(folder)]);
    const nativeFolder = await packageFolder("linux-arm64");
    const { build } = await probeNatives({
      command: emulated,
      env: { ODIST_NATIVE_DIR: nativeFolder },
      timeoutMs: 300_000,
    });
    console.log(`opened: ${build}`);
    const there = await answer(emulated, nativeFolder);
    const here = await answer(runner([Deno.execPath()]), await packageFolder("linux-x64"));
    console.log(`answered: ${JSON.stringify(there)}`);
    if (there !== here) console.log(`here:     ${JSON.stringify(here)}`);
    Deno.exit(there === here && build.includes("linux-aarch64") ? 0 : 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
