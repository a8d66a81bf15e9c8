/**
 * Visits every state that three nodes of the Raft core can reach within a budget of elections, proposals and crashes,
 * and checks each: one leader per term, one vote per term, equal histories, and leaders that hold all that was applied.
 *
 * The network may lose, repeat and reorder messages as it likes, and a crash may strike between any two writes and
 * sends. Not in it: membership changes, snapshots, reads, pre-votes, and more elections than the budget has. States that
 * differ in the names of nodes, or in messages that can't matter any more, count once.
 *
 * Usage: `deno task explore [--campaigns 2] [--proposals 2] [--crashes 2] [--ticks 0] [--states 100000000]`; `--ticks`
 * are rounds of heartbeats, `--silent` leaves out what votes tell to be committed, `--asymmetric` tells nodes apart.
 * Exits 1 on a broken invariant, with a path to it, or when the state limit was reached first.
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
      proposals: { type: "string", default: "2" },
      crashes: { type: "string", default: "2" },
      ticks: { type: "string", default: "0" },
      states: { type: "string", default: "100000000" },
      asymmetric: { type: "boolean", default: false },
      silent: { type: "boolean", default: false },
    },
  });
  const budget = {
    campaigns: Number(values.campaigns),
    proposals: Number(values.proposals),
    crashes: Number(values.crashes),
    ticks: Number(values.ticks),
  };
  const started = performance.now();
  const { states, moves, nodeStates, isComplete, failure } = explore({
    budget,
    statesMax: Number(values.states),
    symmetric: !values.asymmetric,
    tellsCommits: !values.silent,
    onProgress: (states, moves) => {
      const seconds = (performance.now() - started) / 1000;
      console.error(`${states} states, ${moves} moves, ${seconds.toFixed(0)} s`);
    },
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `${JSON.stringify(budget)}: ${states} states of ${nodeStates} states of a node, ` +
      `${moves} moves, ${seconds} s`,
  );
  if (failure !== undefined) {
    const lines = failure.path.map((step, at) => `${at + 1}. ${step}`);
    console.log(`BROKEN: ${failure.reason}\n${lines.join("\n")}`);
    return 1;
  }
  console.log(isComplete ? "All of them hold" : "Not all visited: the state limit was reached");
  return isComplete ? 0 : 1;
}

if (import.meta.main) Deno.exit(main());
