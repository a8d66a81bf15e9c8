import assert from "node:assert/strict";
import { explore } from "./explorer/explore.ts";
import type { Budget } from "./explorer/world.ts";

const NONE: Budget = {
  campaigns: 1,
  proposals: 1,
  crashes: 0,
  drops: 0,
  duplicates: 0,
  overtakes: 0,
};

const CASES: readonly (readonly [string, Budget])[] = [
  ["an election and a proposal", NONE],
  ["a crash anywhere in them", { ...NONE, crashes: 1 }],
  ["a lost message", { ...NONE, drops: 1 }],
  ["a repeated message", { ...NONE, duplicates: 1 }],
  ["a message that overtakes another", { ...NONE, overtakes: 1 }],
  ["two elections at once", { ...NONE, campaigns: 2, proposals: 0 }],
];

for (const [name, budget] of CASES) {
  Deno.test(`Every state of three nodes is safe: ${name}`, () => {
    const { failure, isComplete, states } = explore(budget, 100_000);
    assert.equal(failure, undefined);
    assert.ok(isComplete && states > 100, `${states} states`);
  });
}
