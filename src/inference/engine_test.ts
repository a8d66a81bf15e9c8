import assert from "node:assert/strict";
import type { Engine } from "../ports/mod.ts";
import type { LoadSettings } from "../protocol/mod.ts";
import { createEngine } from "./engine.ts";
import { encodeFrame } from "./frames.ts";

const SETTINGS: LoadSettings = {
  modelPath: "/models/x.gguf",
  adapterPaths: [],
  contextTokens: 10,
  slots: 1,
  batchTokens: 10,
  threads: 1,
  gpuLayers: 0,
  mmap: true,
  flashAttention: "auto",
  kvCacheType: "f16",
  mode: "generate",
};
const FACTS = { memoryBytes: 5, slots: 1 };

/** A process that waits for its first command, then runs `script`, in which `say(...)` writes given frames. */
function engineOf(script: string, options: { onAfter?: (callback: () => void) => void } = {}) {
  const prelude = `
    const say = (bytes) => Deno.stdout.writeSync(new Uint8Array(bytes));
    const err = (text) => Deno.stderr.writeSync(new TextEncoder().encode(text));
    const hang = () => new Promise(() => setInterval(() => {}, 1000));
    await Deno.stdin.read(new Uint8Array(4096));`;
  const events: string[] = [];
  const engine: Engine = createEngine({
    command: [Deno.execPath(), "eval", "--no-lock", `${prelude}\n${script}`],
    env: {},
    log: { log: (_level, event) => events.push(event) },
    clock: {
      monotonicMs: () => 0,
      after(_delayMs, callback) {
        options.onAfter?.(callback);
        return { cancel() {} };
      },
    },
  });
  return { engine, events };
}

/** Source text that says a frame. */
const say = (value: unknown) => `say([${[...encodeFrame(value)].join(",")}]);`;
const signal = new AbortController().signal;

Deno.test("createEngine() resolves once the runner has loaded, and tells of progress", async () => {
  const { engine, events } = engineOf(
    say({ kind: "load_progress", fraction: 0.5 }) +
      say({ kind: "loaded", facts: FACTS, confinement: "none" }) +
      "await hang();",
  );
  const fractions: number[] = [];
  const model = await engine.load(SETTINGS, {
    signal,
    onProgress: (fraction) => fractions.push(fraction),
  });
  assert.deepEqual(fractions, [0.5]);
  assert.equal(model.facts.memoryBytes, 5);
  await model.unload();
  assert.deepEqual(events, ["runner_loaded", "runner_exited"]);
});

Deno.test("createEngine() shows what the runner and llama.cpp said of a failed load", async () => {
  const { engine } = engineOf(
    `err("loading\\nerror: wrong magic\\n");` + say({ kind: "load_failed", message: "cannot" }) +
      "await hang();",
  );
  await assert.rejects(engine.load(SETTINGS, { signal }), {
    code: "load_failed",
    message: "cannot: error: wrong magic",
  });
});

Deno.test("createEngine() names exit code and reason of a runner that dies while loading", async () => {
  const { engine } = engineOf(`err("GGML_ASSERT failed\\n"); Deno.exit(3);`);
  await assert.rejects(engine.load(SETTINGS, { signal }), {
    code: "load_failed",
    message: "the runner ended with exit code 3: GGML_ASSERT failed",
  });
});

Deno.test("createEngine() limits no load by itself: whoever asks for it does", async () => {
  let timers = 0;
  let timersWhenLoaded = -1;
  const script = say({ kind: "load_progress", fraction: 0.5 }) +
    say({ kind: "loaded", facts: FACTS, confinement: "none" }) + "await hang();";
  const { engine } = engineOf(script, { onAfter: () => void timers++ });
  const onProgress = () => timersWhenLoaded = timers;
  const model = await engine.load(SETTINGS, { signal, onProgress });
  assert.equal(timersWhenLoaded, 0);
  await model.unload();
});

Deno.test("createEngine() ends a load whose signal aborts", async () => {
  const { engine } = engineOf(say({ kind: "load_progress", fraction: 0.1 }) + "await hang();");
  const abort = new AbortController();
  const reason = new Error("enough");
  const loading = engine.load(SETTINGS, {
    signal: abort.signal,
    onProgress: () => abort.abort(reason),
  });
  await assert.rejects(loading, (error) => error === reason);
  const late = engine.load(SETTINGS, { signal: AbortSignal.abort(reason) });
  await assert.rejects(late, (error) => error === reason);
});

Deno.test("createEngine() kills a runner that writes anything but frames", async () => {
  const { engine, events } = engineOf(
    say({ kind: "loaded", facts: FACTS, confinement: "none" }) +
      `await Deno.stdin.read(new Uint8Array(4096)); say([255,255,255,255]); await hang();`,
  );
  const model = await engine.load(SETTINGS, { signal });
  await assert.rejects(model.tokenize("x", { addSpecial: false }), { code: "runner_lost" });
  const end = await model.exited;
  assert.equal(end.expected, false);
  assert.match(end.reason, /SIGKILL.*at most/);
  assert.deepEqual(events, ["runner_loaded", "runner_exited"]);
});
