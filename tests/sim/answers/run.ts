/**
 * Runs the simulator of answers on several nodes: `deno task sim:answers --seeds 5000 --from 1`, or `--seed 7` to replay
 * one.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type AnswersReport, simulateAnswers } from "./world.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
  },
});

function main(): number {
  const from = Number(values.seed ?? values.from);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  const sums = new Map<string, number>();
  const add = (name: string, by: number) => sums.set(name, (sums.get(name) ?? 0) + by);
  const startedMs = performance.now();
  for (let seed = from; seed < from + count; seed++) {
    const { violation, struck, requests, steps, events }: AnswersReport = simulateAnswers(seed);
    if (violation !== undefined) console.error(`seed ${seed}: ${violation}`);
    for (const [name, by] of Object.entries({ requests, steps, events })) add(name, by);
    for (const [kind, times] of Object.entries(struck)) add(`fault ${kind}`, times);
    add("violations", violation === undefined ? 0 : 1);
  }
  for (const [name, sum] of sums) console.log(`${name.padEnd(24)} ${sum}`);
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(`${count} seeds from ${from} on in ${seconds.toFixed(1)} s`);
  return sums.get("violations") === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(main());
