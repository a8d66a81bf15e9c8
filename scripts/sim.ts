/**
 * Runs the Raft simulator: `deno task sim --seeds 1000 --from 1`, or `deno task sim --seed 7 --trace` to replay one. A
 * failing seed is shrunk to the faults that matter. `--twice` compares two runs of each seed, `--buckets` lists all that
 * the runs never reached.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Coverage } from "../tests/sim/raft/coverage.ts";
import type { Fault } from "../tests/sim/raft/faults.ts";
import {
  optionsOfSeed,
  simulate,
  type SimulationOptions,
  type SimulationReport,
} from "../tests/sim/raft/simulation.ts";

/** Runs that shrinking may take at most. */
const SHRINK_RUNS_MAX = 400;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    seconds: { type: "string", default: "60" },
    nodes: { type: "string" },
    trace: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
    buckets: { type: "boolean", default: false },
  },
});

function optionsOf(seed: number): SimulationOptions {
  const options = optionsOfSeed(seed);
  const nodeCount = values.nodes === undefined ? options.nodeCount : Number(values.nodes);
  return { seed, nodeCount, spanMs: Number(values.seconds) * 1000 };
}

/** Delta debugging: leaves out ever smaller pieces of the plan as long as the run still fails. */
async function shrink(
  options: SimulationOptions,
  faults: readonly Fault[],
): Promise<readonly Fault[]> {
  let kept = [...faults];
  let runs = 0;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < kept.length && runs < SHRINK_RUNS_MAX;) {
      const without = [...kept.slice(0, start), ...kept.slice(start + size)];
      runs++;
      if ((await simulate({ ...options, faults: without })).violation !== undefined) kept = without;
      else start += size;
    }
  }
  return kept;
}

async function fail(options: SimulationOptions, report: SimulationReport): Promise<void> {
  console.error(`seed ${options.seed}: ${report.violation}`);
  const faults = await shrink(options, report.faults);
  console.error(`  ${faults.length} of ${report.faults.length} faults are enough:`);
  for (const fault of faults) console.error(`    ${JSON.stringify(fault)}`);
  console.error(
    `  replay: deno task sim --seed ${options.seed} --nodes ${options.nodeCount} --trace`,
  );
}

async function replay(seed: number): Promise<number> {
  const report = await simulate({ ...optionsOf(seed), keepsLines: values.trace });
  for (const line of report.trace) console.log(line);
  console.log(`seed ${seed}: ${report.violation ?? "no violation"}, trace ${report.traceHash}`);
  return report.violation === undefined ? 0 : 1;
}

/** Role x event x fault x phase: what was never seen together was never tested together. */
function printCoverage(coverage: Coverage): void {
  const missing = coverage.missing();
  const never = missing.filter((line) => line.endsWith(": never"));
  console.log(`${"buckets hit".padEnd(28)} ${coverage.hit} of ${coverage.possible}`);
  for (const line of values.buckets ? missing : never) console.log(`  not hit: ${line}`);
}

async function runAll(): Promise<number> {
  const sums: Record<string, number> = {};
  const add = (name: string, by: number) => sums[name] = (sums[name] ?? 0) + by;
  const coverage = new Coverage();
  const started = performance.now();
  const from = Number(values.from);
  for (let seed = from; seed < from + Number(values.seeds); seed++) {
    const options = optionsOf(seed);
    const report = await simulate(options);
    if (report.violation !== undefined) {
      add("violations", 1);
      await fail(options, report);
    }
    if (values.twice && (await simulate(options)).traceHash !== report.traceHash) {
      add("unequal traces", 1);
      console.error(`seed ${seed}: two runs differ`);
    }
    coverage.merge(report.coverage);
    for (const { kind } of report.faults) add(`fault ${kind}`, 1);
    const { events, messages, elections, committed, crashes, operations } = report;
    const rows = { events, messages, elections, committed, crashes, operations };
    for (const [name, value] of Object.entries(rows)) add(name, value);
    add("membership entries applied", report.membershipChanges);
    add("snapshots installed", report.snapshotsInstalled);
    add("virtual hours", report.virtualMs / 3_600_000);
  }
  const seconds = (performance.now() - started) / 1000;
  for (const [name, value] of Object.entries(sums)) {
    console.log(`${name.padEnd(28)} ${Number.isInteger(value) ? value : value.toFixed(2)}`);
  }
  printCoverage(coverage);
  const speed = ((sums["virtual hours"] ?? 0) * 3600) / seconds;
  console.log(
    `${Number(values.seeds)} seeds in ${seconds.toFixed(1)} s, ${speed.toFixed(0)} times real time`,
  );
  return (sums["violations"] ?? 0) + (sums["unequal traces"] ?? 0) === 0 ? 0 : 1;
}

if (import.meta.main) {
  Deno.exit(values.seed === undefined ? await runAll() : await replay(Number(values.seed)));
}
