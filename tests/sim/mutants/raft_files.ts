import type { BugKind, Edit, Mutant } from "./mutant.ts";

/** An edit in a file of the Raft core. */
export function inCore(file: string, find: string, replace: string): Edit {
  return { file: `src/core/raft/${file}`, find, replace };
}

/** An edit in how votes are counted. */
export function inVoting(file: string, find: string, replace: string): Edit {
  return { file: `src/core/voting/${file}`, find, replace };
}

/** An edit in the simulator's driver, for bugs that a driver can have. */
export function inDriver(file: string, find: string, replace: string): Edit {
  return { file: `tests/sim/raft/${file}`, find, replace };
}

/** A mutant in one line of what it does, then its edits. */
export function mutant(
  name: string,
  facts: {
    readonly origin: string;
    readonly kind: BugKind;
    readonly does: string;
    readonly survivesBecause?: string;
  },
  ...edits: readonly Edit[]
): Mutant {
  return { name, ...facts, edits };
}
