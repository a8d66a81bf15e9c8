import assert from "node:assert/strict";
import { CONNECTION_TIMES } from "./limits.ts";
import { type ConnectionFacts, ConnectionProgress, type Overdue } from "./progress.ts";

const LIMITS = { ...CONNECTION_TIMES, connectionsMax: 8, connectionsPerAddressMax: 8 };
const QUIET: ConnectionFacts = {
  openRequests: 0,
  requests: 0,
  awaitsBody: false,
  discards: false,
  bytesRead: 0,
  bytesPending: 0,
  bytesTaken: 0,
};
const ASKED: ConnectionFacts = { ...QUIET, openRequests: 1, requests: 1, bytesRead: 100 };

/** Looks once a second; what is found at each second, and the first thing overdue with its second. */
function firstOverdue(
  factsAt: (second: number) => ConnectionFacts,
  secondsMax = 300,
): readonly [Overdue, number] | undefined {
  const progress = new ConnectionProgress(LIMITS, 0);
  for (let second = 1; second <= secondsMax; second++) {
    const overdue = progress.look(factsAt(second), second * 1000);
    if (overdue !== undefined) return [overdue, second];
  }
  return undefined;
}

Deno.test("a connection without a request is idle after a minute", () => {
  assert.deepEqual(firstOverdue(() => QUIET), ["idle", 61]);
});

Deno.test("a connection is idle a minute after its last request", () => {
  const served = { ...QUIET, requests: 1, bytesRead: 100 };
  const facts = (second: number) => second < 20 ? ASKED : served;
  assert.deepEqual(firstOverdue(facts), ["idle", 80]);
});

Deno.test("requests between two looks count", () => {
  const facts = (second: number) => {
    const requests = Math.min(100, second);
    return { ...QUIET, requests, bytesRead: requests * 100 };
  };
  assert.deepEqual(firstOverdue(facts), ["idle", 160]);
});

Deno.test("headers that don't end are late, however many bytes come", () => {
  assert.deepEqual(firstOverdue((second) => ({ ...QUIET, bytesRead: second })), [
    "headers_late",
    11,
  ]);
  const second = (at: number) =>
    at < 20 ? ASKED : { ...ASKED, openRequests: 0, bytesRead: at < 30 ? 100 : 101 };
  assert.deepEqual(firstOverdue(second), ["headers_late", 40]);
});

Deno.test("a body is stalled when none of its bytes come, not while they do", () => {
  const waiting = { ...ASKED, awaitsBody: true };
  assert.deepEqual(firstOverdue(() => waiting), ["body_stalled", 31]);
  const trickling = (second: number) => ({ ...waiting, bytesRead: Math.ceil(second / 29) });
  assert.equal(firstOverdue(trickling), undefined);
});

Deno.test("a body that nobody asks for is not waited for", () => {
  assert.equal(firstOverdue(() => ASKED), undefined);
});

Deno.test("the rest of a body that nobody reads has five seconds", () => {
  const rest = (second: number) => ({
    ...ASKED,
    openRequests: 0,
    discards: true,
    bytesRead: second,
  });
  assert.deepEqual(firstOverdue(rest), ["body_unread", 6]);
});

Deno.test("a reader is stuck when it takes nothing, not while it takes little", () => {
  const pending = { ...ASKED, bytesPending: 1000, bytesTaken: 5 };
  assert.deepEqual(firstOverdue(() => pending), ["reader_stuck", 61]);
  const slow = (second: number) => ({ ...pending, bytesTaken: Math.ceil(second / 59) });
  assert.equal(firstOverdue(slow), undefined);
});

Deno.test("an answer may take as long as it does", () => {
  assert.equal(firstOverdue(() => ASKED, 10_000), undefined);
});
