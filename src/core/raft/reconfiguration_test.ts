import assert from "node:assert/strict";
import { change, type GroupOptions, idOf, RaftGroup } from "../../../tests/sim/raft_group.ts";
import type { GroupStep, RaftMessage } from "../../protocol/mod.ts";

function add(number: number): GroupStep {
  return { action: "add_voter", node: idOf(number) };
}

function learn(number: number): GroupStep {
  return { action: "add_learner", node: idOf(number) };
}

function remove(number: number): GroupStep {
  return { action: "remove", node: idOf(number) };
}

Deno.test("A learner catches up before it is promoted, and counts for quorums only then (thesis, 4.2.1)", () => {
  const group = new RaftGroup(1);
  group.elect(1);
  for (const text of ["a", "b"]) group.propose(1, text);
  group.settle();
  group.add(2);
  group.node(1).proposeChange(change([learn(2)]));
  assert.deepEqual(group.node(1).caughtUpLearners(0), []);
  group.settle();
  group.tick(2);
  assert.deepEqual(group.node(1).caughtUpLearners(0), [idOf(2)]);
  assert.deepEqual(group.node(2).caughtUpLearners(0), [], "only the leader knows");
  group.isolate(2);
  group.propose(1, "c");
  group.settle();
  assert.deepEqual(group.applied(1), ["a", "b", "c"], "a learner holds nobody up");
  assert.deepEqual(group.node(1).caughtUpLearners(0), []);
  assert.deepEqual(group.node(1).caughtUpLearners(1), [idOf(2)]);
  group.heal();
  group.tick(2);
  group.node(1).proposeChange(change([add(2)]));
  group.settle();
  group.isolate(2);
  group.propose(1, "d");
  group.settle();
  assert.deepEqual(group.applied(1), ["a", "b", "c"], "two voters need each other");
});

Deno.test("Several voters change through a joint configuration that is left by itself (paper, section 6)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.add(4);
  group.add(5);
  group.node(1).proposeChange(change([add(4), add(5), remove(2), remove(3)]));
  group.settle();
  group.tick(3);
  for (const number of [1, 4, 5]) {
    assert.deepEqual(group.view(number).configuration.voters, [idOf(1), idOf(4), idOf(5)]);
    assert.deepEqual(group.view(number).configuration.votersOutgoing, []);
  }
  group.propose(1, "a");
  group.settle();
  assert.deepEqual(group.applied(5), ["a"]);
});

Deno.test("A joint configuration is left once, however much is applied meanwhile (etcd bd3c759)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.cut(1, 2);
  group.cut(1, 3);
  group.node(1).proposeChange(change([learn(2), learn(3)], "implicit"));
  for (const text of ["a", "b"]) group.propose(1, text);
  group.settle();
  const { term, lastIndex } = group.view(1);
  // Node 2 acknowledges the change and what follows it one by one, so that they are applied one by one.
  for (const index of [lastIndex - 2, lastIndex - 1, lastIndex]) {
    const answer = { kind: "append_response", rejection: undefined, term, index } as const;
    group.deliver({ ...answer, from: idOf(2), to: idOf(1) });
    group.settle();
  }
  assert.deepEqual(group.applied(1), ["a", "b"]);
  assert.equal(group.view(1).lastIndex, lastIndex + 1, "one entry leaves it");
});

Deno.test("While joint, both majorities must agree (paper, section 6)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.add(4);
  group.add(5);
  group.node(1).proposeChange(change([add(4), add(5), remove(2), remove(3)], "explicit"));
  group.settle();
  group.tick(3);
  group.isolate(2);
  group.isolate(3);
  group.propose(1, "a");
  group.settle();
  assert.deepEqual(group.applied(4), [], "the new majority alone commits nothing");
  group.heal();
  group.isolate(4);
  group.isolate(5);
  group.propose(1, "b");
  group.tick(3);
  assert.deepEqual(group.applied(2), ["a"], "nor does the old one");
  group.heal();
  group.tick(3);
  assert.deepEqual(group.applied(4), ["a", "b"]);
  group.node(1).proposeChange(change([]));
  group.settle();
  assert.deepEqual(group.view(1).configuration.votersOutgoing, []);
});

Deno.test("A second change is refused until the first is applied, and becomes an empty command", () => {
  const group = new RaftGroup(1);
  group.elect(1);
  group.node(1).proposeChange(change([learn(2)]));
  group.node(1).proposeChange(change([learn(3)]));
  group.settle();
  assert.deepEqual(group.view(1).configuration.learners, [idOf(2)]);
  group.node(1).proposeChange(change([]));
  group.settle();
  assert.equal(group.view(1).configuration.learners.length, 1, "nothing to leave");
});

Deno.test("A new leader takes no change before it committed in its own term (Ongaro, raft-dev 2015)", () => {
  const group = new RaftGroup(2);
  group.elect(1);
  group.cut(1, 2);
  group.propose(1, "a");
  group.settle();
  group.restart(1, 2);
  group.heal();
  group.node(1).campaign();
  while (group.view(1).role !== "leader") {
    group.drive(1);
    group.drive(2);
    const messages = group.messages;
    group.messages = [];
    for (const message of messages) group.deliver(message);
  }
  group.node(1).proposeChange(change([learn(3)]));
  group.settle();
  assert.deepEqual(group.view(1).configuration.learners, [], "it became an empty command");
  group.node(1).proposeChange(change([learn(3)]));
  group.settle();
  assert.deepEqual(group.view(1).configuration.learners, [idOf(3)]);
});

Deno.test("A leader that is removed manages until that is applied, then steps down (paper, section 6)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.node(1).proposeChange(change([remove(1)]));
  group.settle();
  assert.equal(group.view(1).role, "follower");
  group.elect(1);
  assert.deepEqual(group.view(1).role, "follower", "it has no vote to win with");
  group.elect(2);
  assert.deepEqual(group.leaders(), [2]);
});

Deno.test("A removed leader that stays does not count itself (etcd, confchange_v1_remove_leader)", () => {
  const group = new RaftGroup(3, { stepDownOnRemoval: false });
  group.elect(1);
  group.node(1).proposeChange(change([remove(1)]));
  group.settle();
  assert.equal(group.view(1).role, "leader");
  const dropped = group.propose(1, "a");
  assert.equal(dropped.kind === "refused" && dropped.reason, "proposal_dropped");
});

Deno.test("A demoted leader steps down, and becomes a learner", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.node(1).proposeChange(change([learn(1)]));
  group.settle();
  assert.equal(group.view(1).role, "follower");
  assert.deepEqual(group.view(2).configuration.learners, [idOf(1)]);
});

Deno.test("Removing a voter commits what the smaller quorum already holds, at once", () => {
  const group = new RaftGroup(4, { voters: [1, 2, 3, 4] });
  group.elect(1);
  group.cut(1, 3);
  group.cut(1, 4);
  group.node(1).proposeChange(change([remove(4)]));
  group.propose(1, "a");
  group.settle();
  assert.deepEqual(group.applied(1), []);
  group.heal();
  group.cut(1, 4);
  group.tick(2);
  assert.deepEqual(group.applied(1), ["a"]);
});

Deno.test("A transfer to a node that is removed meanwhile is given up", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.node(1).proposeChange(change([remove(3)]));
  group.cut(1, 3);
  group.cut(2, 3);
  group.node(1).transferLeadership(idOf(3));
  group.settle();
  assert.equal(group.view(1).transferTarget, undefined);
});

Deno.test("A new leader leaves a joint configuration that its predecessor entered (etcd bd3c759)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.add(4);
  group.node(1).proposeChange(change([add(4), remove(3)]));
  // All but the leader's own leave entry gets through.
  group.drive(1);
  for (let round = 0; round < 6; round++) {
    const messages = group.messages.filter((message) =>
      message.kind !== "append_request" ||
      message.entries.every((entry) =>
        entry.kind !== "group_change" || entry.change.steps.length > 0
      )
    );
    group.messages = [];
    for (const message of messages) group.deliver(message);
    for (const number of [1, 2, 3, 4]) group.drive(number);
  }
  assert.ok(group.view(2).configuration.autoLeave);
  group.messages = [];
  group.isolate(1);
  group.elect(2);
  group.tick(3);
  assert.deepEqual(group.leaders(), [2]);
  assert.deepEqual(group.view(2).configuration.votersOutgoing, []);
  assert.deepEqual(group.view(2).configuration.voters, [1, 2, 4].map(idOf));
});

Deno.test("A restart takes the configuration from the snapshot, joint or not (etcd e515a67)", () => {
  const group = new RaftGroup(2);
  group.elect(1);
  group.node(1).proposeChange(change([learn(2)], "explicit"));
  group.settle();
  group.compact(1);
  const before = group.view(1).configuration;
  assert.deepEqual(before.learnersNext, [idOf(2)]);
  group.restart(1, group.log(1).lastIndex());
  assert.deepEqual(group.view(1).configuration, before);
});

Deno.test("A committed change that does not fit is ignored by everyone alike", () => {
  // No leader of this version appends it, so one of another version leads.
  const group = new RaftGroup(2, { voters: [1, 2, 3] });
  const append = { kind: "append_request", from: idOf(3), term: 1, commit: 2 } as const;
  const previous = { term: 1, index: 1 };
  const misfit = { kind: "group_change", term: 1, index: 2, change: change([]) } as const;
  for (const number of [1, 2]) {
    group.deliver({ ...append, to: idOf(number), previous, entries: [misfit] });
  }
  group.settle();
  for (const number of [1, 2]) {
    assert.equal(group.view(number).configuration.voters.length, 3);
    assert.equal(group.view(number).applied, 2);
  }
});

Deno.test("A change that was handed out before a snapshot came counts only once", () => {
  const group = new RaftGroup(3);
  const node = group.node(2);
  const { configuration } = group.view(2);
  const voters = [...configuration.voters, idOf(4)];
  const snapshot = {
    id: { term: 1, index: 9 },
    configuration: { ...configuration, voters },
    data: new Uint8Array(),
  };
  node.step({ kind: "snapshot_request", from: idOf(1), to: idOf(2), term: 1, snapshot });
  const after = node.applyChange(change([add(4), remove(3)]));
  assert.deepEqual(after, snapshot.configuration, "the joint phase lies behind the snapshot");
});

/**
 * Node 1 hands its group over to nodes 2 and 3. Only node 1 hears that this is committed, and only its log goes further.
 */
function handOver(options: GroupOptions): RaftGroup {
  const group = new RaftGroup(1, options);
  group.elect(1);
  for (const number of [2, 3]) {
    group.add(number, options);
    group.node(1).proposeChange(change([learn(number)]));
    group.settle();
    group.tick(2);
  }
  const leaves = group.view(1).lastIndex + 2;
  const tells = (message: RaftMessage) =>
    ("commit" in message && message.commit >= leaves) ||
    ("entries" in message && message.entries.some(({ index }) => index > leaves));
  group.node(1).proposeChange(change([add(2), add(3), remove(1)]));
  while (group.view(1).role === "leader") {
    for (const number of [1, 2, 3]) while (group.drive(number));
    if (group.view(1).lastIndex === leaves) group.propose(1, "a");
    const messages = group.messages.filter((message) => !tells(message));
    group.messages = [];
    for (const message of messages) group.deliver(message);
  }
  group.messages = [];
  return group;
}

Deno.test("Who needs the vote of a leader that has left hears from it that it has left", () => {
  for (const preVote of [false, true]) {
    const group = handOver({ preVote, checkQuorum: true });
    assert.deepEqual(group.view(1).configuration.voters, [idOf(2), idOf(3)]);
    assert.deepEqual(group.view(2).configuration.votersOutgoing, [idOf(1)], "and needs its vote");
    assert.ok(group.view(1).lastIndex > group.view(2).lastIndex, "which it may not give");
    group.tick(60);
    assert.equal(group.leaders().length, 1);
    assert.deepEqual(group.view(2).configuration.votersOutgoing, []);
    assert.deepEqual(group.view(3).configuration.votersOutgoing, []);
  }
});

Deno.test("A refusal that comes when the election is lost still tells what is committed", () => {
  const group = handOver({});
  group.node(2).campaign();
  group.drive(2);
  const term = group.view(2).term;
  const lost = { term, preVote: false, granted: false, committed: { term: 1, index: 1 } };
  group.deliver({ ...lost, kind: "vote_response", from: idOf(3), to: idOf(2) });
  assert.equal(group.view(2).role, "follower");
  group.settle();
  assert.deepEqual(group.view(2).configuration.votersOutgoing, []);
});

Deno.test("Who campaigns tells the one with the longest log that it has a vote", () => {
  // Given a newcomer with the longest log, which has not heard that it was let in.
  const group = new RaftGroup(2);
  group.elect(1);
  group.add(3);
  group.node(1).proposeChange(change([learn(3)]));
  group.settle();
  group.tick(2);
  group.cut(1, 3);
  group.node(1).proposeChange(change([add(3)]));
  group.settle();
  group.propose(1, "a");
  group.drive(1);
  const [append] = group.messages.filter(({ to }) => to === idOf(3));
  group.messages = [];
  assert.ok(append?.kind === "append_request");
  const { lastIndex } = group.view(1);
  const entries = group.log(1).entries(append.previous.index, lastIndex + 1, Infinity) ?? [];
  const previous = { term: 1, index: append.previous.index - 1 };
  group.deliver({ ...append, previous, entries, commit: previous.index });
  group.isolate(1);
  group.settle();
  assert.deepEqual(group.view(3).configuration.learners, [idOf(3)]);
  // When the others are alone.
  group.tick(60);
  // Then it leads: the other one may not.
  assert.deepEqual(group.leaders(), [3]);
});

Deno.test("A candidate gives up when it hears that a change is committed", () => {
  const group = handOver({});
  group.node(2).campaign();
  group.drive(2);
  const { term } = group.view(2);
  const id = { term: 1, index: group.view(2).lastIndex };
  const answer = { term, preVote: false, granted: true, committed: id } as const;
  group.deliver({ ...answer, kind: "vote_response", from: idOf(3), to: idOf(2) });
  assert.equal(group.view(2).role, "follower");
  assert.equal(group.view(2).committed, id.index);
});

Deno.test("What somebody else has committed at an index is not taken for the own entry there", () => {
  const group = handOver({});
  const before = group.view(2).committed;
  const { lastIndex: index, term } = group.view(2);
  const request = { preVote: true, transfer: false, last: { term: 9, index: 99 } };
  const letter = { ...request, from: idOf(3), to: idOf(2), term: term + 1 };
  for (const committed of [{ term: 2, index }, { term: 1, index: 90 }]) {
    group.deliver({ ...letter, kind: "vote_request", committed });
  }
  assert.equal(group.view(2).committed, before);
  group.deliver({ ...letter, kind: "vote_request", committed: { term: 1, index: 100 } });
  assert.equal(group.refusals(2).length, 1, "nobody commits what it lacks");
});

Deno.test("A change that found no room leaves no trace: the next one need not wait for it", () => {
  const group = new RaftGroup(2, { uncommittedBytesMax: 10 });
  group.elect(1);
  group.isolate(2);
  group.propose(1, "x".repeat(500));
  const full = group.node(1).proposeChange(change([learn(3)]));
  assert.equal(full.kind === "refused" && full.reason, "proposal_dropped");
  group.heal();
  group.tick(2);
  group.node(1).proposeChange(change([learn(3)]));
  group.settle();
  assert.deepEqual(group.view(1).configuration.learners, [idOf(3)]);
});
