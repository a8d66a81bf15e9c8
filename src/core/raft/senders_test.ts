import assert from "node:assert/strict";
import { raftLie } from "../../../tests/harness/lies.ts";
import { change, idOf, RaftGroup } from "../../../tests/sim/raft_group.ts";
import { Random } from "../../base/mod.ts";
import type { GroupStep } from "../../protocol/mod.ts";
import { RAFT_NUMBER_MAX } from "./senders.ts";

const LIES = 1_000;

function steps(action: GroupStep["action"], ...numbers: number[]): GroupStep[] {
  return numbers.map((number) => ({ action, node: idOf(number) }));
}

/** Three voters and a learner, number 4; 5 is nobody. */
function groupWithLearner(): RaftGroup {
  const group = new RaftGroup(3, { checkQuorum: true, preVote: true });
  group.elect(1);
  group.add(4);
  group.node(1).proposeChange(change(steps("add_learner", 4)));
  group.settle();
  group.propose(1, "a");
  group.settle();
  group.tick(2);
  return group;
}

for (const [liar, name] of [[4, "a learner"], [5, "a node of no group"]] as const) {
  Deno.test(`A thousand lies of ${name} change nothing at a leader or a follower`, () => {
    const group = groupWithLearner();
    const random = new Random(liar);
    for (const victim of [1, 2]) {
      const { peers: _, ...before } = group.view(victim);
      for (let count = 0; count < LIES; count++) {
        group.node(victim).step(raftLie(random, { from: idOf(liar), to: idOf(victim) }));
        const { peers: __, ...after } = group.view(victim);
        assert.deepEqual(after, before);
      }
      group.settle();
    }
    group.propose(1, "b");
    group.settle();
    group.tick(2);
    for (const number of [1, 2, 3]) assert.deepEqual(group.applied(number), ["a", "b"]);
  });
}

Deno.test("A node that missed how the leader got its vote asks those it knows, and follows", () => {
  const group = groupWithLearner();
  group.isolate(3);
  group.node(1).proposeChange(change(steps("add_voter", 4)));
  group.settle();
  group.node(1).transferLeadership(idOf(4));
  group.settle();
  group.tick(2);
  assert.deepEqual(group.leaders(), [4]);
  assert.ok(group.view(3).configuration.learners.includes(idOf(4)), "node 3 knows a learner");
  group.heal();
  group.cut(1, 3);
  group.tick(3);
  group.propose(4, "b");
  group.settle();
  group.tick(2);
  assert.equal(group.view(3).leader, idOf(4));
  assert.deepEqual(group.applied(3), ["a", "b"]);
});

Deno.test("A change that is in the log and not applied tells who may lead already", () => {
  const group = groupWithLearner();
  group.node(1).proposeChange(change(steps("add_voter", 4)));
  // Node 2 takes the entry, and hears no more: neither that it is committed, nor from anybody it could ask.
  group.drive(1);
  const entry = group.messages.find(({ to, kind }) => to === idOf(2) && kind === "append_request");
  assert.ok(entry !== undefined);
  group.deliver(entry);
  group.drive(2);
  assert.ok(group.view(2).configuration.learners.includes(idOf(4)));
  group.messages = [];
  const ends = { from: idOf(4), to: idOf(2) };
  const term = group.view(2).term + 1;
  group.node(2).step({ ...ends, kind: "heartbeat_request", term, commit: 0, round: 0 });
  assert.equal(group.view(2).leader, idOf(4));
});

/** Node 3 slept through the replacement of all voters it knows of by 4 to 6, of which it met two as learners. */
function replacedVoters(): RaftGroup {
  const group = groupWithLearner();
  for (const number of [5, 6]) group.add(number);
  group.node(1).proposeChange(change(steps("add_learner", 5, 6)));
  group.settle();
  group.tick(2);
  group.isolate(3);
  const moves = [...steps("add_voter", 4, 5, 6), ...steps("remove", 1, 2)];
  group.node(1).proposeChange(change(moves));
  group.settle();
  group.tick(2);
  group.elect(5);
  assert.deepEqual(group.leaders(), [5]);
  group.heal();
  for (const gone of [1, 2]) group.isolate(gone);
  return group;
}

Deno.test("Where no voter speaks any more, two members without a vote stand in for them", () => {
  const group = replacedVoters();
  group.tick(50);
  assert.notEqual(group.view(3).leader, idOf(5), "voters get time to speak first");
  group.tick(100);
  assert.equal(group.view(3).leader, idOf(5));
});

Deno.test("One member without a vote makes nobody the leader, however long voters are silent", () => {
  const group = groupWithLearner();
  for (const other of [1, 2]) group.cut(other, 3);
  const before = group.view(3);
  for (let tick = 0; tick < 300; tick++) {
    group.node(3).tick();
    group.settle();
    for (const kind of ["heartbeat_request", "voters_response"] as const) {
      const ends = { from: idOf(4), to: idOf(3) };
      group.node(3).step(
        kind === "voters_response"
          ? { ...ends, kind, voters: [idOf(4)] }
          : { ...ends, kind, term: before.term + 1, commit: 0, round: 0 },
      );
    }
  }
  const after = group.view(3);
  assert.deepEqual([after.leader, after.term], [undefined, before.term]);
});

Deno.test("A voter that became a learner in this term may still be ahead in terms", () => {
  const group = new RaftGroup(3, { checkQuorum: true, preVote: true });
  group.elect(1);
  group.isolate(3);
  // It campaigned for a term that nobody else heard of, and loses its vote meanwhile.
  group.log(3).hardState = { term: group.view(3).term + 1, vote: idOf(3), commit: 1 };
  group.restart(3);
  group.node(1).proposeChange(change([...steps("remove", 3), ...steps("add_learner", 3)]));
  group.settle();
  group.tick(1);
  group.heal();
  group.tick(60);
  const [leader = 0] = group.leaders();
  assert.equal(group.view(3).leader, idOf(leader));
});

Deno.test("A voter that claims a term no election led to is refused, and terms are never used up", () => {
  const group = new RaftGroup(3);
  group.elect(1);
  const { term } = group.view(2);
  const ends = { from: idOf(1), to: idOf(2) };
  const beat = { ...ends, kind: "heartbeat_request", commit: 0, round: 0 } as const;
  const outcome = group.node(2).step({ ...beat, term: Number.MAX_SAFE_INTEGER });
  assert.ok(outcome.kind === "refused" && outcome.reason === "term_jump");
  assert.equal(group.view(2).term, term);
  const last = { term: RAFT_NUMBER_MAX, vote: undefined, commit: 1 };
  group.log(2).hardState = last;
  group.restart(2);
  group.tick(60, 2);
  group.node(2).campaign();
  assert.equal(group.view(2).term, RAFT_NUMBER_MAX, "the next could not be written");
});
