import { COMMIT_MUTANTS } from "./commit_mutants.ts";
import { ELECTION_MUTANTS } from "./election_mutants.ts";
import { FLOW_MUTANTS } from "./flow_mutants.ts";
import { GROUP_MUTANTS } from "./group_mutants.ts";
import type { Mutant } from "./mutant.ts";

/** Every bug that is put into Raft to see it caught. */
export const RAFT_MUTANTS: readonly Mutant[] = [
  ...ELECTION_MUTANTS,
  ...COMMIT_MUTANTS,
  ...FLOW_MUTANTS,
  ...GROUP_MUTANTS,
];
