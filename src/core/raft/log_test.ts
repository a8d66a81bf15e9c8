import assert from "node:assert/strict";
import { Random } from "../../base/mod.ts";
import type { Entry, Snapshot } from "../../protocol/mod.ts";
import { EMPTY_GROUP, MemoryLog } from "../../../tests/sim/memory_log.ts";
import { entriesBytes, entryBytes, limitEntries, RaftLog } from "./log.ts";
import { Unstable } from "./unstable.ts";

function entry(term: number, index: number, bytes = 0): Entry {
  return { kind: "command", term, index, data: new Uint8Array(bytes) };
}

function entries(...places: [term: number, index: number][]): Entry[] {
  return places.map(([term, index]) => entry(term, index));
}

function logOf(...terms: number[]): { log: RaftLog; stable: MemoryLog } {
  const stable = new MemoryLog();
  stable.append(terms.map((term, position) => entry(term, position + 1)));
  return { log: new RaftLog(stable, Infinity), stable };
}

const SNAPSHOT: Snapshot = {
  id: { term: 3, index: 10 },
  configuration: EMPTY_GROUP,
  data: new Uint8Array(),
};

Deno.test("RaftLog refuses entries whose predecessor it lacks (paper, figure 2, AppendEntries 2)", () => {
  const { log } = logOf(1, 1, 2);
  const mismatch = { kind: "mismatch" };
  assert.deepEqual(log.appendAfter({ term: 1, index: 3 }, entries([2, 4]), 0), mismatch);
  assert.deepEqual(log.appendAfter({ term: 2, index: 4 }, entries([2, 5]), 0), mismatch);
});

Deno.test("RaftLog truncates only at a real conflict (paper, figure 2, AppendEntries 3)", () => {
  const { log } = logOf(1, 1, 1, 1);
  log.appendAfter({ term: 1, index: 1 }, entries([1, 2]), 0);
  assert.equal(log.lastIndex, 4, "a short, late message removes nothing");
  log.appendAfter({ term: 1, index: 1 }, entries([1, 2], [2, 3]), 0);
  assert.deepEqual([log.lastIndex, log.last.term], [3, 2]);
});

Deno.test("RaftLog orders no second write of entries that are being written", () => {
  const { log } = logOf(1);
  log.appendAfter({ term: 1, index: 1 }, entries([1, 2], [1, 3]), 0);
  log.acceptUnstable();
  log.appendAfter({ term: 1, index: 1 }, entries([1, 2], [1, 3], [1, 4]), 0);
  assert.deepEqual(log.nextUnstableEntries.map(({ index }) => index), [4]);
});

Deno.test("RaftLog commits no further than the message verified (paper, figure 2, AppendEntries 5)", () => {
  const { log } = logOf(1, 1, 1, 1);
  log.appendAfter({ term: 1, index: 1 }, entries([1, 2]), 4);
  assert.equal(log.committed, 2, "entries 3 and 4 may differ from the leader's");
});

Deno.test("RaftLog reports a conflict with a committed entry instead of overwriting it", () => {
  const { log } = logOf(1, 1, 1);
  log.commitTo(2);
  assert.deepEqual(log.appendAfter({ term: 1, index: 1 }, entries([2, 2]), 0), {
    kind: "conflicts_with_committed",
    index: 2,
  });
  assert.throws(() => log.append(entries([2, 2])), { name: "InvariantError" });
  assert.throws(() => log.commitTo(4), { name: "InvariantError" });
});

Deno.test("RaftLog compares logs by last term, then by length (paper, 5.4.1)", () => {
  const { log } = logOf(1, 2, 2);
  assert.ok(log.isUpToDate({ term: 3, index: 1 }));
  assert.ok(log.isUpToDate({ term: 2, index: 3 }));
  assert.equal(log.isUpToDate({ term: 2, index: 2 }), false);
  assert.equal(log.isUpToDate({ term: 1, index: 9 }), false);
});

Deno.test("RaftLog.lastBelowTerm() skips whole terms (paper, 5.3)", () => {
  const { log, stable } = logOf(1, 2, 2, 5, 5);
  assert.deepEqual(log.lastBelowTerm(5, 4), { term: 2, index: 3 });
  assert.deepEqual(log.lastBelowTerm(5, 0), { term: 0, index: 0 });
  stable.dropUpTo(3);
  const beforeCompacted = log.lastBelowTerm(5, 1);
  assert.deepEqual(beforeCompacted, { term: 0, index: 2 }, "perhaps it agrees there");
});

Deno.test("RaftLog hands out committed entries once, in portions below the limit", () => {
  const stable = new MemoryLog();
  stable.append([1, 2, 3, 4].map((index) => entry(1, index, 50)));
  const size = entryBytes(entry(1, 1, 50));
  const log = new RaftLog(stable, 2 * size);
  log.commitTo(4);
  const first = log.nextCommitted();
  assert.deepEqual(first.map(({ index }) => index), [1, 2]);
  log.acceptApplying(2, entriesBytes(first));
  assert.equal(log.hasNextCommitted, false, "two are still being applied");
  log.appliedTo(1, size);
  assert.deepEqual(log.nextCommitted().map(({ index }) => index), [3]);
  log.appliedTo(2, size);
  assert.deepEqual(log.nextCommitted().map(({ index }) => index), [3, 4]);
  assert.throws(() => log.appliedTo(5, 0), { name: "InvariantError" });
  assert.throws(() => log.acceptApplying(2, 0), { name: "InvariantError" }, "a second time");
  assert.throws(() => log.acceptApplying(5, 0), { name: "InvariantError" }, "not there");
});

Deno.test("RaftLog gives nothing committed up for a snapshot", () => {
  const { log } = logOf(1, 1);
  log.commitTo(2);
  const older = { ...SNAPSHOT, id: { term: 1, index: 2 } };
  assert.throws(() => log.restore(older), { name: "InvariantError" });
});

Deno.test("RaftLog applies nothing past a snapshot that is not durable yet", () => {
  const { log } = logOf(1, 1);
  log.restore(SNAPSHOT);
  log.append(entries([3, 11]));
  log.commitTo(11);
  assert.deepEqual([log.hasNextCommitted, log.nextCommitted().length], [false, 0]);
  log.snapshotStableTo(10);
  log.appliedTo(10, 0);
  assert.equal(log.hasNextCommitted, false, "entry 11 is not durable here");
  log.stableTo({ term: 3, index: 11 });
  assert.equal(log.hasNextCommitted, true);
});

Deno.test("RaftLog.slice() equals a plain array's, over stable and unstable parts and any limit", () => {
  const random = new Random(3);
  for (let round = 0; round < 500; round++) {
    const all = Array.from({ length: 12 }, (_, at) => entry(1, at + 1, random.below(30)));
    const stable = new MemoryLog();
    stable.append(all.slice(0, 6));
    const log = new RaftLog(stable, Infinity);
    log.append(all.slice(6));
    const low = 1 + random.below(12);
    const high = low + random.below(14 - low);
    const limit = random.below(300);
    const wanted = limitEntries(all.slice(low - 1, high - 1), limit);
    assert.deepEqual(log.slice(low, high, limit), wanted);
  }
});

Deno.test("Unstable ignores the confirmation of a write that was overwritten meanwhile", () => {
  const unstable = new Unstable(5);
  unstable.truncateAndAppend(entries([1, 5], [1, 6]));
  unstable.acceptInProgress();
  unstable.truncateAndAppend(entries([2, 6]));
  assert.deepEqual(unstable.nextEntries.map(({ term, index }) => [term, index]), [[2, 6]]);
  unstable.stableTo({ term: 1, index: 6 });
  assert.equal(unstable.offset, 5, "entry 6 of term 1 is no longer in the log");
  unstable.stableTo({ term: 1, index: 5 });
  assert.equal(unstable.offset, 6);
  unstable.truncateAndAppend(entries([3, 4], [3, 5]));
  assert.deepEqual([unstable.offset, unstable.nextEntries.length], [4, 2]);
  assert.throws(() => unstable.truncateAndAppend(entries([3, 9])), { name: "InvariantError" });
});

Deno.test("Unstable replaces all it holds by a snapshot, and forgets it once durable", () => {
  const unstable = new Unstable(5);
  unstable.truncateAndAppend(entries([1, 5]));
  unstable.restore(SNAPSHOT);
  assert.deepEqual([unstable.firstIndex, unstable.lastIndex, unstable.term(10)], [11, 10, 3]);
  assert.equal(unstable.nextSnapshot, SNAPSHOT);
  unstable.acceptInProgress();
  assert.equal(unstable.nextSnapshot, undefined);
  unstable.snapshotStableTo(9);
  assert.equal(unstable.snapshot, SNAPSHOT);
  unstable.snapshotStableTo(10);
  assert.equal(unstable.snapshot, undefined);
});

Deno.test("limitEntries() always lets one entry through", () => {
  const three = [entry(1, 1, 100), entry(1, 2, 100), entry(1, 3, 100)];
  assert.equal(limitEntries(three, 0).length, 1);
  assert.equal(limitEntries(three, 2 * entryBytes(entry(1, 1, 100))).length, 2);
  assert.equal(limitEntries(three, Infinity).length, 3);
});
