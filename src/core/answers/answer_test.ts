import assert from "node:assert/strict";
import type { ErrorCode, NodeId } from "../../base/mod.ts";
import type { AnswerToken, FinishReason, PrefixUse } from "../../protocol/mod.ts";
import { AnswerMachine, type AnswerOrder, type AnswerWish } from "./mod.ts";
import { GREEDY } from "../../../tests/harness/greedy.ts";

const NODE = "1".repeat(16) as NodeId;
const OTHER = "2".repeat(16) as NodeId;
const WISH: AnswerWish = {
  sequence: {
    prompt: { kind: "text", text: "eight ch", addSpecial: true },
    sampler: GREEDY,
    predictTokensMax: 100,
    keepTokens: 4,
    onLongPrompt: "refuse",
    onFullContext: "stop",
    grammar: null,
    topLogprobs: -1,
  },
  stream: { stops: ["STOP"] },
  isShortenable: false,
};
const encoder = new TextEncoder();

/** One token for each letter. */
function letters(text: string): readonly AnswerToken[] {
  return [...text].map((letter) => ({
    token: letter.charCodeAt(0),
    bytes: encoder.encode(letter),
  }));
}

/** An answer, fact by fact. */
class Stage {
  readonly machine: AnswerMachine;
  nowMs = 0;

  constructor(changes: Partial<AnswerWish> = {}) {
    this.machine = new AnswerMachine({ ...WISH, ...changes });
    this.machine.step({ kind: "begun" });
  }

  held(nodeId: NodeId | undefined = NODE) {
    return this.machine.step({ kind: "slot_held", nodeId, loadNs: 5, nowMs: this.nowMs++ });
  }
  started(promptTokens = [7, 8], cachedTokens = 0, prefix?: PrefixUse) {
    return this.machine.step({ kind: "run_started", promptTokens, cachedTokens, prefix });
  }
  tokens(text: string) {
    return this.machine.step({ kind: "tokens_came", tokens: letters(text), nowMs: this.nowMs++ });
  }
  finished(reason: FinishReason = "end") {
    return this.machine.step({ kind: "run_finished", reason, prefillNs: 10, decodeNs: 20 });
  }
  failed(code?: ErrorCode) {
    return this.machine.step({ kind: "failed", code });
  }
}

const kinds = (orders: readonly AnswerOrder[]) => orders.map(({ kind }) => kind);
const shown = (orders: readonly AnswerOrder[]) =>
  orders.flatMap((order) => order.kind === "show" ? order.pieces : [])
    .map((piece) => piece.kind === "tool_call" ? "" : piece.text).join("");

Deno.test("AnswerMachine asks for a slot with the prompt's size as it is known", () => {
  const machine = new AnswerMachine(WISH);
  assert.deepEqual(machine.step({ kind: "begun" }), [
    { kind: "acquire_slot", standing: "fresh", avoid: [], promptTokens: 2 },
  ]);
  const stage = new Stage();
  stage.held();
  stage.started([1, 2, 3]);
  stage.tokens("ab");
  assert.deepEqual(stage.failed("runner_lost"), [
    { kind: "report_loss", nodeId: NODE, decision: "resume", tokens: 2 },
    { kind: "acquire_slot", standing: "resumed", avoid: [NODE], promptTokens: 5 },
  ]);
});

Deno.test("AnswerMachine lets the next runner go on behind the last token", () => {
  const stage = new Stage();
  stage.held();
  stage.started();
  stage.tokens("ab");
  stage.failed("runner_lost");
  const [run] = stage.held(OTHER);
  assert.ok(run?.kind === "start_run");
  assert.deepEqual(run.request.prompt, { kind: "tokens", tokens: [7, 8] });
  assert.deepEqual(run.request.emittedTokens, [97, 98]);
  assert.deepEqual(stage.started(), [{ kind: "read_on" }]);
  assert.equal(shown(stage.tokens("c")), "c");
});

Deno.test("AnswerMachine gives up after three losses without a new token, and counts anew after one", () => {
  const stage = new Stage();
  for (let round = 0; round < 5; round++) {
    stage.held();
    stage.started();
    stage.tokens("a");
    assert.deepEqual(kinds(stage.failed("runner_lost")), ["report_loss", "acquire_slot"]);
    stage.held();
    assert.deepEqual(kinds(stage.failed("runner_lost")), ["report_loss", "acquire_slot"]);
  }
  stage.held();
  const orders = stage.failed("runner_lost");
  assert.deepEqual(orders.at(-1), { kind: "fail", why: "lost_too_often" });
});

Deno.test("AnswerMachine that has lost its runner looks for another one again, five times, and counts anew after a token", () => {
  const stage = new Stage();
  const waits = (code: ErrorCode) => {
    const [order] = stage.failed(code);
    return order?.kind === "acquire_slot" ? order.afterMs : order?.kind;
  };
  stage.held();
  stage.started();
  stage.tokens("a");
  stage.failed("runner_lost");
  assert.deepEqual([waits("load_failed"), waits("peer_lost")], [500, 1_000]);
  stage.held();
  stage.started();
  stage.tokens("b");
  stage.failed("runner_lost");
  const codes: readonly ErrorCode[] = [
    ...["model_too_large", "load_failed", "queue_full", "load_timeout", "peer_lost"] as const,
    "peer_lost",
  ];
  assert.deepEqual(codes.map(waits), [500, 1_000, 1_500, 2_000, 2_500, "fail"]);
});

Deno.test("AnswerMachine fails at once where nobody ever computed, or nothing will change", () => {
  const fresh = new Stage();
  assert.deepEqual(fresh.failed("load_failed"), [{ kind: "fail", why: "cause" }]);
  const lost = new Stage();
  lost.held();
  lost.failed("runner_lost");
  assert.deepEqual(lost.failed("invalid_option"), [{ kind: "fail", why: "cause" }]);
  const alone = new Stage();
  alone.held();
  alone.failed("runner_lost");
  assert.deepEqual(alone.failed("node_unreachable"), [{ kind: "fail", why: "cause" }]);
});

Deno.test("AnswerMachine takes an event without tokens for no progress", () => {
  const stage = new Stage();
  const ends = [];
  for (let round = 0; round < 3; round++) {
    stage.held();
    stage.started();
    assert.deepEqual(stage.tokens(""), [{ kind: "read_on" }]);
    ends.push(stage.failed("runner_lost").at(-1)?.kind);
  }
  assert.deepEqual(ends, ["acquire_slot", "acquire_slot", "fail"]);
});

Deno.test("AnswerMachine remembers the eight nodes it lost last, each once", () => {
  const stage = new Stage();
  const node = (count: number) => String(count).padStart(16, "0") as NodeId;
  let orders: readonly AnswerOrder[] = [];
  for (const count of [1, 2, 3, 4, 1, 5, 6, 7, 8, 9]) {
    stage.held(node(count));
    stage.started();
    stage.tokens("a");
    orders = stage.failed("runner_lost");
  }
  const last = orders.at(-1);
  assert.ok(last?.kind === "acquire_slot");
  assert.deepEqual(last.avoid, [3, 4, 1, 5, 6, 7, 8, 9].map(node));
});

Deno.test("AnswerMachine ends with figures over all runs", () => {
  const stage = new Stage();
  stage.held();
  const prefix = { matchedTokens: 1, source: "slot", end: "whole" } as const;
  stage.started([7, 8], 1, prefix);
  assert.deepEqual(stage.machine.promptUsage, { promptTokens: 2, cachedTokens: 1 });
  stage.tokens("ab");
  stage.failed("runner_lost");
  stage.held();
  stage.started([7, 8], 2, { ...prefix, source: "disk" });
  stage.tokens("c");
  const orders = stage.finished();
  assert.deepEqual(kinds(orders), ["show", "leave_run", "end"]);
  const end = orders.at(-1);
  assert.ok(end?.kind === "end");
  assert.deepEqual(end.report, {
    end: "end",
    stopString: undefined,
    loadNs: 10,
    promptTokens: 2,
    cachedTokens: 1,
    prefix,
    promptNs: 10,
    answerTokens: 4,
    answerNs: 20,
    drafts: undefined,
    context: [7, 8, 97, 98, 99],
  });
});

Deno.test("AnswerMachine adds up what its runs have computed ahead", () => {
  const stage = new Stage();
  stage.held();
  stage.started();
  stage.tokens("a");
  const figures = { prefillNs: 1, decodeNs: 1 };
  const finished = { kind: "run_finished", reason: "end", ...figures } as const;
  const end = stage.machine.step({ ...finished, drafts: { drafted: 14, accepted: 9 } }).at(-1);
  assert.deepEqual(end?.kind === "end" && end.report.drafts, { drafted: 14, accepted: 9 });
});

Deno.test("AnswerMachine cuts a run at a stop string and does not wait for its figures", () => {
  const stage = new Stage();
  stage.held();
  stage.started();
  stage.tokens("a");
  stage.nowMs += 10;
  const orders = stage.tokens("STOP and more");
  assert.deepEqual(kinds(orders), ["show", "leave_run", "end"]);
  const end = orders.at(-1);
  assert.ok(end?.kind === "end");
  assert.equal(end.report.stopString, "STOP");
  assert.deepEqual([end.report.end, end.report.promptNs, end.report.answerNs], [
    "stop_string",
    1e6,
    11e6,
  ]);
});

Deno.test("AnswerMachine shortens a prompt once, in a run of its own at the front", () => {
  const stage = new Stage({ isShortenable: true });
  stage.held();
  assert.deepEqual(stage.failed("prompt_too_long"), [{ kind: "shorten_prompt" }]);
  const shorter = {
    prompt: { kind: "text", text: "abcd", addSpecial: true },
    onLongPrompt: "truncate",
  } as const;
  assert.deepEqual(stage.machine.step({ kind: "prompt_shortened", shorter }), [
    { kind: "leave_run" },
    { kind: "acquire_slot", standing: "resumed", avoid: [], promptTokens: 1 },
  ]);
  const [run] = stage.held();
  assert.ok(run?.kind === "start_run");
  assert.deepEqual([run.request.prompt, run.request.onLongPrompt], [shorter.prompt, "truncate"]);
  assert.deepEqual(stage.failed("prompt_too_long"), [
    { kind: "leave_run" },
    { kind: "fail", why: "prompt_too_long" },
  ]);
});

Deno.test("AnswerMachine goes on when a runner dies while it counts tokens, and fails with what else went wrong", () => {
  for (
    const [code, last] of [["runner_lost", "acquire_slot"], ["invalid_request", "fail"]] as const
  ) {
    const stage = new Stage({ isShortenable: true });
    stage.held();
    stage.failed("prompt_too_long");
    assert.equal(stage.failed(code).at(-1)?.kind, last, code);
  }
  const stage = new Stage({ isShortenable: true });
  stage.held();
  stage.failed("prompt_too_long");
  assert.deepEqual(stage.machine.step({ kind: "prompt_shortened", shorter: undefined }), [
    { kind: "leave_run" },
    { kind: "fail", why: "prompt_too_long" },
  ]);
});

Deno.test("AnswerMachine leaves the run for whatever no other runner would change, and has none to leave before", () => {
  const waiting = new Stage();
  assert.deepEqual(waiting.failed("queue_full"), [{ kind: "fail", why: "cause" }]);
  const lostBefore = new Stage();
  assert.deepEqual(lostBefore.failed("runner_lost"), [{ kind: "fail", why: "cause" }]);
  const stage = new Stage();
  stage.held();
  stage.started();
  assert.deepEqual(stage.failed(), [{ kind: "leave_run" }, { kind: "fail", why: "cause" }]);
});

Deno.test("AnswerMachine leaves the run when nobody reads any more, once", () => {
  const stage = new Stage();
  stage.held();
  stage.started();
  assert.deepEqual(stage.machine.step({ kind: "abandoned" }), [{ kind: "leave_run" }]);
  assert.deepEqual(stage.machine.step({ kind: "abandoned" }), []);
  const waiting = new Stage();
  assert.deepEqual(waiting.machine.step({ kind: "abandoned" }), []);
});

Deno.test("AnswerMachine refuses facts that it does not wait for", () => {
  const stage = new Stage();
  assert.throws(() => stage.tokens("a"), { name: "InvariantError" });
  stage.held();
  assert.throws(() => stage.held(), { name: "InvariantError" });
});

const THINKING: Partial<AnswerWish> = {
  stream: {
    stops: [],
    thinking: { tags: { open: "<think>", close: "</think>" }, startsInside: false },
    atContent: "pause",
  },
  grammarAtContent: "root ::= x",
};

Deno.test("AnswerMachine begins the content anew under its grammar, behind the thinking", () => {
  const stage = new Stage(THINKING);
  stage.held();
  stage.started();
  const orders = stage.tokens("<think>hm</think>free text");
  assert.equal(shown(orders), "hm");
  assert.deepEqual(kinds(orders), ["show", "leave_run", "acquire_slot"]);
  const [run] = stage.held();
  assert.ok(run?.kind === "start_run" && run.request.prompt.kind === "text");
  assert.equal(run.request.prompt.text, "eight ch<think>hm</think>");
  assert.equal(run.request.grammar, "root ::= x");
  assert.deepEqual(run.request.emittedTokens, []);
});

Deno.test("AnswerMachine writes the content under its grammar also when it shows only as the run ends", () => {
  const stage = new Stage(THINKING);
  stage.held();
  stage.started();
  stage.tokens("<");
  const orders = stage.finished();
  assert.deepEqual(kinds(orders), ["show", "leave_run", "acquire_slot"]);
  stage.held();
  stage.started();
  assert.equal(shown(stage.tokens("x")), "x");
  assert.equal(stage.finished().at(-1)?.kind, "end");
});
