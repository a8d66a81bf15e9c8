import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import { jointIndex, jointVote, majorityIndex, majorityOf, majorityVote } from "./quorum.ts";

function ids(...numbers: number[]): Set<NodeId> {
  return new Set(numbers.map((number) => number.toString(16).padStart(16, "0") as NodeId));
}

/** Tries every index that was acknowledged, from the top, instead of sorting. */
function naiveIndex(
  voters: ReadonlySet<NodeId>,
  acknowledged: ReadonlyMap<NodeId, number>,
): number {
  if (voters.size === 0) return Infinity;
  const candidates = [0, ...acknowledged.values()];
  const holders = (index: number) =>
    [...voters].filter((voter) => (acknowledged.get(voter) ?? 0) >= index).length;
  return Math.max(...candidates.filter((index) => holders(index) * 2 > voters.size));
}

/** Plays out every way in which the missing votes could fall. */
function naiveVote(voters: ReadonlySet<NodeId>, votes: ReadonlyMap<NodeId, boolean>) {
  if (voters.size === 0) return "won";
  const missing = [...voters].filter((voter) => !votes.has(voter)).length;
  const granted = [...voters].filter((voter) => votes.get(voter) === true).length;
  const outcomes = new Set<boolean>();
  for (let extra = 0; extra <= missing; extra++) outcomes.add((granted + extra) * 2 > voters.size);
  if (outcomes.size === 2) return "pending";
  return outcomes.has(true) ? "won" : "lost";
}

function randomVoters(random: Random): Set<NodeId> {
  const all = random.shuffle([...ids(1, 2, 3, 4, 5, 6, 7)]);
  return new Set(all.slice(0, random.below(8)));
}

Deno.test("majorityOf() makes any two quorums overlap", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(majorityOf), [1, 2, 2, 3, 3, 4, 4]);
});

Deno.test("majorityIndex() and majorityVote() agree with naive twins on 20,000 random groups", () => {
  const random = new Random(20);
  for (let round = 0; round < 20_000; round++) {
    const voters = randomVoters(random);
    const indexes = new Map<NodeId, number>();
    const votes = new Map<NodeId, boolean>();
    for (const id of randomVoters(random)) {
      indexes.set(id, random.below(6));
      votes.set(id, random.chance(1, 2));
    }
    assert.equal(majorityIndex(voters, (id) => indexes.get(id)), naiveIndex(voters, indexes));
    assert.equal(majorityVote(voters, votes), naiveVote(voters, votes));
  }
});

Deno.test("jointIndex() and jointVote() need both halves (paper, section 6)", () => {
  const random = new Random(21);
  for (let round = 0; round < 5_000; round++) {
    const voters = { incoming: randomVoters(random), outgoing: randomVoters(random) };
    const indexes = new Map([...randomVoters(random)].map((id) => [id, random.below(6)]));
    const votes = new Map([...randomVoters(random)].map((id) => [id, random.chance(1, 2)]));
    const index = Math.min(
      naiveIndex(voters.incoming, indexes),
      naiveIndex(voters.outgoing, indexes),
    );
    assert.equal(jointIndex(voters, (id) => indexes.get(id)), index);
    const halves = [naiveVote(voters.incoming, votes), naiveVote(voters.outgoing, votes)];
    const wanted = halves.includes("lost")
      ? "lost"
      : halves.includes("pending")
      ? "pending"
      : "won";
    assert.equal(jointVote(voters, votes), wanted);
  }
});
