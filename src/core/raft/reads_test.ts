import assert from "node:assert/strict";
import { change, idOf, RaftGroup } from "../../../tests/sim/raft_group.ts";

Deno.test("A read index is confirmed by a quorum of heartbeats (thesis, 6.4)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.propose(1, "a");
  group.settle();
  group.isolate(3);
  assert.equal(group.node(1).readIndex("r").kind, "accepted");
  assert.deepEqual(group.reads(1), []);
  group.settle();
  assert.deepEqual(group.reads(1), [{ index: 3, context: "r" }]);
});

Deno.test("A leader that was replaced answers no read (thesis, 6.4)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.isolate(1);
  group.elect(2);
  group.propose(2, "new");
  group.settle();
  group.node(1).readIndex("stale");
  group.tick(5);
  assert.deepEqual(group.reads(1), []);
  group.heal();
  group.tick(2);
  assert.deepEqual(group.reads(1), []);
});

Deno.test("Followers read through their leader", () => {
  const group = new RaftGroup(3);
  assert.equal(group.node(2).readIndex("early").kind, "refused");
  group.elect(1);
  group.node(2).readIndex("r");
  group.settle();
  assert.deepEqual(group.reads(2), [{ index: 2, context: "r" }]);
});

Deno.test("No read is answered before a leader committed in its term (etcd 7331)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.propose(1, "a");
  group.settle();
  group.cut(2, 3);
  group.cut(2, 1);
  group.node(2).campaign();
  group.drive(2);
  const committed = { term: 1, index: 1 };
  const vote = { kind: "vote_response", preVote: false, granted: true, committed } as const;
  group.deliver({ ...vote, from: idOf(3), to: idOf(2), term: 2 });
  assert.equal(group.view(2).role, "leader");
  group.node(2).readIndex("r");
  group.settle();
  assert.deepEqual(group.reads(2), []);
  group.heal();
  group.tick(2);
  assert.deepEqual(group.reads(2), [{ index: group.view(2).committed, context: "r" }]);
});

Deno.test("The only voter of both halves of a joint configuration reads without asking anyone", () => {
  const group = new RaftGroup(1);
  group.elect(1);
  const step = { action: "add_learner", node: idOf(2) } as const;
  group.node(1).proposeChange(change([step], "explicit"));
  group.settle();
  assert.deepEqual(group.view(1).configuration.votersOutgoing, [idOf(1)]);
  group.node(1).readIndex("r");
  group.settle();
  assert.deepEqual(group.reads(1), [{ index: group.view(1).committed, context: "r" }]);
});

Deno.test("A group of one reads at once, but not before its first commit of the term", () => {
  const group = new RaftGroup(1);
  group.elect(1);
  group.node(1).readIndex("r");
  group.settle();
  assert.deepEqual(group.reads(1), [{ index: 2, context: "r" }]);
  group.restart(1);
  group.node(1).campaign();
  group.drive(1);
  group.node(1).readIndex("early");
  assert.equal(group.reads(1).length, 1);
  group.settle();
  assert.deepEqual(group.reads(1).at(-1), { index: 3, context: "early" });
});

Deno.test("The same context asked twice needs two confirmations (etcd 20418)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.node(1).readIndex("same");
  group.drive(1);
  const [first] = group.messages.filter((message) => message.kind === "heartbeat_request");
  group.messages = [];
  assert.ok(first?.kind === "heartbeat_request");
  // The echo of the first round arrives only after the retry was asked, and after a new entry was committed.
  group.propose(1, "a");
  group.settle();
  const before = group.reads(1).length;
  group.cut(1, 2);
  group.cut(1, 3);
  group.node(1).readIndex("same");
  group.settle();
  const echo = { kind: "heartbeat_response", to: idOf(1), term: 1, round: first.round } as const;
  group.deliver({ ...echo, from: idOf(2) });
  group.settle();
  for (const read of group.reads(1).slice(before)) assert.equal(read.index, 2);
  assert.ok(group.reads(1).length <= before + 1);
});

Deno.test("Reads that wait are bounded, and echoes of rounds never opened count for nothing", () => {
  const group = new RaftGroup(3, { readsPendingMax: 2 });
  group.elect(1);
  group.isolate(1);
  group.node(1).readIndex("a");
  group.node(1).readIndex("b");
  const third = group.node(1).readIndex("c");
  assert.equal(third.kind === "refused" && third.reason, "reads_full");
  const echo = { kind: "heartbeat_response", to: idOf(1), term: 1, round: 99 } as const;
  group.deliver({ ...echo, from: idOf(2) });
  group.settle();
  assert.deepEqual(group.reads(1), []);
});
