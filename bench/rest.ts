/**
 * What a cluster costs that nobody asks anything: bytes and packets on each node's wire, and time of the processor, of whole
 * nodes; beside it how soon a death is known and another leader found, which quiet must not cost.
 *
 * `deno task bench:rest [-- --nodes 3,10 --idle 60 --deaths 20 --settle 20]`. Needs root and iproute2 for the wires. Ends with a
 * table in Markdown.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ProgramCluster } from "./gossip/member_process.ts";
import { odistNode } from "./gossip/odist_node.ts";
import { whyNoWires, Wires } from "./gossip/wires.ts";
import { describeMachine, readProcessCost } from "./measuring/machine.ts";
import { fixed, median, percentile } from "./measuring/stats.ts";

/** Longest wait for anything. */
const LIMIT_MS = 120_000;

interface Options {
  readonly nodes: number;
  readonly idleMs: number;
  readonly settleMs: number;
  readonly deaths: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      nodes: { type: "string", default: "3,10" },
      idle: { type: "string", default: "60" },
      settle: { type: "string", default: "20" },
      deaths: { type: "string", default: "20" },
    },
  });
  const missing = await whyNoWires();
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  for (const [name, value] of Object.entries(await describeMachine())) {
    console.log(`${name}: ${value}`);
  }
  const rows: string[] = [];
  for (const nodes of values.nodes.split(",").map(Number)) {
    const row = await measure({
      nodes,
      idleMs: Number(values.idle) * 1_000,
      settleMs: Number(values.settle) * 1_000,
      deaths: Number(values.deaths),
    });
    console.log(row);
    rows.push(row);
  }
  console.log(
    "\nSent by each node, Ethernet frames; a death is kill -9 of each node in turn, at any phase.\n\n" +
      "| nodes | bytes/s: mean of the others (most), leader | packets/s: others, leader | % of a core: others (most), leader | " +
      "first doubt p50 / p99 ms | known to all p50 / p99 ms | next leader p50 / max ms | deaths, of leaders |\n" +
      "|---|---|---|---|---|---|---|---|",
  );
  for (const row of rows) console.log(row);
}

async function measure(options: Options): Promise<string> {
  const { nodes, settleMs } = options;
  const program = await odistNode();
  await using wires = await Wires.lay(nodes);
  await using cluster = new ProgramCluster(program, wires, nodes);
  const leader = { index: -1, atMs: 0 };
  cluster.onLine = (_, line) => {
    const index = program.readLeader(line);
    if (index !== undefined && index !== leader.index) {
      Object.assign(leader, { index, atMs: performance.now() });
    }
  };
  const invite = await program.invite?.(wires);
  const all = Array.from({ length: nodes }, (_, index) => index);
  for (const index of all) {
    cluster.start(index);
    if (index > 0) continue;
    await wait(1_000); // The others join through it, and one that is not there yet is refused.
    await invite?.();
  }
  await cluster.until(LIMIT_MS, () => cluster.holds(all, "alive"));
  await wait(settleMs);
  const idle = await measureIdle(cluster, wires, options);
  const led = idle[leader.index];
  const others = idle.filter((_, index) => index !== leader.index);
  const mean = (of: (cost: Cost) => number) =>
    others.reduce((sum, c) => sum + of(c), 0) / others.length;
  const most = (of: (cost: Cost) => number) => Math.max(...others.map(of));
  const cells = [
    String(nodes),
    `${fixed(mean((c) => c.bytes), 0)} (${fixed(most((c) => c.bytes), 0)}), ${
      fixed(led?.bytes ?? NaN, 0)
    }`,
    `${fixed(mean((c) => c.packets), 1)}, ${fixed(led?.packets ?? NaN, 1)}`,
    `${fixed(mean((c) => c.cpu), 2)} (${fixed(most((c) => c.cpu), 2)}), ${
      fixed(led?.cpu ?? NaN, 2)
    }`,
    ...await measureDeaths(cluster, options, leader),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Per second, of one node; `cpu` in percent of a core. */
interface Cost {
  readonly bytes: number;
  readonly packets: number;
  readonly cpu: number;
}

async function measureIdle(
  cluster: ProgramCluster,
  wires: Wires,
  { nodes, idleMs }: Options,
): Promise<Cost[]> {
  const look = () =>
    Promise.all(Array.from({ length: nodes }, async (_, index) => {
      const { sentBytes, sentPackets } = await wires.count(index);
      const { cpuSeconds } = readProcessCost(cluster.pidOf(index) ?? NaN);
      return { sentBytes, sentPackets, cpuSeconds };
    }));
  const before = await look();
  const startedMs = performance.now();
  await wait(idleMs);
  const after = await look();
  const seconds = (performance.now() - startedMs) / 1_000;
  return after.map((now, index) => {
    const was = before[index] ?? now;
    return {
      bytes: (now.sentBytes - was.sentBytes) / seconds,
      packets: (now.sentPackets - was.sentPackets) / seconds,
      cpu: (now.cpuSeconds - was.cpuSeconds) / seconds * 100,
    };
  });
}

async function measureDeaths(
  cluster: ProgramCluster,
  { nodes, settleMs, deaths }: Options,
  leader: { readonly index: number; readonly atMs: number },
): Promise<string[]> {
  const doubtMs: number[] = [];
  const downMs: number[] = [];
  const electedMs: number[] = [];
  const all = Array.from({ length: nodes }, (_, index) => index);
  for (let death = 0; death < deaths; death++) {
    // Every other time the leader, who is another after each of its deaths.
    const victim = death % 2 === 0
      ? leader.index
      : (leader.index + 1 + death % (nodes - 1)) % nodes;
    const led = victim === leader.index;
    let firstDoubtMs = Infinity;
    cluster.onVerdict = ({ subject, standing, atMs }) => {
      if (subject === victim && standing !== "alive") firstDoubtMs = Math.min(firstDoubtMs, atMs);
    };
    const killedMs = await cluster.kill(victim);
    const allKnowMs = await cluster.until(LIMIT_MS, () => cluster.holds([victim], "down"));
    doubtMs.push(firstDoubtMs - killedMs);
    downMs.push(allKnowMs - killedMs);
    if (led) electedMs.push(leader.atMs - killedMs);
    cluster.onVerdict = () => {};
    cluster.start(victim);
    await cluster.until(LIMIT_MS, () => cluster.holds(all, "alive"));
    // Away from the rhythm of probes: a death at one phase of it would be measured again and again.
    await wait(settleMs / 4 + (death * 137) % 1_000);
  }
  const span = (values: readonly number[], last: number) =>
    values.length === 0
      ? ""
      : `${fixed(median(values), 0)} / ${fixed(percentile(values, last), 0)}`;
  return [
    span(doubtMs, 0.99),
    span(downMs, 0.99),
    span(electedMs, 1),
    `${deaths}, ${electedMs.length}`,
  ];
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

await main();
