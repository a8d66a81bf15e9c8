import assert from "node:assert/strict";
import { RAFT_MUTANTS } from "./catalogue.ts";
import { Workshop } from "./workshop.ts";

/** One bug per part of the core, each caught within a few seeds; `deno task mutants` hunts all of them. */
const SAMPLE = [
  "quorum-off-by-one-for-even-groups",
  "prior-terms-committed-by-counting",
  "vote-not-persisted",
  "heartbeat-does-not-release",
  "joint-lost-in-snapshots-and-restarts",
  "driver-applies-after-saying-so",
];
const SEEDS = 30;

Deno.test("The simulator catches known Raft bugs within a few seeds", async () => {
  const workshop = await Workshop.open();
  try {
    for (const name of SAMPLE) {
      const mutant = RAFT_MUTANTS.find((candidate) => candidate.name === name);
      assert.ok(mutant !== undefined, name);
      const [found] = await workshop.hunt(mutant, { starts: [1], seedsMax: SEEDS });
      assert.ok(found?.seeds !== undefined, `${name} survives ${SEEDS} seeds`);
    }
  } finally {
    await workshop.close();
  }
});
