import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { type Budget, explore } from "./explorer/explore.ts";
import { type Input, Members } from "./explorer/members.ts";
import { NODE_COUNT } from "./explorer/messages.ts";
import { Seats } from "./explorer/seats.ts";

const NONE: Budget = { campaigns: 1, proposals: 1, crashes: 0, ticks: 0 };
const STATES_MAX = 100_000;

const CASES: readonly (readonly [string, Budget])[] = [
  ["an election and a proposal", NONE],
  ["two crashes anywhere in them", { ...NONE, crashes: 2 }],
  ["a round of heartbeats", { ...NONE, ticks: 1 }],
  ["two proposals", { ...NONE, proposals: 2 }],
  ["two elections at once", { ...NONE, campaigns: 2, proposals: 0, crashes: 1 }],
  ["two elections and a proposal", { ...NONE, campaigns: 2 }],
];

for (const [name, budget] of CASES) {
  Deno.test(`Every state of three nodes is safe: ${name}`, () => {
    const { failure, isComplete, states } = explore({ budget, statesMax: STATES_MAX });
    assert.equal(failure, undefined);
    assert.ok(isComplete && states > 100, `${states} states`);
  });
}

Deno.test("States that differ in names only stand for all of them", () => {
  const budget = { ...NONE, crashes: 1 };
  const one = explore({ budget, statesMax: STATES_MAX });
  const all = explore({ budget, statesMax: STATES_MAX, symmetric: false });
  assert.ok(one.isComplete && all.isComplete);
  assert.ok(all.states > 2 * one.states && all.states <= 6 * one.states, `${all.states}`);
});

Deno.test("A node reacts as its state in the table says, whatever brought it there", () => {
  const random = new Random(1);
  const seats = new Seats(new Members({ tellsCommits: true }));
  for (let walk = 0; walk < 150; walk++) {
    const at = Array.from({ length: NODE_COUNT }, (_, node) => seats.initial(node));
    const histories: Input[][] = at.map(() => []);
    for (let step = 0; step < 40; step++) {
      const node = random.below(NODE_COUNT);
      const seat = at[node] ?? 0;
      const all = [...seats.moves(seat), ...seats.proposals(seat, 1)];
      const move = random.pick(all.filter(({ died }) => !died));
      if (move === undefined) continue;
      histories[node]?.push(move.input);
      at[node] = seats.become(seat, move.member);
      for (const [to, batch] of move.batches.entries()) {
        at[to] = seats.deliver(at[to] ?? 0, batch);
      }
      assert.equal(seats.members.replay(node, histories[node] ?? []), move.member);
    }
  }
});
