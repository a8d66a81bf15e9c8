import assert from "node:assert/strict";
import { idOf, RaftGroup } from "../../../tests/sim/raft_group.ts";
import type { AppendRequest, Entry } from "../../protocol/mod.ts";

function appendsTo(group: RaftGroup, to: number): AppendRequest[] {
  return group.messages.filter((message) => message.kind === "append_request")
    .filter((message) => message.to === idOf(to));
}

function command(term: number, index: number): Entry {
  return { kind: "command", term, index, data: new Uint8Array([1]) };
}

Deno.test("Raft applies commands everywhere in one order once a quorum holds them (paper, 5.3)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.cut(1, 3);
  for (const text of ["a", "b", "c"]) group.propose(1, text);
  group.settle();
  assert.deepEqual(group.applied(2), ["a", "b", "c"]);
  assert.deepEqual(group.applied(3), []);
  group.heal();
  group.tick(2);
  assert.deepEqual(group.applied(3), ["a", "b", "c"]);
});

Deno.test("Raft commits nothing without a quorum", () => {
  const group = new RaftGroup(5);
  group.elect(1);
  for (const number of [3, 4, 5]) group.isolate(number);
  group.propose(1, "a");
  group.settle();
  assert.deepEqual([group.applied(1), group.view(1).lastIndex], [[], 3]);
});

Deno.test("A leader commits entries of earlier terms only behind one of its own (paper, 5.4.2, figure 8)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.isolate(1);
  group.propose(1, "old");
  group.settle();
  // Node 1 leads again two terms later, with "old" still uncommitted.
  group.restart(1);
  group.heal();
  group.isolate(2);
  group.node(3).campaign();
  group.drive(3);
  group.messages = [];
  group.node(1).campaign();
  group.settle();
  group.node(1).campaign();
  group.drive(1);
  const { term, lastIndex } = group.view(1);
  for (const message of group.messages) group.deliver(message);
  group.messages = [];
  group.drive(3);
  for (const message of group.messages) group.deliver(message);
  group.messages = [];
  group.drive(1);
  assert.equal(group.view(1).role, "leader");
  // Node 3 acknowledges "old", but not yet the empty entry of node 1's new term.
  const answer = { kind: "append_response", to: idOf(1), rejection: undefined } as const;
  group.deliver({ ...answer, from: idOf(3), term, index: lastIndex });
  group.drive(1);
  assert.ok(group.view(1).committed < lastIndex, "a quorum holds it, and it may still be replaced");
  group.deliver({ ...answer, from: idOf(3), term, index: lastIndex + 1 });
  group.drive(1);
  assert.deepEqual(group.applied(1), ["old"]);
});

Deno.test("A follower that rejects what it acknowledged is asked once per heartbeat, not in a loop", () => {
  const group = new RaftGroup(2);
  group.elect(1);
  const answer = { kind: "append_response", from: idOf(2), to: idOf(1), term: 1 } as const;
  group.node(1).reportUnreachable(idOf(2));
  for (let count = 0; count < 3; count++) {
    group.deliver({ ...answer, index: 2, rejection: { hintIndex: 0, hintTerm: 0 } });
    group.drive(1);
  }
  assert.deepEqual(group.messages, []);
});

Deno.test("A leader overwrites what followers hold beyond its log (paper, 5.3, figure 7)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.isolate(1);
  for (const text of ["x", "y", "z"]) group.propose(1, text);
  group.settle();
  group.elect(2);
  group.propose(2, "a");
  group.settle();
  group.heal();
  group.tick(2);
  assert.deepEqual(group.applied(1), ["a"]);
  assert.equal(group.log(1).lastIndex(), group.log(2).lastIndex());
});

Deno.test("A rejected append costs a round trip per term, not per entry (paper, 5.3)", () => {
  const group = new RaftGroup(2);
  group.elect(1);
  group.isolate(2);
  for (let count = 0; count < 50; count++) group.propose(1, `x${count}`);
  group.settle();
  group.restart(1);
  group.node(1).campaign();
  group.drive(1);
  group.messages = [];
  group.heal();
  // The vote comes in late; then the leader probes at the end of its log, 50 entries too far.
  const committed = { term: 1, index: 1 };
  const vote = { kind: "vote_response", preVote: false, granted: true, committed } as const;
  group.deliver({ ...vote, from: idOf(2), to: idOf(1), term: 2 });
  let probes = 0;
  for (let busy = true; busy;) {
    busy = group.drive(1) || group.drive(2);
    probes += appendsTo(group, 2).length;
    const messages = group.messages;
    group.messages = [];
    for (const message of messages) group.deliver(message);
  }
  assert.equal(group.applied(2).length, 50);
  assert.ok(probes <= 4, `${probes} appends`);
});

Deno.test("Appends are pipelined up to the window, then wait for acknowledgements (thesis, 10.2.1)", () => {
  const group = new RaftGroup(2, { inflightMessagesMax: 3 });
  group.elect(1);
  for (const text of ["a", "b", "c", "d", "e"]) group.propose(1, text);
  group.drive(1);
  assert.equal(appendsTo(group, 2).length, 3);
  group.settle();
  assert.deepEqual(group.applied(2), ["a", "b", "c", "d", "e"]);
});

Deno.test("A full window that was lost whole does not stall the follower (etcd 14633)", () => {
  const group = new RaftGroup(3, { inflightMessagesMax: 2 });
  group.elect(1);
  group.cut(1, 3);
  for (const text of ["a", "b", "c", "d"]) {
    group.propose(1, text);
    group.settle();
  }
  group.heal();
  group.tick(3);
  assert.deepEqual(group.applied(3), ["a", "b", "c", "d"]);
});

Deno.test("Appends are cut at the size limit, and bytes in flight are bounded", () => {
  const group = new RaftGroup(2, { messageBytesMax: 300, inflightBytesMax: 500 });
  group.elect(1);
  group.isolate(2);
  for (let count = 0; count < 10; count++) group.propose(1, "x".repeat(100));
  group.settle();
  group.heal();
  group.node(1).tick();
  for (let round = 0; round < 40; round++) {
    group.drive(1);
    group.drive(2);
    for (const append of appendsTo(group, 2)) assert.ok(append.entries.length <= 2);
    const messages = group.messages;
    group.messages = [];
    for (const message of messages) group.deliver(message);
    const follower = group.view(1).peers.find(({ id }) => id === idOf(2));
    assert.ok((follower?.inflightCount ?? 0) <= 5);
  }
  group.tick(2);
  assert.equal(group.applied(2).length, 10);
});

Deno.test("Proposals are dropped while too many bytes are uncommitted, but one always gets in", () => {
  const group = new RaftGroup(2, { uncommittedBytesMax: 100 });
  group.elect(1);
  group.isolate(2);
  assert.equal(group.propose(1, "x".repeat(500)).kind, "accepted");
  const refused = group.propose(1, "y");
  assert.deepEqual(refused.kind === "refused" && refused.reason, "proposal_dropped");
  group.heal();
  group.tick(2);
  assert.equal(group.propose(1, "y").kind, "accepted", "committing makes room again");
});

Deno.test("Followers pass proposals on to their leader", () => {
  const group = new RaftGroup(3);
  assert.equal(group.propose(2, "early").kind, "refused");
  group.elect(1);
  group.propose(2, "a");
  group.settle();
  assert.deepEqual(group.applied(3), ["a"]);
});

Deno.test("A heartbeat commits no further than what its follower is known to hold", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.cut(1, 3);
  group.propose(1, "a");
  group.settle();
  group.node(1).tick();
  group.drive(1);
  const beats = group.messages.filter((message) => message.kind === "heartbeat_request");
  assert.deepEqual(beats.map(({ to, commit }) => [to, commit]), [[idOf(2), 3], [idOf(3), 2]]);
});

Deno.test("A node that lost what it acknowledged says so instead of following", () => {
  const group = new RaftGroup(2);
  group.elect(1);
  const beat = { kind: "heartbeat_request", from: idOf(1), to: idOf(2), round: 0 } as const;
  const outcome = group.node(2).step({ ...beat, term: 1, commit: 99 });
  assert.equal(outcome.kind === "refused" && outcome.reason, "log_lost");
  const append = group.node(2).step({
    kind: "append_request",
    from: idOf(1),
    to: idOf(2),
    term: 5,
    previous: { term: 0, index: 0 },
    entries: [command(4, 1)],
    commit: 0,
  });
  assert.equal(append.kind, "accepted", "a late message behind the commit index is just answered");
  assert.equal(group.log(2).term(1), 1);
});

Deno.test("Malformed appends and acknowledgements are refused and change nothing", () => {
  const group = new RaftGroup(2);
  group.elect(1);
  const before = JSON.stringify(group.view(2));
  const append = {
    kind: "append_request",
    from: idOf(1),
    to: idOf(2),
    term: 1,
    previous: { term: 1, index: 1 },
    commit: 1,
  } as const;
  for (const entries of [[command(1, 3)], [command(2, 2)], [command(1, 2), command(0, 3)]]) {
    const outcome = group.node(2).step({ ...append, entries });
    assert.equal(outcome.kind === "refused" && outcome.reason, "malformed");
  }
  assert.equal(JSON.stringify(group.view(2)), before);
  const answer = { kind: "append_response", to: idOf(1), term: 1, rejection: undefined } as const;
  const beyond = group.node(1).step({ ...answer, from: idOf(2), index: 99 });
  assert.equal(beyond.kind === "refused" && beyond.reason, "malformed");
  const stranger = group.node(1).step({ ...answer, from: idOf(7), index: 1 });
  assert.equal(stranger.kind === "refused" && stranger.reason, "unknown_peer");
  const rival = group.node(1).step({ ...append, from: idOf(2), to: idOf(1), entries: [] });
  assert.equal(rival.kind === "refused" && rival.reason, "malformed");
});

Deno.test("A follower whose entries are compacted away gets a snapshot, then the rest (paper, section 7)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.isolate(3);
  for (const text of ["a", "b", "c"]) group.propose(1, text);
  group.settle();
  group.compact(1);
  group.propose(1, "d");
  group.settle();
  group.heal();
  group.tick(3);
  assert.deepEqual(group.log(3).firstIndex(), group.log(1).firstIndex());
  assert.deepEqual(group.applied(3), ["d"]);
  assert.equal(group.view(1).peers.at(-1)?.mode, "replicate");
});

Deno.test("A snapshot that was lost is sent again, after a heartbeat", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.isolate(3);
  group.propose(1, "a");
  group.settle();
  group.compact(1);
  group.heal();
  group.cut(1, 3);
  group.node(1).reportUnreachable(idOf(3));
  group.node(1).step({ kind: "heartbeat_response", from: idOf(3), to: idOf(1), term: 1, round: 0 });
  group.settle();
  assert.equal(group.view(1).peers.at(-1)?.mode, "snapshot");
  group.heal();
  group.tick(2);
  assert.equal(group.view(1).peers.at(-1)?.mode, "snapshot", "it waits for the delivery report");
  group.node(1).reportSnapshot(idOf(3), "failed");
  group.settle();
  assert.deepEqual([group.view(1).peers.at(-1)?.mode, group.applied(3)], ["probe", []]);
  group.tick(2);
  assert.equal(group.view(1).peers.at(-1)?.mode, "replicate");
  group.node(1).reportSnapshot(idOf(3), "delivered");
  assert.equal(group.view(1).peers.at(-1)?.mode, "replicate", "a late report changes nothing");
});

Deno.test("A follower reported unreachable is probed until it answers", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.node(1).reportUnreachable(idOf(2));
  assert.equal(group.view(1).peers[1]?.mode, "probe");
  group.tick(1);
  assert.equal(group.view(1).peers[1]?.mode, "replicate");
});

Deno.test("A follower whose log holds a snapshot's last entry keeps the entries behind it (paper, figure 13)", () => {
  const group = new RaftGroup(2);
  group.elect(1);
  group.cut(2, 1);
  group.propose(1, "a");
  group.propose(1, "b");
  group.settle();
  const last = group.log(2).lastIndex();
  const outcome = group.node(2).step({
    kind: "snapshot_request",
    from: idOf(1),
    to: idOf(2),
    term: 1,
    snapshot: {
      id: { term: 1, index: last - 1 },
      configuration: group.view(2).configuration,
      data: new Uint8Array(),
    },
  });
  assert.equal(outcome.kind, "accepted");
  assert.deepEqual([group.view(2).lastIndex, group.view(2).committed], [last, last - 1]);
});

Deno.test("A snapshot that contradicts itself, or is old is not installed", () => {
  const group = new RaftGroup(2);
  group.elect(1);
  const { configuration } = group.view(2);
  const send = (index: number, carried = configuration, term = 1) =>
    group.node(2).step({
      kind: "snapshot_request",
      from: idOf(1),
      to: idOf(2),
      term: 1,
      snapshot: { id: { term, index }, configuration: carried, data: new Uint8Array() },
    });
  assert.equal(send(50, configuration, 3).kind, "refused");
  assert.equal(send(50, { ...configuration, learners: configuration.voters }).kind, "refused");
  assert.equal(send(0).kind, "accepted");
  assert.deepEqual([group.view(2).committed, group.view(2).lastIndex], [2, 2]);
});

Deno.test("A learner that lacks nothing hears each eighth heartbeat, one that lacks something hears them all", () => {
  const group = new RaftGroup(4, {
    voters: [1, 2],
    learners: [3, 4],
    learnerHeartbeats: 8,
    checkQuorum: true,
  });
  group.elect(1);
  group.tick(1, 1);
  const heard = countHeartbeats(group, 16);
  assert.deepEqual(heard, { 2: 16, 3: 2, 4: 2 });
  assert.deepEqual(group.node(1).caughtUpLearners(0), [idOf(3), idOf(4)]);
  group.cut(1, 4);
  group.propose(1, "a");
  group.settle();
  group.node(1).reportUnreachable(idOf(4));
  assert.deepEqual(countHeartbeats(group, 16), { 2: 16, 3: 2, 4: 16 });
  assert.deepEqual(group.node(1).caughtUpLearners(0), [idOf(3)]);
  group.heal();
  group.tick(1, 1);
  assert.deepEqual(group.applied(4), ["a"]);
  group.isolate(3);
  group.tick(24, 1);
  assert.deepEqual(group.node(1).caughtUpLearners(0), [idOf(4)], "silent for longer than that");
});

/** How many each node is sent while the leader, node 1, ticks alone. */
function countHeartbeats(group: RaftGroup, ticks: number): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let tick = 0; tick < ticks; tick++) {
    group.node(1).tick();
    group.drive(1);
    for (const { kind, to } of group.messages) {
      if (kind === "heartbeat_request") {
        counts[parseInt(to, 16)] = (counts[parseInt(to, 16)] ?? 0) + 1;
      }
    }
    group.settle();
  }
  return counts;
}
