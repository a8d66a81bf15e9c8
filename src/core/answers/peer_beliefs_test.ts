import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import type { CandidateLoad } from "../scheduler/mod.ts";
import { type KnownHolder, PeerBeliefs, PrefixMemory, traceOf, withMoves } from "./peer_beliefs.ts";

const A = "a".repeat(16) as NodeId;
const B = "b".repeat(16) as NodeId;
const LOAD: CandidateLoad = {
  ageMs: 100,
  state: "loaded",
  slots: 1,
  freeSlots: 1,
  waitingRequests: 0,
  runningRequests: 0,
  decodeTokensPerMinute: 0,
  prefillTokensPerMinute: 0,
  availableBytes: 1,
};

function holder(changes: Partial<KnownHolder> = {}): KnownHolder {
  return { nodeId: A, name: "a", health: "alive", drained: false, load: LOAD, ...changes };
}

Deno.test("PeerBeliefs counts what was sent since the last report, until it is over", () => {
  const beliefs = new PeerBeliefs();
  const forgetFirst = beliefs.noteSent(A, 1_000);
  const forgetSecond = beliefs.noteSent(A, 2_000);
  beliefs.noteSent(B, 2_000);
  const sent = (nowMs: number, ageMs: number) =>
    beliefs.candidate(holder({ load: { ...LOAD, ageMs } }), nowMs).sentSinceReport;
  assert.equal(sent(2_000, 1_500), 2);
  assert.equal(sent(2_000, 1_000), 2, "a report of the very moment can't count it yet");
  assert.equal(sent(2_000, 500), 1);
  assert.equal(beliefs.candidate(holder({ load: undefined }), 9_999).sentSinceReport, 2);
  forgetFirst();
  forgetFirst();
  assert.equal(sent(2_000, 1_500), 1);
  forgetSecond();
  assert.equal(sent(2_000, 1_500), 0);
});

Deno.test("PeerBeliefs doubts a node that was lost for five seconds, or until it gives a slot", () => {
  const beliefs = new PeerBeliefs();
  const health = (nowMs: number, said: KnownHolder["health"] = "alive") =>
    beliefs.candidate(holder({ health: said }), nowMs).health;
  beliefs.doubt(A, 1_000);
  assert.equal(health(5_999), "suspect");
  assert.equal(health(6_000), "alive");
  assert.equal(health(2_000, "down"), "down");
  beliefs.doubt(B, 7_000);
  beliefs.doubt(A, 7_000);
  beliefs.trust(A);
  assert.equal(health(7_001), "alive");
});

Deno.test("PeerBeliefs names who may have kept more of a prompt than the node that computes it", () => {
  const beliefs = new PeerBeliefs();
  const [c, d] = ["c", "d"].map((digit) => digit.repeat(16) as NodeId) as [NodeId, NodeId];
  const text = "x".repeat(1_024);
  const prompt = { model: "m", trace: traceOf(text) };
  const candidates = [A, B, c, d].map((nodeId) => beliefs.candidate(holder({ nodeId }), 0));
  const keepers = (chosen: NodeId, avoid: readonly NodeId[] = [], among = candidates) =>
    beliefs.keepers(chosen, { prompt, avoid, candidates: among });
  assert.deepEqual(keepers(A), []);
  beliefs.noteComputed(B, { model: "m", trace: traceOf(text.slice(0, 512)) });
  beliefs.noteComputed(c, prompt);
  beliefs.noteComputed(d, { model: "other", trace: traceOf(text) });
  assert.deepEqual(keepers(A), [c, B]);
  assert.deepEqual(keepers(B), [c], "who has no more is of no use");
  assert.deepEqual(keepers(c), []);
  assert.deepEqual(keepers(A, [d]), [d, c], "where it ran, all of it is");
  assert.deepEqual(keepers(A, [B, d]), [d, B], "last of all");
  // A node that was lost may be back, with what its disk kept.
  beliefs.doubt(c, 0);
  const told = (nowMs: number) =>
    [A, B, c].map((nodeId) => beliefs.candidate(holder({ nodeId }), nowMs));
  assert.deepEqual(keepers(A, [], told(1)), [B], "nobody waits for one that is gone");
  assert.deepEqual(keepers(A, [], told(9_000)), [c, B]);
});

Deno.test("PeerBeliefs names as keeper who tells that it has more, though nothing was sent there", () => {
  const beliefs = new PeerBeliefs();
  const prompt = { model: "m", trace: traceOf("x".repeat(1_024)) };
  const told = [A, B].map((nodeId) =>
    beliefs.withResident(beliefs.candidate(holder({ nodeId }), 0), prompt, nodeId === B ? 512 : 0)
  );
  const keepers = (chosen: NodeId) =>
    beliefs.keepers(chosen, { prompt, avoid: [], candidates: told });
  assert.deepEqual([keepers(A), keepers(B)], [[B], []]);
});

Deno.test("withMoves() says of each node what it could fetch sooner than compute, and from nobody who is gone", () => {
  const beliefs = new PeerBeliefs();
  const load = { ...LOAD, prefillTokensPerMinute: 6_000 };
  const of = (nodeId: NodeId, residentTokens: number, changes: Partial<KnownHolder> = {}) => ({
    ...beliefs.candidate(holder({ nodeId, load, ...changes }), 0),
    residentTokens,
  });
  const moves = (
    candidates: readonly ReturnType<typeof of>[],
    bytesPerMs: number | undefined = 1_000,
  ) => withMoves(candidates, { tokenBytes: 1_000, bytesPerMs }).map(({ move }) => move);
  const two = [of(A, 200), of(B, 1_000)];
  assert.deepEqual(moves(two), [{ savedTokens: 800, ms: 1_000 }, undefined]);
  // 800 tokens are computed in 8 s.
  assert.deepEqual(moves(two, 125), [undefined, undefined], "as long as to compute them");
  assert.deepEqual(moves(two, 126)[0]?.savedTokens, 800);
  assert.deepEqual(
    withMoves(two, { tokenBytes: 1_000, bytesPerMs: undefined }),
    two,
    "no move was measured",
  );
  assert.deepEqual(moves([of(A, 200), of(B, 1_000, { health: "suspect" })]), [
    undefined,
    undefined,
  ]);
  assert.deepEqual(
    moves([of(A, 200, { load: LOAD }), of(B, 1_000)]),
    [undefined, undefined],
    "nobody knows what to compute takes",
  );
  const cold = { ...load, state: "cold" as const };
  assert.deepEqual(moves([of(A, 200, { load: cold }), of(B, 1_000)]), [undefined, undefined]);
  assert.deepEqual(moves([of(A, 0), of(B, 600_000)], 1e6), [undefined, undefined], "too large");
});

Deno.test("PeerBeliefs expects a prompt's beginning where it was computed, while the runner lives", () => {
  const beliefs = new PeerBeliefs();
  const prompt = { model: "m", trace: traceOf("x".repeat(600)) };
  const resident = (state: CandidateLoad["state"] = "loaded") => {
    const candidate = beliefs.candidate(holder({ load: { ...LOAD, state } }), 0);
    return beliefs.withResident(candidate, prompt).residentTokens;
  };
  assert.equal(resident(), 0);
  beliefs.noteComputed(A, prompt);
  assert.equal(resident(), 128);
  assert.equal(resident("cold"), 0);
  beliefs.doubt(A, 0);
  assert.equal(resident(), 0);
});

const AT_A = { model: "m", nodeId: "a".repeat(16) as NodeId };
const AT_B = { model: "m", nodeId: "b".repeat(16) as NodeId };

function prompt(length: number, ending = ""): string {
  return "The same old story. ".repeat(length / 20) + ending;
}

Deno.test("PrefixMemory knows how much of a conversation a node has computed", () => {
  const memory = new PrefixMemory();
  memory.note(AT_A, traceOf(prompt(1000)));
  assert.equal(memory.residentChars(AT_A, traceOf(prompt(1000, "and on"))), 768);
  assert.equal(memory.residentChars(AT_A, traceOf(prompt(400, "x".repeat(600)))), 256);
  assert.equal(memory.residentChars(AT_A, traceOf("x".repeat(600) + prompt(1000))), 0);
  assert.equal(memory.residentChars(AT_B, traceOf(prompt(1000))), 0);
  assert.equal(memory.residentChars({ ...AT_A, model: "other" }, traceOf(prompt(1000))), 0);
});

Deno.test("PrefixMemory forgets what was overwritten, and what a node lost", () => {
  const memory = new PrefixMemory();
  memory.note(AT_A, traceOf("first ".repeat(100)));
  for (let count = 0; count < 8; count++) {
    memory.note(AT_A, traceOf(`${count} and more `.repeat(50)));
  }
  assert.equal(memory.residentChars(AT_A, traceOf("first ".repeat(100))), 0);
  assert.ok(memory.residentChars(AT_A, traceOf("7 and more ".repeat(50))) > 0);
  memory.forget(AT_A.nodeId);
  assert.equal(memory.residentChars(AT_A, traceOf("7 and more ".repeat(50))), 0);
});

Deno.test("PrefixMemory gives a growing conversation one place only", () => {
  const memory = new PrefixMemory();
  memory.note(AT_A, traceOf("other ".repeat(100)));
  for (let turn = 1; turn < 50; turn++) memory.note(AT_A, traceOf(prompt(turn * 300)));
  assert.ok(memory.residentChars(AT_A, traceOf("other ".repeat(100))) > 0);
});

Deno.test("PrefixMemory keeps 256 pairs of node and model", () => {
  const memory = new PrefixMemory();
  for (let count = 0; count < 300; count++) {
    memory.note({ ...AT_A, model: String(count) }, traceOf(prompt(300)));
  }
  assert.equal(memory.residentChars({ ...AT_A, model: "43" }, traceOf(prompt(300))), 0);
  assert.equal(memory.residentChars({ ...AT_A, model: "44" }, traceOf(prompt(300))), 256);
});

Deno.test("PrefixMemory agrees with comparing the texts themselves", () => {
  const random = new Random(5);
  for (let round = 0; round < 200; round++) {
    const memory = new PrefixMemory();
    const texts = Array.from({ length: 4 }, () => {
      const shared = random.below(1200);
      return "a".repeat(shared) +
        String.fromCharCode(98 + random.below(3)).repeat(random.below(900));
    });
    const [asked = "", ...noted] = texts;
    for (const text of noted) memory.note(AT_A, traceOf(text));
    const common = noted.map((text) => {
      let at = 0;
      while (at < Math.min(text.length, asked.length) && text[at] === asked[at]) at++;
      return Math.floor(at / 256) * 256;
    });
    assert.equal(memory.residentChars(AT_A, traceOf(asked)), Math.max(...common), `round ${round}`);
  }
});
