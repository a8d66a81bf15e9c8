/**
 * What watching each other costs real processes, and how soon a death is known: odist's membership over its own transport,
 * whole nodes ("odist serve", which keep a log besides), and serf, each process behind a wire of its own on this machine, one
 * program after the other in one run.
 *
 * `deno task bench:membership:real [-- --nodes 3,10 --idle 60 --deaths 20 --settle 20 --only odist]`. Needs root and
 * iproute2 for the wires; serf (Debian's `serf`) is left out with a line where it is absent. Ends with a table in Markdown.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { measure, type Measured } from "./gossip/measure.ts";
import type { Program } from "./gossip/member_process.ts";
import { odistMember } from "./gossip/odist.ts";
import { odistNode } from "./gossip/odist_node.ts";
import { SERF, serfVersion } from "./gossip/serf.ts";
import { whyNoWires } from "./gossip/wires.ts";
import { describeMachine } from "./measuring/machine.ts";
import { fixed, median, percentile } from "./measuring/stats.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      nodes: { type: "string", default: "3,10" },
      idle: { type: "string", default: "60" },
      deaths: { type: "string", default: "20" },
      settle: { type: "string", default: "20" },
      only: { type: "string" },
    },
  });
  const missing = await whyNoWires();
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  const programs: Program[] = [await odistMember(), await odistNode()];
  const version = await serfVersion();
  if (version === undefined) console.log("serf is left out: it is not installed (Debian: serf)");
  else programs.push(SERF);
  for (const [name, value] of Object.entries(await describeMachine())) {
    console.log(`${name}: ${value}`);
  }
  console.log(`serf: ${version ?? "absent"}, profile lan; odist: preset lan\n`);
  const rows: Measured[] = [];
  for (const nodes of values.nodes.split(",").map(Number)) {
    for (const program of programs) {
      if (values.only !== undefined && values.only !== program.name) continue;
      const measured = await measure(program, {
        nodes,
        settleMs: Number(values.settle) * 1_000,
        idleMs: Number(values.idle) * 1_000,
        deaths: Number(values.deaths),
      });
      console.log(describe(measured));
      rows.push(measured);
    }
  }
  console.log(
    "\nSent by each node while idle, Ethernet frames; a death is kill -9, at any phase.\n\n" +
      "| program | nodes | packets/s | bytes/s (busiest) | first doubt p50 / p99 ms | " +
      "known to all p50 / p99 ms | deaths |\n|---|---|---|---|---|---|---|",
  );
  for (const row of rows) console.log(describe(row));
}

function describe(row: Measured): string {
  const span = (values: readonly number[]) =>
    `${fixed(median(values), 0)} / ${fixed(percentile(values, 0.99), 0)}`;
  const bytes = `${fixed(row.bytesPerSecond, 0)} (${fixed(row.bytesPerSecondMax, 0)})`;
  return `| ${row.program} | ${row.nodes} | ${fixed(row.packetsPerSecond, 1)} | ${bytes} | ` +
    `${span(row.suspectedMs)} | ${span(row.downMs)} | ${row.downMs.length} |`;
}

await main();
