import assert from "node:assert/strict";
import { RequestError, UnavailableError } from "../base/mod.ts";
import type { ModelNeed } from "../core/scheduler/mod.ts";
import type { AnswerChunk, LoadedModel, Log, Metrics } from "../ports/mod.ts";
import type { LoadSettings, SequenceEvent, SequenceRequest } from "../protocol/mod.ts";
import { type AnsweringParts, type AnswerPlan, startAnswer } from "./answering.ts";
import { systemClock } from "../node/system_ports.ts";
import type { LeaseRequest, WantedModel } from "../slots/lease.ts";
import type { Lease } from "../slots/scheduler_driver.ts";
import { GREEDY } from "../../tests/harness/greedy.ts";

const ANSWER = [..."The quick brown fox — žluťoučký 🦊 jumps. STOP and more"];
const encoder = new TextEncoder();

/** Answers with `ANSWER`, one byte of UTF-8 a token, and dies where told. */
class ScriptedModel {
  readonly requests: SequenceRequest[] = [];
  released = 0;
  lost = 0;
  readonly leases: LeaseRequest[] = [];
  /** What each lease's copy is, in their order. */
  copies: readonly Partial<LoadedModel["facts"]>[] = [];
  readonly counted: string[] = [];
  constructor(readonly diesAfterTokens: number[], readonly contextTokens = 1e6) {}

  async *generate(request: SequenceRequest, signal: AbortSignal): AsyncGenerator<SequenceEvent> {
    this.requests.push(request);
    const { prompt } = request;
    const promptTokens = prompt.kind === "tokens"
      ? [...prompt.tokens]
      : [...encoder.encode(prompt.text)];
    if (promptTokens.length > this.contextTokens) {
      throw new RequestError("prompt_too_long", "too long");
    }
    yield { kind: "started", promptTokens, cachedTokens: 0 };
    const bytes = encoder.encode(ANSWER.join(""));
    const lastToken = this.diesAfterTokens.shift() ?? Infinity;
    let produced = 0;
    for (let index = request.emittedTokens.length; index < bytes.length; index++) {
      if (produced++ >= lastToken) throw new UnavailableError("runner_lost", "killed");
      await Promise.resolve();
      if (signal.aborted) {
        yield { kind: "finished", reason: "cancelled", prefillNs: 1, decodeNs: 1 };
        return;
      }
      yield {
        kind: "tokens",
        tokens: [{ token: bytes[index] ?? 0, bytes: bytes.subarray(index, index + 1) }],
      };
    }
    yield { kind: "finished", reason: "end", prefillNs: 1, decodeNs: 2 };
  }

  parts(): AnsweringParts {
    const quiet: Log & Metrics = {
      log() {},
      increment: (name) => void this.counted.push(name),
      set() {},
      observe() {},
      render: () => Promise.resolve({ contentType: "", text: "" }),
    };
    return {
      driver: { acquire: (request) => Promise.resolve(this.#lease(request)) },
      clock: systemClock,
      log: quiet,
      metrics: quiet,
      drawId: () => "abcd1234",
    };
  }

  #lease(request: LeaseRequest): Lease {
    this.leases.push(request);
    const model: Partial<LoadedModel> = {
      // A double: nothing else of them is read.
      facts: (this.copies[this.leases.length - 1] ?? {}) as LoadedModel["facts"],
      generate: (asked, signal) => this.generate(asked, signal),
    };
    return {
      model: model as LoadedModel,
      loadNs: 0,
      release: () => void this.released++,
      lost: () => void this.lost++,
    };
  }
}

function plan(changes: Partial<AnswerPlan> = {}): AnswerPlan {
  return {
    requestId: "r1",
    need: {} as ModelNeed,
    settings: {} as LoadSettings,
    wanted: {} as WantedModel,
    sequence: {
      prompt: { kind: "text", text: "hi", addSpecial: true },
      sampler: GREEDY,
      predictTokensMax: 1000,
      keepTokens: 4,
      onLongPrompt: "refuse",
      onFullContext: "stop",
      grammar: null,
      topLogprobs: -1,
    },
    stream: { stops: [] },
    ...changes,
  };
}

async function collect(chunks: AsyncIterable<AnswerChunk>) {
  let text = "";
  let done: Extract<AnswerChunk, { kind: "done" }> | undefined;
  for await (const chunk of chunks) {
    if (chunk.kind === "text") text += chunk.content;
    else done = chunk;
  }
  return { text, done };
}

const never = new AbortController().signal;

Deno.test("startAnswer() streams an answer and releases the slot", async () => {
  const model = new ScriptedModel([]);
  const { text, done } = await collect(await startAnswer(plan(), model.parts(), never));
  await Promise.resolve();
  assert.equal(text, ANSWER.join(""));
  assert.equal(done?.doneReason, "stop");
  assert.equal(done?.context.length, 2 + encoder.encode(ANSWER.join("")).length);
});

Deno.test("startAnswer() loses and repeats no byte whichever token the runner dies at", async () => {
  const bytes = encoder.encode(ANSWER.join("")).length;
  for (let at = 1; at < bytes; at++) {
    const model = new ScriptedModel([at]);
    const { text, done } = await collect(await startAnswer(plan(), model.parts(), never));
    assert.equal(text, ANSWER.join(""), `killed after ${at} tokens`);
    assert.equal(done?.metrics.evalCount, bytes + 1, "the end token counts");
    assert.equal(model.lost, 1);
    assert.equal(model.leases[1]?.standing, "resumed");
  }
});

Deno.test("startAnswer() survives any number of deaths as long as tokens come between them", async () => {
  const model = new ScriptedModel(new Array(20).fill(2));
  const { text } = await collect(await startAnswer(plan(), model.parts(), never));
  assert.equal(text, ANSWER.join(""));
});

Deno.test("startAnswer() gives up on a prompt that kills every runner it meets", async () => {
  const model = new ScriptedModel([4, 0, 0, 0, 0, 0]);
  const chunks = await startAnswer(plan(), model.parts(), never);
  await assert.rejects(collect(chunks), /model runner has unexpectedly stopped/);
  assert.equal(model.requests.length, 3);
});

Deno.test("startAnswer() cuts at a stop string and frees the slot", async () => {
  const model = new ScriptedModel([]);
  const chunks = await startAnswer(plan({ stream: { stops: ["STOP"] } }), model.parts(), never);
  const { text, done } = await collect(chunks);
  assert.equal(text, "The quick brown fox — žluťoučký 🦊 jumps. ");
  assert.equal(done?.doneReason, "stop");
  for (let turn = 0; turn < 10 && model.released === 0; turn++) await Promise.resolve();
  assert.equal(model.released, 1);
});

Deno.test("startAnswer() ends with the caller's reason when the caller goes away", async () => {
  const model = new ScriptedModel([]);
  const abort = new AbortController();
  const chunks = await startAnswer(plan(), model.parts(), abort.signal);
  let seen = 0;
  await assert.rejects(async () => {
    for await (const _ of chunks) if (++seen === 5) abort.abort(new Error("gone"));
  }, /gone/);
});

Deno.test("startAnswer() retries once with a shorter prompt", async () => {
  const model = new ScriptedModel([], 5);
  const long = plan({
    sequence: {
      ...plan().sequence,
      prompt: { kind: "text", text: "much too long", addSpecial: true },
    },
    shortenPrompt: () =>
      Promise.resolve({
        prompt: { kind: "text", text: "short", addSpecial: true },
        onLongPrompt: "refuse",
      }),
  });
  const { text } = await collect(await startAnswer(long, model.parts(), never));
  assert.equal(text, ANSWER.join(""));
  assert.equal(model.requests.length, 2);
});

Deno.test("startAnswer() refuses a long prompt that nothing shortens, before any chunk", async () => {
  const model = new ScriptedModel([], 1);
  await assert.rejects(startAnswer(plan(), model.parts(), never), { code: "prompt_too_long" });
  for (let turn = 0; turn < 10 && model.released === 0; turn++) await Promise.resolve();
  assert.equal(model.released, 1);
});

Deno.test("startAnswer() tells whether an answer is exact, and when it leaves its class", async () => {
  const exactness = { isExact: true } as NonNullable<LoadedModel["facts"]["exactness"]>;
  const copy = (numericClass: string) => ({ numericClass, exactness });
  const leaving = "odist_answers_left_class_total";
  const same = new ScriptedModel([3, 2]);
  same.copies = [copy("avx2/short"), copy("avx2/short"), copy("avx2/short")];
  const exact = await startAnswer(plan(), same.parts(), never);
  await collect(exact);
  assert.equal(exact.exact(), true);
  assert.equal(same.leases.length, 3);
  assert.deepEqual(same.leases.map(({ numericClass }) => numericClass), [
    undefined,
    "avx2/short",
    "avx2/short",
  ]);
  assert.ok(!same.counted.includes(leaving));
  const left = new ScriptedModel([3, 2]);
  left.copies = [copy("avx2/short"), copy("neon/short"), copy("avx2/short")];
  await collect(await startAnswer(plan(), left.parts(), never));
  assert.deepEqual(left.counted.filter((name) => name === leaving), [leaving], "it is told once");
  const inexact = new ScriptedModel([3]);
  inexact.copies = [{ numericClass: "a", exactness: { ...exactness, isExact: false } }];
  const other = await startAnswer(plan(), inexact.parts(), never);
  await collect(other);
  assert.deepEqual([other.exact(), inexact.counted.includes(leaving)], [false, false]);
});
