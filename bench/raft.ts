/**
 * Durable commits of three members on this machine, 256-byte values, at several depths: odist's group beside the
 * distribution's etcd, in turns within one run, so that both meet the same machine.
 *
 * `deno task bench:raft [-- --depths 1,8,64,256 --rounds 3 --seconds 4 --only odist]`. etcd (Debian: `etcd-server
 * golang-go golang-etcd-server-dev`) is left out with a line where it is absent. Both clients speak to the leader. odist's
 * members encrypt what they say to each other, etcd's (by its defaults) don't. Ends with a table in Markdown.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { ClientFigures } from "./log/commit_wire.ts";
import { type LogCluster, startEtcd, startOdist } from "./log/programs.ts";
import { describeMachine } from "./measuring/machine.ts";
import { fixed, median } from "./measuring/stats.ts";

const WARMUP_MS = 500;

/** All rounds of one program at one depth. */
interface Row {
  readonly depth: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      depths: { type: "string", default: "1,8,64,256" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "4" },
      only: { type: "string" },
    },
  });
  const depths = values.depths.split(",").map(Number);
  const runMs = Number(values.seconds) * 1_000;
  for (const [name, value] of Object.entries(await describeMachine())) {
    console.log(`${name}: ${value}`);
  }
  const folder = await Deno.makeTempDir({ prefix: "odist-bench-raft-" });
  try {
    await using odist = values.only === "etcd" ? undefined : await startOdist(folder);
    await using etcd = values.only === "odist" ? undefined : await startEtcd(folder);
    const clusters = [odist, etcd].filter((cluster) => cluster !== undefined);
    for (const { name, version } of clusters) console.log(`${name}: ${version}`);
    console.log(`load before: ${Deno.loadavg().map((load) => fixed(load, 1)).join(" ")}`);
    const found = new Map<string, ClientFigures[]>();
    for (let round = 0; round < Number(values.rounds); round++) {
      // Who goes first changes with each round, so that none always meets the other's dirty pages.
      const order = round % 2 === 0 ? clusters : clusters.toReversed();
      for (
        const { depth, cluster } of depths.flatMap((at) =>
          order.map((it) => ({ depth: at, cluster: it }))
        )
      ) {
        const figures = await cluster.measure({ inFlight: depth, warmupMs: WARMUP_MS, runMs });
        const key = `${cluster.name} ${depth}`;
        found.set(key, [...found.get(key) ?? [], figures]);
        console.log(`round ${round + 1}, ${key} in flight: ${JSON.stringify(figures)}`);
      }
    }
    console.log(`load after: ${Deno.loadavg().map((load) => fixed(load, 1)).join(" ")}`);
    report(clusters, depths, found);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function report(
  clusters: readonly LogCluster[],
  depths: readonly number[],
  found: ReadonlyMap<string, readonly ClientFigures[]>,
): void {
  console.log("\nMedians of all rounds.\n");
  console.log("| in flight | program | commits/s | p50 ms | p99 ms | failures |");
  console.log("|---|---|---|---|---|---|");
  const ratios: string[] = [];
  for (const depth of depths) {
    const rows = clusters.map(({ name }) => summarize(depth, found.get(`${name} ${depth}`) ?? []));
    for (const [index, row] of rows.entries()) {
      const cells = [depth, clusters[index]?.name, Math.round(row.perSecond)];
      console.log(
        `| ${cells.join(" | ")} | ${fixed(row.p50Ms, 2)} | ${
          fixed(row.p99Ms, 2)
        } | ${row.failures} |`,
      );
    }
    const [own, other] = rows;
    if (own === undefined || other === undefined) continue;
    const [rate, p50, p99] = [
      own.perSecond / other.perSecond,
      own.p50Ms / other.p50Ms,
      own.p99Ms / other.p99Ms,
    ];
    ratios.push(`| ${depth} | ${fixed(rate, 2)} | ${fixed(p50, 2)} | ${fixed(p99, 2)} |`);
  }
  if (ratios.length === 0) return;
  console.log("\nodist over etcd.\n\n| in flight | commits/s | p50 | p99 |\n|---|---|---|---|");
  for (const line of ratios) console.log(line);
}

function summarize(depth: number, rounds: readonly ClientFigures[]): Row {
  return {
    depth,
    perSecond: median(rounds.map(({ commits, seconds }) => commits / seconds)),
    p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
    failures: rounds.reduce((total, { failures }) => total + failures, 0),
  };
}

await main();
