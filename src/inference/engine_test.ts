import assert from "node:assert/strict";
import type { Engine } from "../ports/mod.ts";
import type {
  LoadedFacts,
  LoadSettings,
  RunnerCommand,
  SequenceEvent,
  SequenceRequest,
} from "../protocol/mod.ts";
import { createEngine, RunnerModel } from "./engine.ts";
import { encodeFrame } from "./frames.ts";
import { HandClock, settle } from "../../tests/harness/hand_clock.ts";
import { GREEDY } from "../../tests/harness/greedy.ts";

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
    code: "runner_lost",
    message: "the runner ended with exit code 3: GGML_ASSERT failed",
  });
});

Deno.test("createEngine() ends a process of a split model that says nothing while it starts", async () => {
  const shards = { ports: [1], workerLayers: [1], ownLayers: 1, ownBytes: 1 };
  for (const part of [{ worker: { port: 1, memoryBytes: 1 } }, { shards }]) {
    const clock = new HandClock();
    const command = [Deno.execPath(), "eval", "--no-lock", "setInterval(() => {}, 1000);"];
    const engine = createEngine({ command, env: {}, clock, log: { log() {} } });
    const loading = engine.load({ ...SETTINGS, ...part }, { signal });
    let isOver = false;
    loading.catch(() => isOver = true);
    await clock.advance(9_900);
    assert.equal(isOver, false);
    await clock.advance(200);
    await assert.rejects(loading, { code: "runner_lost", message: /SIGKILL.*nothing for 10 s/ });
  }
});

Deno.test("createEngine() lets a process of a split model take its time that answers meanwhile", async () => {
  const clock = new HandClock();
  const script = `
    let asked = 0;
    const say = (bytes) => Deno.stdout.writeSync(new Uint8Array(bytes));
    for await (const chunk of Deno.stdin.readable) {
      if (++asked <= 15) ${say({ kind: "load_progress", fraction: 0 })}
      else ${say({ kind: "loaded", facts: FACTS, confinement: "none" })}
    }`;
  const command = [Deno.execPath(), "eval", "--no-lock", script];
  const engine = createEngine({ command, env: {}, clock, log: { log() {} } });
  let heard = Promise.withResolvers<void>();
  const loading = engine.load({ ...SETTINGS, worker: { port: 1, memoryBytes: 1 } }, {
    signal,
    onProgress: () => heard.resolve(),
  });
  for (let answer = 1; answer <= 15; answer++) {
    await Promise.race([heard.promise, loading]);
    heard = Promise.withResolvers();
    await clock.advance(1_000);
  }
  await (await loading).unload();
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

const LOADED: LoadedFacts = {
  contextTokens: 10,
  trainingContextTokens: 10,
  vocabularyTokens: 3,
  embeddingLength: 2,
  slots: 1,
  memoryBytes: 1,
  deviceMemoryBytes: 0,
  bosText: "",
  eosText: "",
  canShift: true,
  numericClass: "test",
};
const REQUEST: SequenceRequest = {
  prompt: { kind: "text", text: "hi", addSpecial: true },
  emittedTokens: [],
  sampler: GREEDY,
  predictTokensMax: 5,
  keepTokens: 4,
  onLongPrompt: "refuse",
  onFullContext: "stop",
  grammar: null,
  topLogprobs: -1,
};
const STARTED: SequenceEvent = { kind: "started", promptTokens: [1], cachedTokens: 0 };
const FINISHED: SequenceEvent = { kind: "finished", reason: "end", prefillNs: 1, decodeNs: 1 };

/** A model over a pipe that only remembers, and whose end the test decides. */
function pipedModel() {
  const sent: RunnerCommand[] = [];
  const exit = Promise.withResolvers<{ expected: boolean; reason: string }>();
  const clock = new HandClock();
  const model = new RunnerModel(
    {
      processId: 1,
      exited: exit.promise,
      send: (command) => void sent.push(command),
      stop: () => {
        exit.resolve({ expected: true, reason: "stopped" });
        return Promise.resolve();
      },
      fail: (reason) => exit.resolve({ expected: false, reason }),
    },
    { facts: LOADED },
    { clock },
  );
  return { model, sent, exit, clock };
}

const never = () => new AbortController().signal;

Deno.test("RunnerModel gives up a runner that answers no ping for 20 s, and leaves an idle one alone", async () => {
  const { model, sent, clock } = pipedModel();
  for (let round = 0; round < 100; round++) await clock.advance(1_000);
  assert.equal(sent.length, 0, "nobody waits, so nobody asks");
  const answer = Array.fromAsync(model.generate(REQUEST, never()));
  for (let round = 0; round < 100; round++) {
    await clock.advance(1_000);
    if (sent.at(-1)?.kind === "ping") model.receive({ kind: "pong" });
  }
  let isLost = false;
  const lost = assert.rejects(answer, { code: "runner_lost", message: /it said nothing for 20 s/ });
  void lost.then(() => isLost = true);
  for (let round = 0; round < 19; round++) await clock.advance(1_000);
  assert.equal(isLost, false);
  await clock.advance(1_000);
  await lost;
});

Deno.test("RunnerModel does not take its own node's stall for a runner's silence", async () => {
  const { model, sent, clock } = pipedModel();
  const answer = Array.fromAsync(model.generate(REQUEST, never()));
  await settle();
  clock.stall(3_600_000);
  await clock.advance(5_000);
  assert.equal(sent.at(-1)?.kind, "ping", "it is asked first");
  model.receive({
    kind: "events",
    events: [{ id: 1, event: STARTED }, { id: 1, event: FINISHED }],
  });
  assert.equal((await answer).length, 2);
});

Deno.test("RunnerModel sorts events of several answers to those who asked", async () => {
  const { model, sent } = pipedModel();
  const first = Array.fromAsync(model.generate(REQUEST, never()));
  const second = Array.fromAsync(model.generate(REQUEST, never()));
  assert.deepEqual(sent.map((command) => command.kind), ["generate", "generate"]);
  model.receive({ kind: "events", events: [{ id: 2, event: STARTED }, { id: 1, event: STARTED }] });
  model.receive({ kind: "events", events: [{ id: 7, event: FINISHED }] });
  model.receive({
    kind: "events",
    events: [{ id: 1, event: FINISHED }, { id: 2, event: FINISHED }],
  });
  assert.deepEqual(await first, [STARTED, FINISHED]);
  assert.deepEqual(await second, [STARTED, FINISHED]);
});

Deno.test("RunnerModel cancels when the signal aborts and reads on until the runner says so", async () => {
  const { model, sent } = pipedModel();
  const abort = new AbortController();
  const events = model.generate(REQUEST, abort.signal);
  const first = events.next();
  abort.abort();
  assert.deepEqual(sent.at(-1), { kind: "cancel", id: 1 });
  model.receive({
    kind: "events",
    events: [{ id: 1, event: { ...FINISHED, reason: "cancelled" } }],
  });
  assert.equal((await first).value?.kind, "finished");
  assert.equal((await events.next()).done, true);
});

Deno.test("RunnerModel asks nothing for a signal that had aborted, and cancels for a reader that leaves", async () => {
  const { model, sent } = pipedModel();
  const events = await Array.fromAsync(model.generate(REQUEST, AbortSignal.abort()));
  assert.deepEqual(events.map((event) => event.kind === "finished" && event.reason), ["cancelled"]);
  assert.deepEqual(sent, []);
  const left = model.generate(REQUEST, never());
  const first = left.next();
  model.receive({ kind: "events", events: [{ id: 1, event: STARTED }] });
  await first;
  await left.return?.();
  assert.deepEqual(sent.at(-1), { kind: "cancel", id: 1 });
});

Deno.test("RunnerModel turns failures into the families the port promises", async () => {
  const { model } = pipedModel();
  const codes = [
    ["prompt_too_long", "prompt_too_long", "RequestError"],
    ["queue_full", "queue_full", "UnavailableError"],
    ["something_new", "peer_refused", "PeerError"],
  ] as const;
  for (const [index, [code, wanted, name]] of codes.entries()) {
    const answer = Array.fromAsync(model.generate(REQUEST, never()));
    model.receive({ kind: "failed", id: index + 1, error: { code, message: "why", status: 500 } });
    await assert.rejects(answer, { code: wanted, name });
  }
});

Deno.test("RunnerModel answers single questions", async () => {
  const { model } = pipedModel();
  const tokens = model.tokenize("hi", { addSpecial: true });
  model.receive({ kind: "tokenized", id: 1, tokens: [1, 2] });
  assert.deepEqual(await tokens, [1, 2]);
  const bytes = model.detokenize([1]);
  model.receive({ kind: "detokenized", id: 2, bytes: new Uint8Array([65]) });
  assert.deepEqual(await bytes, new Uint8Array([65]));
  const embedded = model.embed(["a"], { onLongInput: "refuse", signal: never() });
  // As it comes over the pipe: bytes at any offset.
  const raw = new Uint8Array([9, ...new Uint8Array(new Float32Array([0.5, -2]).buffer)]);
  const vectors = [raw.subarray(1)];
  model.receive({ kind: "embedded", id: 3, vectors, promptTokens: 4 });
  assert.deepEqual(await embedded, { vectors: [new Float32Array([0.5, -2])], promptTokens: 4 });
  const wrong = model.tokenize("hi", { addSpecial: true });
  model.receive({ kind: "detokenized", id: 4, bytes: new Uint8Array() });
  await assert.rejects(wrong, { code: "runner_lost" });
});

Deno.test("RunnerModel fails everything with runner_lost once the process is gone", async () => {
  const { model, exit } = pipedModel();
  const answer = Array.fromAsync(model.generate(REQUEST, never()));
  const question = model.tokenize("hi", { addSpecial: false });
  exit.resolve({ expected: false, reason: "signal SIGKILL" });
  await assert.rejects(answer, { code: "runner_lost", message: /SIGKILL/ });
  await assert.rejects(question, { code: "runner_lost" });
  await assert.rejects(model.detokenize([1]), { code: "runner_lost" });
  assert.deepEqual(await model.exited, { expected: false, reason: "signal SIGKILL" });
});

Deno.test("RunnerModel unloads by ending the process", async () => {
  const { model } = pipedModel();
  await model.unload();
  assert.equal((await model.exited).expected, true);
});
