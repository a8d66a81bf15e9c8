import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { type CandidateLoad, traceOf } from "../scheduler/mod.ts";
import { type KnownHolder, PeerBeliefs } from "./mod.ts";

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
