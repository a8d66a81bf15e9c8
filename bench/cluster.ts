/**
 * How fast do nodes become a cluster, and how long does a dead leader hold it up? Real processes, with the tests' network
 * between them (its hop costs some 0.1 ms). Not on Windows.
 *
 * Usage: `deno task bench:cluster [--odist FILE] [--rounds 5] [--kills 50] [--nodes 10] [--out FOLDER]`.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CatalogueWorkload } from "../tests/harness/catalogue_workload.ts";
import { TestCluster } from "../tests/harness/cluster.ts";
import { describeMachine } from "./measuring/machine.ts";
import { artifactsFolder } from "./measuring/servers.ts";
import { fixed, median, percentile } from "./measuring/stats.ts";

/** Milliseconds of each kind, in the order measured. */
interface Figures {
  readonly threeHealthyMs: number[];
  readonly fourthJoinsMs: number[];
  readonly manyHealthyMs: number[];
  readonly newLeaderMs: number[];
  readonly writesAgainMs: number[];
  readonly outOfRoutingMs: number[];
}

const TITLES: Readonly<Record<keyof Figures, string>> = {
  threeHealthyMs: "three nodes, from the first process to healthy",
  fourthJoinsMs: "a fourth node, from its process to healthy",
  manyHealthyMs: "all nodes, from the first process to healthy",
  newLeaderMs: "leader killed, until another one leads",
  writesAgainMs: "leader killed, until a write sent after that is acknowledged",
  outOfRoutingMs: "leader killed, until all others doubt it and send it nothing",
};

async function timed(act: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await act();
  return performance.now() - startMs;
}

async function measureForming(figures: Figures, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now();
    await using cluster = await TestCluster.start(3, { seed: round });
    figures.threeHealthyMs.push(performance.now() - startMs);
    const token = await cluster.createToken(1);
    figures.fourthJoinsMs.push(
      await timed(async () => {
        await cluster.join({ token });
        await cluster.healthy(4);
      }),
    );
  }
}

async function measureMany(figures: Figures, nodes: number): Promise<void> {
  const startMs = performance.now();
  await using _cluster = await TestCluster.start(nodes);
  figures.manyHealthyMs.push(performance.now() - startMs);
}

/** Kills whoever leads, again and again, under load; returns what the checker said. */
async function measureKills(figures: Figures, kills: number): Promise<string> {
  await using cluster = await TestCluster.start(3);
  const workload = new CatalogueWorkload(cluster, { seed: 1, clients: 4, keys: 8 });
  for (let kill = 0; kill < kills; kill++) {
    await workload.acknowledgedSince(performance.now());
    const leader = await cluster.leader();
    const { term } = await cluster.status(leader);
    await cluster.kill(leader);
    const killedMs = performance.now();
    const since = () => performance.now() - killedMs;
    await Promise.all([
      workload.acknowledgedSince(killedMs)
        .then((atMs) => figures.writesAgainMs.push(atMs - killedMs)),
      cluster.until("another node leads", async () => {
        const next = await cluster.leader();
        return next !== leader && (await cluster.status(next)).term > term;
      }).then(() => figures.newLeaderMs.push(since())),
      cluster.until("all others doubt it", async () => {
        const seen = await Promise.all(cluster.running.map((name) => cluster.status(name)));
        return seen.every(({ members }) =>
          members.find(({ name }) => name === leader)?.health !== "alive"
        );
      }).then(() => figures.outOfRoutingMs.push(since())),
    ]);
    await cluster.restart(leader);
    await cluster.healthy(3);
  }
  const { verdict, operations } = await workload.finish();
  return `${operations} operations of 4 clients: ${verdict.kind}`;
}

function row(name: keyof Figures, values: readonly number[]): string {
  const cells = [
    TITLES[name],
    String(values.length),
    ...[median(values), percentile(values, 0.99), Math.max(...values)].map((ms) => fixed(ms, 0)),
  ];
  return `| ${cells.join(" | ")} |`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      odist: { type: "string" },
      rounds: { type: "string", default: "5" },
      kills: { type: "string", default: "50" },
      nodes: { type: "string", default: "10" },
      out: { type: "string", default: artifactsFolder("bench-cluster") },
    },
  });
  // The harness of the tests starts the file that this variable names.
  if (values.odist !== undefined) Deno.env.set("ODIST_TEST_BINARY", values.odist);
  await Deno.mkdir(values.out, { recursive: true });
  const conditions = await describeMachine();
  const figures: Figures = {
    threeHealthyMs: [],
    fourthJoinsMs: [],
    manyHealthyMs: [],
    newLeaderMs: [],
    writesAgainMs: [],
    outOfRoutingMs: [],
  };
  await measureForming(figures, Number(values.rounds));
  await measureMany(figures, Number(values.nodes));
  const checked = await measureKills(figures, Number(values.kills));
  const names = Object.keys(TITLES) as readonly (keyof Figures)[];
  const lines = [
    "# A cluster of real processes on one machine",
    "",
    "| milliseconds | times | p50 | p99 | max |",
    "|---|---|---|---|---|",
    ...names.filter((name) => figures[name].length > 0).map((name) => row(name, figures[name])),
    "",
    `- ${checked}`,
    `- nodes of the largest cluster: ${values.nodes}`,
    `- started: ${values.odist ?? "from source"}`,
    ...Object.entries(conditions).map(([name, value]) => `- ${name}: ${value}`),
    "",
  ];
  await Deno.writeTextFile(join(values.out, "cluster.md"), lines.join("\n"));
  await Deno.writeTextFile(
    join(values.out, "cluster.json"),
    JSON.stringify({ conditions, figures, checked }, undefined, 1),
  );
  console.log(lines.join("\n"));
}

if (import.meta.main) await main();
