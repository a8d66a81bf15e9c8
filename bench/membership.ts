/**
 * What membership costs and how often it errs, in simulated clusters of the shipped code (virtual time).
 *
 * `deno task bench:membership [-- --hours 100 --seed 1 --nodes 10,100,1000 --only starved]`. Hours are for N = 10; larger
 * clusters run for a span that costs as many events. `--only` takes a part of a condition's name. Ends with a table in
 * Markdown.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { MEMBERSHIP_PRESETS } from "../src/core/membership/mod.ts";
import { MembershipWorld, STARVATION } from "../tests/sim/membership_world.ts";

interface Condition {
  readonly name: string;
  readonly lossPercent: number;
  readonly starvedShare: number;
  /** Values of the size of a load that each node tells in a second, as one that is busy does. */
  readonly toldPerSecond?: number;
}

const CONDITIONS: readonly Condition[] = [
  { name: "quiet", lossPercent: 0, starvedShare: 0 },
  { name: "10 % loss", lossPercent: 10, starvedShare: 0 },
  { name: "10 % loss, 30 % starved", lossPercent: 10, starvedShare: 0.3 },
  { name: "busy", lossPercent: 0, starvedShare: 0, toldPerSecond: 1 },
];
const timing = MEMBERSHIP_PRESETS.lan;
/** Bytes of a node's load as it is told. */
const LOAD_BYTES = 40;
/** Until rumours of the start are over. */
const SETTLE_MS = 20_000;

function main(): void {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      hours: { type: "string", default: "1" },
      deaths: { type: "string", default: "200" },
      seed: { type: "string", default: "1" },
      nodes: { type: "string", default: "10,100,1000" },
      only: { type: "string", default: "" },
    },
  });
  const seed = Number(values.seed);
  const { runMsMean, stallMsMean, stallMsMax } = STARVATION;
  console.log(
    `preset lan, delay 0-2 ms; a starved node runs for ${runMsMean} ms (exponential), then stalls ` +
      `for ${stallMsMean} ms (exponential, at most ${stallMsMax})\n`,
  );
  const rows: string[] = [];
  for (const nodeCount of values.nodes.split(",").map(Number)) {
    for (const condition of CONDITIONS.filter(({ name }) => name.includes(values.only))) {
      const spanMs = (Number(values.hours) * 3_600_000 * 10 * 10) / (nodeCount * nodeCount);
      const deathCount = Math.ceil((Number(values.deaths) * 10) / nodeCount);
      const row = measure({ nodeCount, condition, spanMs, deathCount, seed });
      console.log(row);
      rows.push(row);
    }
  }
  console.log(
    `\n| N | condition | first suspicion p50/p99 ms | removal by all p50/p99 ms | span h |` +
      ` suspicions | false removals | datagrams/node/s | payload B/node/s |` +
      " stream messages/node/s | stream B/node/s | CPU ms/node/s |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|---|---|");
  for (const row of rows) console.log(row);
}

interface Measurement {
  readonly nodeCount: number;
  readonly condition: Condition;
  readonly spanMs: number;
  readonly deathCount: number;
  readonly seed: number;
}

function measure(wanted: Measurement): string {
  const { nodeCount, condition, spanMs, seed } = wanted;
  const world = makeWorld(wanted, seed);
  let suspicions = 0;
  let removals = 0;
  world.onChange = (change) => {
    if (change.standing === "suspect") suspicions++;
    if (change.standing === "down") removals++;
  };
  world.advance(SETTLE_MS);
  const before = { ...pick(world) };
  const startedMs = performance.now();
  pass(world, condition, spanMs);
  const busyMs = performance.now() - startedMs;
  const perNodeSecond = (key: keyof ReturnType<typeof pick>) =>
    ((pick(world)[key] - before[key]) / nodeCount / (spanMs / 1000)).toFixed(1);
  const deaths = measureDeaths(wanted);
  return `| ${nodeCount} | ${condition.name} | ${shown(deaths.suspectedMs)} | ` +
    `${shown(deaths.removedMs)} | ${(spanMs / 3_600_000).toFixed(3)} | ${suspicions} | ` +
    `${removals} | ${perNodeSecond("datagrams")} | ${perNodeSecond("datagramBytes")} | ` +
    `${perNodeSecond("streams")} | ${perNodeSecond("streamBytes")} | ` +
    `${(busyMs / nodeCount / (spanMs / 1000)).toFixed(3)} |`;
}

/** Lets time pass, with each node telling its load at its own time. */
function pass(world: MembershipWorld, condition: Condition, spanMs: number): void {
  const { toldPerSecond = 0 } = condition;
  if (toldPerSecond === 0) return world.advance(spanMs);
  const stepMs = 1_000 / toldPerSecond / world.nodes.length;
  for (let told = 0; told * stepMs < spanMs; told++) {
    const value = new Uint8Array(LOAD_BYTES);
    new DataView(value.buffer).setUint32(0, told);
    world.tell(told % world.nodes.length, { kind: "value_published", key: "load", value });
    world.advance(Math.round((told + 1) * stepMs) - Math.round(told * stepMs));
  }
}

function pick(world: MembershipWorld) {
  const { datagrams, datagramBytes, streams, streamBytes } = world;
  return { datagrams, datagramBytes, streams, streamBytes };
}

function makeWorld(wanted: Measurement, seed: number): MembershipWorld {
  const { nodeCount, condition } = wanted;
  const starvedCount = Math.round(nodeCount * condition.starvedShare);
  const { lossPercent } = condition;
  return new MembershipWorld({ seed, nodeCount, timing, lossPercent, starvedCount });
}

/** Crashes one node after another in a settled cluster, and starts it again. */
function measureDeaths(wanted: Measurement): { suspectedMs: number[]; removedMs: number[] } {
  const suspectedMs: number[] = [];
  const removedMs: number[] = [];
  const world = makeWorld(wanted, wanted.seed + 1);
  for (let death = 0; death < wanted.deathCount; death++) {
    world.advance(SETTLE_MS + (death * 37) % timing.probeIntervalMs);
    const victim = world.node((death * 7) % wanted.nodeCount);
    const diedMs = world.nowMs;
    let suspectedAtMs = -1;
    const verdicts = new Map<number, number>();
    world.onChange = (change) => {
      if (change.subject !== victim.nodeId) return;
      if (change.standing === "suspect" && suspectedAtMs < 0) suspectedAtMs = change.atMs;
      if (change.standing === "down") verdicts.set(change.observer, change.atMs);
    };
    world.crash(victim.index);
    world.until(120_000, () => verdicts.size === wanted.nodeCount - 1);
    suspectedMs.push(suspectedAtMs - diedMs);
    removedMs.push(Math.max(...verdicts.values()) - diedMs);
    world.restart(victim.index);
    world.join(victim.index, (victim.index + 1) % wanted.nodeCount);
  }
  return { suspectedMs, removedMs };
}

function shown(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (percent: number) => sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? NaN;
  return `${at(50)} / ${at(99)}`;
}

main();
