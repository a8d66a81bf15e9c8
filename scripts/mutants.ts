/**
 * Puts bugs of other people's past into the core, one at a time, and counts how many seeds the simulator needs to catch
 * each: `deno task mutants`, `deno task mutants --only NAME --seeds 200 --ranges 1`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { RAFT_MUTANTS } from "../tests/sim/mutants/catalogue.ts";
import type { Mutant } from "../tests/sim/mutants/mutant.ts";
import { type Catch, Workshop } from "../tests/sim/mutants/workshop.ts";

/** Distance of the ranges of seeds that a median is taken over. */
const RANGE_APART = 1_000_000;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    only: { type: "string" },
    seeds: { type: "string", default: "1000" },
    ranges: { type: "string", default: "5" },
    from: { type: "string", default: "1" },
    part: { type: "string", default: "1/1" },
  },
});

/**
 * The mutants asked for: by a piece of their name, and the k-th of n parts, so that several processes share them. Those
 * that are known to survive come last, because they take the longest.
 */
function chosen(): readonly Mutant[] {
  const [part = 1, parts = 1] = values.part.split("/").map(Number);
  return RAFT_MUTANTS
    .filter(({ name }) => values.only === undefined || name.includes(values.only))
    .filter((_, position) => position % parts === part - 1)
    .toSorted((one, other) => survives(one) - survives(other));
}

function survives({ survivesBecause }: Mutant): number {
  return survivesBecause === undefined ? 0 : 1;
}

function medianOf(catches: readonly Catch[]): number | undefined {
  const counts = catches.map(({ seeds }) => seeds ?? Infinity).sort((a, b) => a - b);
  const median = counts[Math.floor((counts.length - 1) / 2)];
  return median === Infinity ? undefined : median;
}

function describe(mutant: Mutant, catches: readonly Catch[]): string {
  const first = catches[0];
  const survived = first?.seeds === undefined;
  const figures = survived
    ? "SURVIVED".padEnd(17)
    : `first ${String(first.seeds).padStart(4)} median ${
      String(medianOf(catches) ?? "-").padStart(4)
    }`
      .padEnd(23);
  const how = survived
    ? mutant.survivesBecause ?? mutant.does
    : (first.violation.split("\n")[0] ?? "").slice(0, 110);
  return `${mutant.kind} ${mutant.name.padEnd(40)} ${mutant.origin.padEnd(24)} ${figures} ${how}`;
}

async function main(): Promise<number> {
  const mutants = chosen();
  const starts = Array.from(
    { length: Number(values.ranges) },
    (_, range) => Number(values.from) + range * RANGE_APART,
  );
  const workshop = await Workshop.open();
  let killed = 0;
  let counted = 0;
  try {
    for (const mutant of mutants) {
      const catches = await workshop.hunt(mutant, { starts, seedsMax: Number(values.seeds) });
      counted++;
      if (catches[0]?.seeds !== undefined) killed++;
      console.log(describe(mutant, catches));
    }
  } finally {
    await workshop.close();
  }
  const percent = counted === 0 ? 0 : Math.floor((100 * killed) / counted);
  console.log(`${killed} of ${counted} mutants killed within ${values.seeds} seeds (${percent} %)`);
  return percent >= 90 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
