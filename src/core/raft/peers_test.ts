import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { fromGroup } from "./configuration.ts";
import { Inflights, Peers, Progress } from "./peers.ts";

const LIMITS = { messagesMax: 3, bytesMax: 100 };

function progressAt(next: number): Progress {
  return new Progress(next, LIMITS, { isLearner: false });
}

Deno.test("Inflights is full by count", () => {
  const inflights = new Inflights(LIMITS);
  for (const index of [1, 2, 3]) inflights.add(index, 1);
  assert.ok(inflights.full);
  assert.throws(() => inflights.add(4, 1), { name: "InvariantError" });
  inflights.freeTo(2);
  assert.deepEqual([inflights.count, inflights.full], [1, false]);
});

Deno.test("Inflights takes appends in the order of the log alone", () => {
  const inflights = new Inflights(LIMITS);
  inflights.add(2, 1);
  assert.throws(() => inflights.add(2, 1), { name: "InvariantError" });
});

Deno.test("Inflights is full by bytes, and lets one append go beyond", () => {
  const inflights = new Inflights(LIMITS);
  inflights.add(1, 99);
  assert.equal(inflights.full, false);
  inflights.add(2, 500);
  assert.ok(inflights.full);
  inflights.freeTo(2);
  assert.equal(inflights.full, false);
});

Deno.test("Inflights forgets its bytes with its appends, else a follower would stall for good", () => {
  const inflights = new Inflights(LIMITS);
  inflights.add(1, 100);
  inflights.clear();
  assert.deepEqual([inflights.count, inflights.full], [0, false]);
});

Deno.test("Progress probes with one append until it hears back", () => {
  const progress = progressAt(5);
  progress.sent(1, 10, 0);
  assert.ok(progress.paused);
  assert.equal(progress.next, 5, "a probe is not optimistic");
  assert.ok(progress.acknowledge(5));
  assert.deepEqual([progress.paused, progress.match, progress.next], [false, 5, 6]);
});

Deno.test("Progress replicates optimistically until the window is full", () => {
  const progress = progressAt(5);
  progress.acknowledge(4);
  progress.becomeReplicate();
  for (let sent = 0; sent < 3; sent++) progress.sent(2, 10, 0);
  assert.deepEqual([progress.next, progress.paused], [11, true]);
  progress.release();
  assert.equal(progress.paused, false, "a sign of life allows one empty append");
  progress.sent(0, 0, 0);
  assert.ok(progress.paused);
});

Deno.test("Progress ignores a rejection that answers an older append", () => {
  const probing = progressAt(9);
  assert.equal(probing.reject(5, 3), false);
  assert.ok(probing.reject(8, 3));
  assert.equal(probing.next, 4);
  const replicating = progressAt(9);
  replicating.acknowledge(7);
  replicating.becomeReplicate();
  assert.equal(replicating.reject(7, 2), false);
  assert.ok(replicating.reject(12, 2));
  assert.equal(replicating.next, 8, "never below what is known to match");
});

Deno.test("Progress probes on behind a delivered snapshot and from before a lost one", () => {
  const delivered = progressAt(5);
  delivered.becomeSnapshot(20);
  assert.ok(delivered.paused);
  delivered.becomeProbe();
  assert.equal(delivered.next, 21);
  const lost = progressAt(5);
  lost.becomeSnapshot(20);
  lost.snapshotFailed();
  assert.equal(lost.next, 1);
  lost.hold();
  assert.ok(lost.paused, "not at once again");
  assert.throws(() => {
    delivered.becomeSnapshot(30);
    delivered.sent(1, 1, 1);
  }, { name: "InvariantError" });
});

Deno.test("Progress tells a commit index early only when it can move the follower's", () => {
  const progress = progressAt(11);
  progress.acknowledge(10);
  progress.becomeReplicate();
  progress.sentCommit(8);
  assert.ok(progress.learnsFrom(9));
  assert.equal(progress.learnsFrom(8), false);
  progress.sentCommit(10);
  assert.equal(progress.learnsFrom(11), false, "it lacks entry 11 itself");
});

Deno.test("Peers keeps what it knows of a follower through a change, and starts fresh ones anew", () => {
  const [one, two] = ["0000000000000001", "0000000000000002"] as NodeId[];
  assert.ok(one !== undefined && two !== undefined);
  const group = { votersOutgoing: [], learnersNext: [], autoLeave: false };
  const peers = new Peers(LIMITS);
  const before = fromGroup({ ...group, voters: [one], learners: [two] });
  const after = fromGroup({ ...group, voters: [one, two], learners: [] });
  assert.ok(before !== undefined && after !== undefined);
  peers.switchTo(before, 7);
  assert.ok(peers.get(two).recentlyActive, "a newcomer must not end a leadership at once");
  peers.get(two).acknowledge(7);
  peers.switchTo(after, 9);
  assert.deepEqual([peers.get(two).match, peers.get(two).isLearner], [7, false]);
  peers.switchTo(after, 9, new Set([two]));
  assert.deepEqual([peers.get(two).match, peers.get(two).next], [0, 9]);
  assert.throws(() => peers.get("0000000000000009" as NodeId), { name: "InvariantError" });
});
