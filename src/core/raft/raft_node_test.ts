import assert from "node:assert/strict";
import { write } from "../../../tests/sim/inline_storage.ts";
import { MemoryLog } from "../../../tests/sim/memory_log.ts";
import { change, idOf, RaftGroup } from "../../../tests/sim/raft_group.ts";
import { Random } from "../../base/mod.ts";
import { type AppendOrder, RAFT_DEFAULTS, RaftNode, type RaftOptions } from "./mod.ts";

const ENCODER = new TextEncoder();

function nodeWith(options: Partial<RaftOptions>): RaftNode {
  const full = { ...RAFT_DEFAULTS, ...options, id: idOf(1) };
  return new RaftNode(full, new MemoryLog(), new Random(1));
}

/** Carries out the next order to the disk of a node, and returns it. */
function carryOut(group: RaftGroup, number: number): AppendOrder | undefined {
  const node = group.node(number);
  const { append } = node.ready();
  if (append === undefined) return undefined;
  write(group.log(number), append);
  for (const answer of append.answers) {
    if (!("to" in answer) || answer.to === idOf(number)) node.step(answer);
  }
  return append;
}

Deno.test("RaftNode refuses options that contradict each other", () => {
  const bad: Partial<RaftOptions>[] = [
    { heartbeatTicks: 0 },
    { electionTicks: 3, heartbeatTicks: 3 },
    { inflightMessagesMax: 0 },
    { inflightBytesMax: 10, messageBytesMax: 20 },
  ];
  for (const options of bad) {
    assert.throws(() => nodeWith(options), { name: "InvariantError" }, JSON.stringify(options));
  }
});

Deno.test("RaftNode has nothing to do at first, and says once what is to be done", () => {
  const group = new RaftGroup(1);
  const node = group.node(1);
  assert.equal(node.hasReady(), false);
  node.campaign();
  assert.ok(node.hasReady());
  node.ready();
  assert.equal(node.hasReady(), false);
});

Deno.test("RaftNode tells after how many ticks one does more than count", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  for (let number = 1; number <= 3; number++) {
    const node = group.node(number);
    for (let round = 0; round < 20; round++) {
      for (let left = node.ticksUntilDue(); left > 1; left--) {
        node.tick();
        assert.equal(node.ticksUntilDue(), left - 1);
        assert.equal(node.hasReady(), false, `node ${number}, ${left} ticks before it is due`);
      }
      const { role } = node.view();
      node.tick();
      if (role !== "leader") assert.ok(node.hasReady(), `node ${number} campaigns`);
      node.ready();
    }
  }
});

Deno.test("RaftNode has no tick that is due while it is alone or a learner", () => {
  const lone = new RaftGroup(1);
  lone.elect(1);
  assert.equal(lone.node(1).ticksUntilDue(), Infinity);
  const node = nodeWith({}); // Of no group yet.
  assert.equal(node.ticksUntilDue(), Infinity);
});

Deno.test("RaftNode must sync for terms, votes and entries, not for a commit index", () => {
  const group = new RaftGroup(1);
  const node = group.node(1);
  node.campaign();
  const vote = carryOut(group, 1);
  assert.deepEqual([vote?.mustSync, vote?.hardState], [true, {
    term: 1,
    vote: idOf(1),
    commit: 1,
  }]);
  const entry = carryOut(group, 1);
  assert.deepEqual([entry?.mustSync, entry?.entries.length], [true, 1]);
  assert.equal(entry?.hardState, undefined);
  const commit = carryOut(group, 1);
  assert.deepEqual([commit?.mustSync, commit?.hardState?.commit], [false, 2]);
});

Deno.test("RaftNode must sync for a snapshot, which replaces the log", () => {
  const group = new RaftGroup(2);
  const { configuration } = group.view(2);
  const snapshot = { id: { term: 1, index: 9 }, configuration, data: new Uint8Array() };
  const request = { kind: "snapshot_request", from: idOf(1), to: idOf(2), term: 1 } as const;
  group.node(2).step({ ...request, snapshot: { ...snapshot, id: { term: 1, index: 5 } } });
  carryOut(group, 2);
  group.node(2).step({ ...request, snapshot });
  assert.equal(carryOut(group, 2)?.mustSync, true);
});

Deno.test("RaftNode commits a single voter's entry only once its own write is confirmed (etcd 14370)", () => {
  const group = new RaftGroup(1);
  const node = group.node(1);
  node.campaign();
  const election = node.ready();
  for (const answer of election.append?.answers ?? []) node.step(answer);
  node.propose(ENCODER.encode("a"));
  const written = node.ready();
  assert.equal(written.apply, undefined);
  assert.equal(node.view().committed, 1);
  group.log(1).append(written.append?.entries ?? []);
  for (const answer of written.append?.answers ?? []) node.step(answer);
  assert.equal(node.view().committed, 3);
  const applying = node.ready();
  assert.equal(applying.apply?.entries.length, 2);
  assert.equal(node.view().applied, 1);
  for (const answer of applying.apply?.answers ?? []) node.step(answer);
  assert.equal(node.view().applied, 3);
});

Deno.test("RaftNode confirms with a later write what an earlier term's write could not", () => {
  const group = new RaftGroup(2);
  const node = group.node(2);
  const append = (term: number) =>
    node.step({
      kind: "append_request",
      from: idOf(1),
      to: idOf(2),
      term,
      previous: { term: 1, index: 1 },
      entries: [{ kind: "command", term: 1, index: 2, data: new Uint8Array() }],
      commit: 0,
    });
  append(1);
  const first = node.ready();
  append(2);
  const second = node.ready();
  assert.equal(second.append?.entries.length, 0, "the same entry is already on its way");
  group.log(2).append(first.append?.entries ?? []);
  for (const answer of first.append?.answers ?? []) {
    if (answer.kind === "append_done") node.step(answer);
  }
  assert.equal(second.append?.answers.at(-1)?.kind, "append_done");
  for (const answer of second.append?.answers ?? []) {
    if (answer.kind === "append_done") node.step(answer);
  }
  const third = node.hasReady() ? node.ready() : undefined;
  assert.equal(third?.append?.answers.some(({ kind }) => kind === "append_done") ?? false, false);
});

Deno.test("RaftNode trusts no write of an earlier term, though it wrote the same entry (A-B-A)", () => {
  const group = new RaftGroup(3);
  const node = group.node(3);
  const write = (from: number, term: number, entryTerm: number) => {
    node.step({
      kind: "append_request",
      from: idOf(from),
      to: idOf(3),
      term,
      previous: { term: 1, index: 1 },
      entries: [{ kind: "command", term: entryTerm, index: 2, data: new Uint8Array() }],
      commit: 0,
    });
    const order = node.ready().append;
    group.log(3).append(order?.entries ?? []);
    return order?.answers.filter(({ kind }) => kind === "append_done") ?? [];
  };
  const first = write(1, 1, 1);
  write(2, 2, 2);
  const third = write(1, 3, 1);
  // The disk still has the second write before it, which will remove what the first one wrote.
  for (const answer of first) node.step(answer);
  node.step({
    kind: "heartbeat_request",
    from: idOf(1),
    to: idOf(3),
    term: 3,
    commit: 2,
    round: 0,
  });
  assert.equal(node.ready().apply, undefined);
  for (const answer of third) node.step(answer);
  assert.equal(node.ready().apply?.entries.length, 1);
});

Deno.test("RaftNode refuses messages that are not for it, or claim to be from itself", () => {
  const group = new RaftGroup(2);
  const beat = { kind: "heartbeat_request", term: 1, commit: 0, round: 0 } as const;
  for (const [from, to] of [[2, 2], [1, 1]] as const) {
    const outcome = group.node(1).step({ ...beat, from: idOf(from), to: idOf(to) });
    assert.equal(outcome.kind === "refused" && outcome.reason, "malformed");
  }
});

Deno.test("RaftNode tells what happened, in bounded notes", () => {
  const group = new RaftGroup(1);
  const node = group.node(1);
  node.campaign();
  const { notes, append } = node.ready();
  assert.deepEqual(notes.map(({ kind }) => kind), ["role_changed"]);
  for (const answer of append?.answers ?? []) node.step(answer);
  for (let count = 0; count < 1_000; count++) node.proposeChange(change([]));
  assert.ok(node.ready().notes.length <= 256);
});

Deno.test("RaftNode forgets a leader on request, without leaving its term", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.node(2).forgetLeader();
  assert.deepEqual([group.view(2).leader, group.view(2).term], [undefined, 1]);
  group.node(1).forgetLeader();
  assert.equal(group.view(1).role, "leader");
  group.tick(1);
  assert.equal(group.view(2).leader, idOf(1));
});

Deno.test("RaftNode replays the same inputs to the same outputs", () => {
  const run = () => {
    const group = new RaftGroup(3, { preVote: true, checkQuorum: true }, 7);
    const seen: unknown[] = [];
    for (let tick = 0; tick < 60; tick++) {
      group.tick(1);
      if (tick % 7 === 0) {
        for (const leader of group.leaders()) group.propose(leader, `${tick}`);
      }
      if (tick === 30) { for (const leader of group.leaders()) group.isolate(leader); }
      seen.push([1, 2, 3].map((number) => group.view(number)));
    }
    return JSON.stringify(seen);
  };
  assert.equal(run(), run());
});

Deno.test("No sequence of random messages makes a node throw, and none changes what was committed", () => {
  const random = new Random(11);
  const id = () => idOf(1 + random.below(4));
  const place = () => ({ term: random.below(5), index: random.below(8) });
  const entries = (term: number, index: number) =>
    Array.from({ length: random.below(3) }, (_, at) => {
      const place = {
        term: random.chance(1, 5) ? random.below(6) : term,
        index: random.chance(1, 20) ? random.below(9) : index + 1 + at,
      };
      if (random.chance(2, 3)) {
        return { kind: "command" as const, ...place, data: Uint8Array.of(random.below(3)) };
      }
      const actions = ["add_voter", "add_learner", "remove"] as const;
      const action = random.pick(actions) ?? "remove";
      const transition = random.pick(["auto", "implicit", "explicit"] as const) ?? "auto";
      const steps = random.chance(1, 3) ? [] : [{ action, node: id() }];
      return { kind: "group_change" as const, ...place, change: change(steps, transition) };
    });
  for (let round = 0; round < 150; round++) {
    const group = new RaftGroup(3, { preVote: random.chance(1, 2), checkQuorum: true }, round);
    const node = group.node(1);
    const committed: string[] = [];
    for (let step = 0; step < 120; step++) {
      const from = id();
      const envelope = { from, to: idOf(1), term: random.below(6) };
      const previous = place();
      const flag = random.chance(1, 2);
      const { configuration } = group.view(2);
      const [last, known] = [place(), place()];
      const messages = [
        { kind: "append_request" as const, previous, commit: random.below(8) },
        { kind: "append_response" as const, index: random.below(8) },
        { kind: "heartbeat_request" as const, commit: random.below(8), round: random.below(4) },
        { kind: "heartbeat_response" as const, round: random.below(4) },
        { kind: "vote_request" as const, preVote: flag, last, committed: known, transfer: flag },
        {
          kind: "vote_response" as const,
          preVote: flag,
          committed: known,
          granted: random.chance(1, 2),
        },
        { kind: "timeout_now" as const },
        { kind: "transfer_request" as const, target: id() },
        { kind: "read_index_request" as const, context: "r" },
        { kind: "read_index_response" as const, index: random.below(8), context: "r" },
        { kind: "snapshot_request" as const },
      ];
      const message = random.pick(messages);
      if (message === undefined) continue;
      switch (message.kind) {
        case "append_request":
          node.step({
            ...envelope,
            ...message,
            entries: entries(previous.term, previous.index),
          });
          break;
        case "append_response": {
          const rejection = flag
            ? { hintIndex: random.below(8), hintTerm: random.below(5) }
            : undefined;
          node.step({ ...envelope, ...message, rejection });
          break;
        }
        case "snapshot_request": {
          const snapshot = { id: place(), configuration, data: new Uint8Array() };
          // Replacing the log is what a snapshot is for; only rarely, so that the rest is tried too.
          if (random.chance(1, 10)) node.step({ ...envelope, ...message, snapshot });
          break;
        }
        case "read_index_request":
          node.step({ ...message, from, to: idOf(1) });
          break;
        default:
          node.step({ ...envelope, ...message });
      }
      if (random.chance(1, 3)) node.tick();
      const commit = node.view().committed;
      while (group.drive(1));
      assert.ok(node.view().committed >= commit);
      assert.deepEqual(group.applied(1).slice(0, committed.length), committed);
      committed.push(...group.applied(1).slice(committed.length));
    }
  }
});

Deno.test("RaftNode starts though its machine was saved before the commit index was", () => {
  const group = new RaftGroup(1);
  group.elect(1);
  group.propose(1, "a");
  group.settle();
  const log = group.log(1);
  log.hardState = { ...log.hardState, commit: 1 };
  group.restart(1, log.lastIndex());
  assert.equal(group.view(1).committed, log.lastIndex());
});
