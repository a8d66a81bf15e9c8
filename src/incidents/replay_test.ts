import assert from "node:assert/strict";
import { type NodeId, Random } from "../base/mod.ts";
import { AnswerMachine, type AnswerWish } from "../core/answers/mod.ts";
import { type ModelNeed, Scheduler, type SchedulerEvent } from "../core/scheduler/mod.ts";
import type { Clock, Recorder } from "../ports/mod.ts";
import { joinIncidents, writeIncident } from "./incident_file.ts";
import { IncidentRecorder } from "./recorder.ts";
import { readIncident, type ReplayedStep, replayIncident } from "./mod.ts";

const NODE = { nodeId: "ada" as NodeId, name: "ada", version: "1.0.0" };
const OPTIONS = {
  loadedModelsMax: 2,
  queueRequestsMax: 64,
  keepAliveMs: 5_000,
  reserveBytes: 0,
  cores: 4,
  threads: 0,
};
const PRIORITIES = ["high", "normal", "low"] as const;

function needOf(model: number): ModelNeed {
  return {
    ...{ modelKey: `m${model}`, settingsKey: "s", displayName: `m${model}` },
    ...{ memoryBytes: 1_000, slots: 2, contextTokens: 2_048, keepAliveMs: undefined },
  };
}

function openRecorder(): { readonly recorder: IncidentRecorder; readonly time: { nowMs: number } } {
  const time = { nowMs: 1_000 };
  const recorder = new IncidentRecorder({
    clock: { nowMs: () => time.nowMs },
    log: { log: (_level, event, values) => assert.fail(`${event} ${JSON.stringify(values)}`) },
  });
  return { recorder, time };
}

const AT_ONCE: Pick<Clock, "after"> = {
  after(_delayMs, callback) {
    queueMicrotask(callback);
    return { cancel() {} };
  },
};

async function savedBy(
  recorder: IncidentRecorder,
  { withTexts = false, sinceMs = 0 } = {},
): Promise<Uint8Array> {
  const parts = { node: NODE, clock: AT_ONCE };
  return joinIncidents([await writeIncident(parts, recorder.stretches(sinceMs), { withTexts })]);
}

async function replayed(file: Uint8Array): Promise<readonly ReplayedStep[]> {
  return [...replayIncident((await readIncident(file)).stretches)];
}

/** A scheduler with all that can happen to one, at random. */
function runScheduler(
  recorder: Recorder,
  run: { readonly steps: number; readonly time: { nowMs: number }; readonly seed: number },
): void {
  const random = new Random(run.seed);
  const scheduler = new Scheduler(OPTIONS);
  const steps = recorder.begin({
    ...{ part: "scheduler", options: OPTIONS },
    keep: (keeper) => scheduler.keep(keeper),
  });
  const [running, loading, loaded]: [string[], number[], number[]] = [[], [], []];
  const drop = <T>(from: T[]): T | undefined => from.splice(random.below(from.length || 1), 1)[0];
  const next = (at: number): SchedulerEvent => {
    const draw = random.below(10);
    const instanceId = draw < 6 && random.chance(1, 2) ? loading.shift() : undefined;
    if (instanceId !== undefined) {
      loaded.push(instanceId);
      return { kind: "model_loaded", instanceId, memoryBytes: 900, slots: 2 };
    }
    const requestId = draw < 4 ? drop(running) : undefined;
    if (requestId !== undefined) return { kind: "request_ended", requestId };
    if (draw === 8 && random.chance(1, 10)) {
      const gone = drop(loaded);
      if (gone !== undefined) return { kind: "runner_exited", instanceId: gone };
    }
    if (draw === 9) return { kind: "time_elapsed" };
    const deadlineMs = random.chance(1, 4) ? run.time.nowMs + random.below(4_000) : Infinity;
    return {
      kind: "request_arrived",
      requestId: `r${at}`,
      need: needOf(random.below(4)),
      standing: random.chance(1, 20) ? "resumed" : "fresh",
      asking: {
        ...{ tenant: `t${random.below(5)}`, weight: 1 + random.below(3), deadlineMs },
        priority: random.pick(PRIORITIES) ?? "normal",
        promptTokens: random.below(2_000),
        answerTokensMax: random.chance(1, 2) ? Infinity : random.below(500),
      },
    };
  };
  for (let at = 0; at < run.steps; at++) {
    run.time.nowMs += random.below(300);
    const event = next(at);
    const observed = { nowMs: run.time.nowMs, availableBytes: 2_500 };
    const effects = scheduler.step(event, observed);
    steps.note({ event, observed }, effects);
    for (const effect of effects) {
      if (effect.kind === "grant_slot") running.push(effect.requestId);
      if (effect.kind === "load_model") loading.push(effect.instanceId);
    }
  }
}

Deno.test("what a scheduler did is replayed to the same decisions, from the middle of its life on", async () => {
  for (let seed = 1; seed <= 2; seed++) {
    const { recorder, time } = openRecorder();
    runScheduler(recorder, { steps: 20_000, time, seed });
    const steps = await replayed(await savedBy(recorder));
    const [first] = steps;
    const granted = steps.filter(({ recorded }) => recorded.join().includes("grant_slot"));
    assert.ok(granted.length > 1_000 && first !== undefined && first.atMs > 10_000);
    assert.deepEqual(steps.filter(({ replayed }) => replayed !== undefined), []);
  }
});

Deno.test("only stretches that reach into the wanted time are saved", async () => {
  const { recorder, time } = openRecorder();
  runScheduler(recorder, { steps: 10_000, time, seed: 1 });
  const all = recorder.stretches(0);
  const last = recorder.stretches(time.nowMs);
  assert.deepEqual([all.length, last.length], [3, 1]);
});

Deno.test("replaying ends at the first step that decides otherwise, and says what was decided", async () => {
  const { recorder, time } = openRecorder();
  runScheduler(recorder, { steps: 3_000, time, seed: 1 });
  const { stretches } = await readIncident(await savedBy(recorder));
  const fewer = stretches.map((stretch) => ({
    ...stretch,
    options: { ...OPTIONS, keepAliveMs: 4_999 },
  }));
  const steps = [...replayIncident(fewer)];
  const last = steps.at(-1);
  assert.ok(last?.replayed !== undefined && steps.length < 3_000);
  assert.notDeepEqual(last.replayed, last.recorded);
});

const WISH: AnswerWish = {
  sequence: {
    prompt: { kind: "text", text: "my secret prompt", addSpecial: true },
    sampler: {} as AnswerWish["sequence"]["sampler"],
    ...{ predictTokensMax: 100, keepTokens: 4, onLongPrompt: "refuse", onFullContext: "stop" },
    ...{ grammar: null, topLogprobs: -1 },
  },
  stream: { stops: ["STOP"] },
  isShortenable: false,
};

/** An answer whose runner dies, told in these words, one a token. */
function runAnswer(recorder: Recorder, words: readonly string[]): void {
  const machine = new AnswerMachine(WISH);
  const steps = recorder.begin({ part: "answer", id: "q1", options: WISH });
  const step = (fact: Parameters<AnswerMachine["step"]>[0]) => {
    const orders = machine.step(fact);
    steps.note(fact, orders);
    return orders.every(({ kind }) => kind !== "end");
  };
  const start = (nodeId: string) => {
    step({ kind: "slot_held", nodeId: nodeId as NodeId, loadNs: 5, nowMs: 1 });
    step({ kind: "run_started", promptTokens: [7, 8, 9], cachedTokens: 0 });
  };
  step({ kind: "begun" });
  start("bob");
  for (const [at, word] of words.entries()) {
    if (at === 2) {
      step({ kind: "failed", code: "runner_lost" });
      start("eve");
    }
    const bytes = new TextEncoder().encode(word);
    if (!step({ kind: "tokens_came", tokens: [{ token: 40 + at, bytes }], nowMs: 2 + at })) return;
  }
  step({ kind: "run_finished", reason: "end", prefillNs: 1, decodeNs: 2 });
}

Deno.test("an answer that moved is replayed without a word of its prompt or its text", async () => {
  const { recorder } = openRecorder();
  runAnswer(recorder, ["deep", " secret", " words", " here"]);
  const { stretches } = await readIncident(await savedBy(recorder));
  assert.doesNotMatch(JSON.stringify(stretches), /secret|ZGVlc/); // "deep" in base 64.
  const steps = [...replayIncident(stretches)];
  assert.deepEqual(steps.filter(({ replayed }) => replayed !== undefined), []);
  assert.match(steps.at(-1)?.recorded.at(-1) ?? "", /"kind":"end".*"answerTokens":5/);
  assert.ok(steps.some(({ recorded }) => recorded.join().includes('"nodeId":"bob"')));
});

Deno.test("an answer that its text ended is replayed to its end with texts, and to before that without", async () => {
  const { recorder } = openRecorder();
  runAnswer(recorder, ["one", " two", " STOP", " three"]);
  const whole = await replayed(await savedBy(recorder, { withTexts: true }));
  const masked = await replayed(await savedBy(recorder));
  for (const steps of [whole, masked]) {
    assert.deepEqual(steps.filter(({ replayed }) => replayed !== undefined), []);
  }
  assert.match(whole.at(-1)?.recorded.at(-1) ?? "", /stop_string/);
  assert.equal(masked.length, whole.length - 1);
});

Deno.test("what is no recording, not all of one, or of another format is refused", async () => {
  const { recorder } = openRecorder();
  runAnswer(recorder, ["a"]);
  const file = await savedBy(recorder);
  const refused = { code: "invalid_request" };
  await assert.rejects(readIncident(new Uint8Array()), refused);
  await assert.rejects(readIncident(new Uint8Array(100)), refused);
  await assert.rejects(readIncident(file.subarray(0, -1)), refused);
  const lines = ReadableStream.from(['{"format":2,"node":{}}\n']).pipeThrough(
    new TextEncoderStream(),
  ).pipeThrough(new CompressionStream("gzip"));
  const other = joinIncidents([await new Response(lines).bytes()]);
  await assert.rejects(readIncident(other), /format 1 .* 2/);
});

Deno.test("a part whose state can't be taken down goes on, and the log says that it is not recorded", () => {
  const lines: string[] = [];
  const recorder = new IncidentRecorder({
    clock: { nowMs: () => 0 },
    log: { log: (_level, event) => void lines.push(event) },
  });
  const steps = recorder.begin({
    ...{ part: "scheduler", options: {} },
    keep: (keeper) => void keeper.keep(new Random(1)),
  });
  steps.note({}, []);
  assert.deepEqual([lines, recorder.stretches(-Infinity)], [["incident_recording_stopped"], []]);
});

Deno.test("the oldest answers go first, and a long answer costs no others for good", () => {
  const { recorder } = openRecorder();
  const long = recorder.begin({ part: "answer", id: "long", options: {} });
  for (let at = 0; at < 100_000; at++) long.note({}, [], 1);
  assert.equal(recorder.stretches(0)[0]?.steps.length, 4_096);
  for (let at = 0; at < 300; at++) {
    recorder.begin({ part: "answer", id: `${at}`, options: {}, bytes: 1_000 }).note({}, []);
  }
  long.note({}, []);
  const ids = recorder.stretches(0).map(({ id }) => id);
  assert.deepEqual([ids.length, ids[0], ids.at(-1)], [256, "44", "299"]);
  recorder.begin({ part: "answer", id: "huge", options: {}, bytes: 2 ** 30 });
  assert.deepEqual(recorder.stretches(0), []);
});
