/**
 * A day of 10, 100 and 1,000 nodes, with the shipped scheduler and choice of a node: what is lost when three nodes in ten are,
 * what a choice costs, and what nodes send to tell of themselves. `deno task sim:day [--nodes 10,100,1000] [--hours 24]
 * [--seed 1] [--gossip-seconds 30] [--told-as 32]`, which has nodes
 * tell of themselves as often as in a cluster of so many.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { gossipBytesPerNode, simulateDay } from "./day.ts";
import { HOLDERS, SLOTS } from "./queue_world.ts";

const HOUR_MS = 3_600_000;

const { values } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  options: {
    nodes: { type: "string", default: "10,100,1000" },
    hours: { type: "string", default: "24" },
    seed: { type: "string", default: "1" },
    "gossip-seconds": { type: "string", default: "30" },
    "told-as": { type: "string" },
  },
});

function main(): number {
  const dayMs = Number(values.hours) * HOUR_MS;
  console.log(
    `${SLOTS} slots a node, ${HOLDERS} nodes hold each model, a day of ${values.hours} h, 30 % of the nodes lost at its peak\n`,
  );
  console.log(
    "| N | requests | busy | moved | refused | admitted and lost | wait p50, p99 s | choice us | gossip B/node/s | simulated/real |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|");
  let lost = 0;
  for (const nodes of values.nodes.split(",").map(Number)) {
    const realMs = () => performance.now();
    const startedMs = realMs();
    const told = values["told-as"];
    const members = told === undefined ? nodes : Number(told);
    const day = simulateDay({ nodes, members, dayMs, seed: Number(values.seed), realMs });
    const ratio = dayMs / (realMs() - startedMs);
    const gossip = gossipBytesPerNode(nodes, 1_000 * Number(values["gossip-seconds"]), members);
    console.log(
      `| ${nodes} | ${day.requests} | ${(100 * day.busyShare).toFixed(0)} % | ${day.moved} | ` +
        `${day.refused} | ${day.lost} | ${
          day.waitMs.map((ms) => (ms / 1_000).toFixed(1)).join(", ")
        } | ${day.routeUs.toFixed(1)} | ${gossip.toFixed(0)} | ` +
        `${ratio.toFixed(0)} |`,
    );
    lost += day.lost;
  }
  return lost === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(main());
