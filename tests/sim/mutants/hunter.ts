/**
 * Runs in a process of its own, over sources that may hold a mutant: `hunter.ts COUNT FROM…` tries seeds from each FROM
 * on until one fails or COUNT are through, and prints a line of JSON for each seed.
 *
 * @module
 */
import { optionsOfSeed, simulate } from "../raft/simulation.ts";

/** What the hunter prints for each seed it ran. */
export interface HuntLine {
  readonly from: number;
  readonly seed: number;
  /** Absent = the run found nothing. */
  readonly violation?: string;
}

if (import.meta.main) {
  const [count = 0, ...starts] = Deno.args.map(Number);
  for (const from of starts) {
    for (let seed = from; seed < from + count; seed++) {
      const { violation } = await simulate(optionsOfSeed(seed));
      const line: HuntLine = violation === undefined ? { from, seed } : { from, seed, violation };
      console.log(JSON.stringify(line));
      if (violation !== undefined) break;
    }
  }
}
