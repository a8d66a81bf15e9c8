/**
 * How much of the time machines that sleep on purpose are awake, and what that costs who asks them:
 * `deno task sim:sleep [-- --node-days 10000 --nodes 10 --segments 2 --seed 1 --demand-hours 2]`. Fails on any violation.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { SleepWorld } from "./world.ts";

function main(): void {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      "node-days": { type: "string", default: "10000" },
      nodes: { type: "string", default: "10" },
      segments: { type: "string", default: "1" },
      seed: { type: "string", default: "1" },
      "demand-hours": { type: "string", default: "2" },
      "sleep-after-minutes": { type: "string", default: "30" },
      whims: { type: "string", default: "0" },
    },
  });
  const nodes = Number(values.nodes);
  const days = Math.ceil(Number(values["node-days"]) / nodes);
  const world = new SleepWorld({
    seed: Number(values.seed),
    nodes,
    segments: Number(values.segments),
    models: nodes,
    sleepAfterMs: Number(values["sleep-after-minutes"]) * 60_000,
    demandHours: Number(values["demand-hours"]),
    whims: Number(values.whims),
  });
  const { violations, awakeShare, requests, wokenFor, sleeps, asleepMost } = world.run(days);
  const waits = wokenFor.toSorted((a, b) => a - b);
  const at = (share: number) => ((waits[Math.floor(waits.length * share)] ?? 0) / 1_000).toFixed(1);
  const woken = ((100 * waits.length) / requests).toFixed(2);
  console.log(
    `${nodes} machines, ${nodes * days} machine-days, ${requests} requests, ${sleeps} sleeps`,
  );
  console.log(
    `awake ${
      (100 * awakeShare).toFixed(1)
    } % of the time; ${asleepMost} of ${nodes} asleep at most`,
  );
  console.log(
    `${waits.length} requests (${woken} %) waited for a wake: p50 ${at(0.5)} s, p99 ${at(0.99)} s`,
  );
  console.log(`${violations.length} violations`);
  for (const violation of violations) console.log(violation);
  if (violations.length > 0) Deno.exit(1);
}

main();
