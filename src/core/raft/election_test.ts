import assert from "node:assert/strict";
import { InlineStorage } from "../../../tests/sim/inline_storage.ts";
import { idOf, RaftGroup } from "../../../tests/sim/raft_group.ts";
import { Random } from "../../base/mod.ts";
import { MemoryLog } from "../../../tests/sim/memory_log.ts";
import { RAFT_DEFAULTS, RaftNode } from "./mod.ts";

Deno.test("Raft elects one leader, who writes an empty entry of its term first (paper, 5.2 and 8)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  assert.deepEqual(group.leaders(), [1]);
  for (const number of [1, 2, 3]) {
    assert.equal(group.view(number).leader, idOf(1));
    assert.deepEqual([group.view(number).committed, group.log(number).term(2)], [2, 1]);
  }
});

Deno.test("Raft draws its election timeout from [electionTicks, 2 * electionTicks) (paper, 5.2)", () => {
  const random = new Random(9);
  const seen = new Set<number>();
  for (let round = 0; round < 400; round++) {
    const log = new MemoryLog();
    log.install({
      id: { term: 1, index: 1 },
      configuration: {
        voters: [idOf(1), idOf(2)],
        votersOutgoing: [],
        learners: [],
        learnersNext: [],
        autoLeave: false,
      },
      data: new Uint8Array(),
    });
    const node = new RaftNode({ ...RAFT_DEFAULTS, id: idOf(1) }, log, random.fork());
    let ticks = 0;
    for (; node.view().role === "follower"; ticks++) node.tick();
    seen.add(ticks);
  }
  assert.deepEqual([...seen].sort((a, b) => a - b), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
});

Deno.test("Raft gives one vote per term, first come first served (paper, 5.2)", () => {
  const group = new RaftGroup(3);
  const ask = (from: number) =>
    group.node(3).step({
      kind: "vote_request",
      from: idOf(from),
      to: idOf(3),
      term: 1,
      preVote: false,
      last: { term: 1, index: 1 },
      transfer: false,
      committed: { term: 1, index: 1 },
    });
  ask(1);
  ask(2);
  ask(1);
  group.drive(3);
  const answers = group.messages.map((message) =>
    message.kind === "vote_response" && [message.to, message.granted]
  );
  assert.deepEqual(answers, [[idOf(1), true], [idOf(2), false], [idOf(1), true]]);
});

Deno.test("Raft keeps its vote over a restart, so that it never votes twice (paper, figure 2)", () => {
  const group = new RaftGroup(3);
  group.isolate(1);
  group.node(2).campaign();
  group.settle();
  assert.deepEqual([group.view(3).vote, group.leaders()], [idOf(2), [2]]);
  group.restart(3);
  assert.deepEqual([group.view(3).vote, group.view(3).term], [idOf(2), 1]);
});

Deno.test("Raft makes its vote durable before it sends it", () => {
  const group = new RaftGroup(2);
  const node = group.node(2);
  node.step({
    kind: "vote_request",
    from: idOf(1),
    to: idOf(2),
    term: 3,
    preVote: false,
    last: { term: 1, index: 1 },
    transfer: false,
    committed: { term: 1, index: 1 },
  });
  const ready = node.ready();
  assert.deepEqual(ready.messages, []);
  assert.deepEqual(ready.append?.hardState, { term: 3, vote: idOf(1), commit: 1 });
  assert.deepEqual(ready.append?.answers.map(({ kind }) => kind), ["vote_response"]);
  assert.ok(ready.append?.mustSync);
});

Deno.test("Raft refuses its vote to a log that is behind (paper, 5.4.1)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.isolate(3);
  group.propose(1, "a");
  group.settle();
  group.heal();
  group.elect(3);
  assert.deepEqual(group.leaders(), []);
  group.elect(2);
  assert.deepEqual(group.leaders(), [2]);
  assert.deepEqual(group.applied(3), ["a"]);
});

Deno.test("A candidate follows a leader of its own term and gives up when outvoted (paper, 5.2)", () => {
  const group = new RaftGroup(3);
  group.cut(1, 2);
  group.cut(1, 3);
  group.elect(1);
  assert.equal(group.view(1).role, "candidate");
  group.elect(2);
  assert.equal(group.view(1).role, "follower");
  assert.equal(group.view(1).leader, idOf(2));
  const committed = { term: 1, index: 1 };
  const refusal = { kind: "vote_response", preVote: false, granted: false, committed } as const;
  group.heal();
  group.node(3).campaign();
  group.drive(3);
  for (const from of [1, 2]) {
    const { term } = group.view(3);
    group.deliver({ ...refusal, from: idOf(from), to: idOf(3), term });
  }
  assert.equal(group.view(3).role, "follower");
});

Deno.test("A leader steps down for a higher term (paper, 5.1)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.isolate(1);
  group.elect(2);
  assert.equal(group.view(1).role, "leader", "it can't know yet");
  group.heal();
  group.tick(1);
  assert.deepEqual([group.view(1).role, group.leaders()], ["follower", [2]]);
});

Deno.test("Pre-votes keep a node that was cut off from raising anyone's term (thesis, 9.6)", () => {
  const group = new RaftGroup(3, { preVote: true, checkQuorum: true });
  group.elect(1);
  group.isolate(3);
  group.tick(60);
  assert.equal(group.view(3).role, "pre_candidate");
  assert.equal(group.view(3).term, 1);
  group.heal();
  group.tick(25);
  assert.deepEqual([group.leaders(), group.view(1).term, group.view(3).leader], [[1], 1, idOf(1)]);
});

Deno.test("A refused pre-vote teaches a lagging term, so that the longer log can win (etcd 8501)", () => {
  const group = new RaftGroup(2, { preVote: true });
  group.elect(1);
  group.isolate(2);
  group.propose(1, "a");
  group.settle();
  group.restart(1);
  group.node(1).campaign();
  group.drive(1);
  // Node 2 climbed terms by itself, as a node without pre-votes would have.
  const beat = { kind: "heartbeat_request", from: idOf(1), to: idOf(2), round: 0 } as const;
  group.node(2).step({ ...beat, term: 7, commit: 0 });
  const [request] = group.messages.filter((message) => message.kind === "vote_request");
  group.messages = [];
  assert.ok(request !== undefined);
  group.deliver(request);
  group.heal();
  group.settle();
  assert.equal(group.view(1).term, 7);
  group.elect(1);
  assert.deepEqual(group.leaders(), [1]);
});

Deno.test("A follower that knows its term's leader gives no vote in that term", () => {
  const group = new RaftGroup(3);
  const beat = { kind: "heartbeat_request", from: idOf(1), to: idOf(2), round: 0 } as const;
  group.node(2).step({ ...beat, term: 4, commit: 0 });
  assert.equal(group.view(2).vote, undefined);
  group.node(2).step({
    kind: "vote_request",
    from: idOf(3),
    to: idOf(2),
    term: 4,
    preVote: false,
    last: { term: 1, index: 1 },
    transfer: false,
    committed: { term: 1, index: 1 },
  });
  assert.equal(group.view(2).vote, undefined);
});

Deno.test("Votes are refused while a leader is known to live, unless it asked for them (thesis, 4.2.3)", () => {
  const group = new RaftGroup(3, { checkQuorum: true });
  group.elect(1);
  group.node(3).campaign();
  group.drive(3);
  const requests = group.messages.filter(({ to }) => to === idOf(2));
  for (const message of requests) group.deliver(message);
  assert.equal(group.view(2).term, 1, "not even the term is taken over");
  for (const message of requests) {
    if (message.kind === "vote_request") group.deliver({ ...message, transfer: true });
  }
  assert.deepEqual([group.view(2).term, group.view(2).vote], [2, idOf(3)]);
});

Deno.test("A leader without a quorum steps down within two election timeouts (thesis, 6.2)", () => {
  const group = new RaftGroup(3, { checkQuorum: true });
  group.elect(1);
  group.isolate(1);
  for (let tick = 0; tick < 20; tick++) group.node(1).tick();
  assert.equal(group.view(1).role, "follower");
  group.heal();
  group.elect(2);
  group.cut(2, 3);
  group.tick(40);
  assert.deepEqual(group.leaders(), [2], "one of two followers is quorum enough");
});

Deno.test("A leader of the past learns of the newer term even from who can't lead (etcd 9586)", () => {
  const group = new RaftGroup(2, { checkQuorum: true });
  group.elect(1);
  group.node(2).step({
    kind: "vote_request",
    from: idOf(1),
    to: idOf(2),
    term: 9,
    preVote: false,
    last: { term: 1, index: 1 },
    transfer: true,
    committed: { term: 1, index: 1 },
  });
  group.tick(1);
  assert.equal(group.view(1).term, 9);
});

Deno.test("Leadership is handed over once the target holds everything (thesis, 3.10)", () => {
  const group = new RaftGroup(3, { checkQuorum: true, preVote: true });
  group.elect(1);
  group.cut(1, 3);
  group.propose(1, "a");
  group.settle();
  group.node(1).transferLeadership(idOf(3));
  assert.deepEqual(group.propose(1, "b").kind, "refused", "no proposals meanwhile");
  group.settle();
  assert.deepEqual(group.leaders(), [1]);
  group.heal();
  group.tick(2);
  assert.deepEqual(group.leaders(), [3]);
  assert.deepEqual(group.applied(3), ["a"]);
});

Deno.test("No election is started for a target that still lacks entries (openraft 1805)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.cut(1, 3);
  group.propose(1, "a");
  group.settle();
  group.node(1).transferLeadership(idOf(3));
  group.drive(1);
  assert.ok(group.messages.every(({ kind }) => kind !== "timeout_now"));
});

Deno.test("A transfer that takes an election timeout is given up (thesis, 3.10)", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  group.isolate(3);
  group.propose(1, "a");
  group.settle();
  group.node(1).transferLeadership(idOf(3));
  group.tick(10, 1);
  assert.equal(group.view(1).transferTarget, undefined);
  assert.equal(group.propose(1, "b").kind, "accepted");
});

Deno.test("A transfer can be asked of a follower, changed, and is refused to learners and strangers", () => {
  const group = new RaftGroup(4, { voters: [1, 2, 3], learners: [4] });
  group.elect(1);
  for (const target of [idOf(4), idOf(9), idOf(1)]) {
    group.node(1).transferLeadership(target);
    assert.equal(group.view(1).transferTarget, undefined);
  }
  group.cut(1, 2);
  group.propose(1, "a");
  group.settle();
  group.node(1).transferLeadership(idOf(2));
  group.node(1).transferLeadership(idOf(2));
  assert.equal(group.view(1).transferTarget, idOf(2));
  group.heal();
  group.node(3).transferLeadership(idOf(3));
  group.settle();
  assert.deepEqual(group.leaders(), [3]);
});

Deno.test("Learners never campaign but vote, for who knows of their promotion (etcd 10998)", () => {
  const group = new RaftGroup(3, { voters: [1, 2], learners: [3] });
  group.elect(1);
  group.elect(3);
  assert.equal(group.view(3).role, "follower");
  group.tick(50, 3);
  assert.equal(group.view(3).term, 1);
  group.node(3).step({
    kind: "vote_request",
    from: idOf(2),
    to: idOf(3),
    term: 2,
    preVote: false,
    last: { term: 1, index: 9 },
    transfer: false,
    committed: { term: 1, index: 1 },
  });
  assert.equal(group.view(3).vote, idOf(2));
});

Deno.test("A node with an unapplied change does not campaign: it may count the wrong voters", () => {
  const group = new RaftGroup(1);
  group.elect(1);
  const node = group.node(1);
  node.proposeChange({
    transition: "auto",
    steps: [{ action: "add_voter", node: idOf(2) }],
    context: new Uint8Array(),
    form: "batch",
  });
  const storage = new InlineStorage(node, group.log(1));
  storage.ready();
  storage.advance();
  assert.equal(storage.ready().committed.at(-1)?.kind, "group_change");
  // It stops before it applied the change.
  group.restart(1);
  group.node(1).campaign();
  assert.equal(group.view(1).role, "follower");
});
