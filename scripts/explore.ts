/**
 * Visits every state that three nodes of the Raft core can reach within a budget of elections, proposals, crashes and
 * network faults, and checks each.
 *
 * Usage: `deno task explore [--campaigns 2] [--proposals 1] [--crashes 0] [--drops 0] [--duplicates 0]
 * [--overtakes 0] [--states 1000000]`. Exits 1 on a broken invariant, with a shortest path to it, or when the state
 * limit was reached first.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { explore } from "../tests/sim/explorer/explore.ts";

function main(): number {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      campaigns: { type: "string", default: "2" },
      proposals: { type: "string", default: "1" },
      crashes: { type: "string", default: "0" },
      drops: { type: "string", default: "0" },
      duplicates: { type: "string", default: "0" },
      overtakes: { type: "string", default: "0" },
      states: { type: "string", default: "1000000" },
    },
  });
  const { states: statesMax, ...counts } = values;
  const budget = {
    campaigns: Number(counts.campaigns),
    proposals: Number(counts.proposals),
    crashes: Number(counts.crashes),
    drops: Number(counts.drops),
    duplicates: Number(counts.duplicates),
    overtakes: Number(counts.overtakes),
  };
  const { states, moves, depth, isComplete, failure } = explore(budget, Number(statesMax));
  console.log(
    `${JSON.stringify(budget)}: ${states} states, ${moves} moves, paths of up to ${depth} moves`,
  );
  if (failure !== undefined) {
    console.log(`BROKEN: ${failure.reason}\n${failure.path.map(describe).join("\n")}`);
    return 1;
  }
  console.log(isComplete ? "All of them hold" : "Not all visited: the state limit was reached");
  return isComplete ? 0 : 1;
}

function describe(move: unknown, position: number): string {
  return `${position + 1}. ${JSON.stringify(move)}`;
}

if (import.meta.main) Deno.exit(main());
