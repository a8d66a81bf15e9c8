import { percentile } from "../measuring/stats.ts";
import { type Program, ProgramCluster } from "./member_process.ts";
import { Wires } from "./wires.ts";

/** What one program costs and how soon it knows, at one size. */
export interface Measured {
  readonly program: string;
  readonly nodes: number;
  /** Means per node over the idle span, of what it sent; on a closed network as much is received. */
  readonly packetsPerSecond: number;
  readonly bytesPerSecond: number;
  /** The busiest node's. */
  readonly bytesPerSecondMax: number;
  /** From kill -9 to the first doubt of anyone, milliseconds each. */
  readonly suspectedMs: readonly number[];
  /** To the last survivor's verdict. */
  readonly downMs: readonly number[];
}

/** How long and how often. */
export interface MeasureOptions {
  readonly nodes: number;
  readonly settleMs: number;
  readonly idleMs: number;
  readonly deaths: number;
}

/** Longest wait for anything. */
const LIMIT_MS = 120_000;

/** Measures one program on wires of its own. */
export async function measure(program: Program, options: MeasureOptions): Promise<Measured> {
  const { nodes, settleMs, idleMs } = options;
  await using wires = await Wires.lay(nodes);
  await using cluster = new ProgramCluster(program, wires, nodes);
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
  const before = await Promise.all(all.map((index) => wires.count(index)));
  const startedMs = performance.now();
  await wait(idleMs);
  const after = await Promise.all(all.map((index) => wires.count(index)));
  const seconds = (performance.now() - startedMs) / 1_000;
  const sent = all.map((index) => ({
    packets: ((after[index]?.sentPackets ?? 0) - (before[index]?.sentPackets ?? 0)) / seconds,
    bytes: ((after[index]?.sentBytes ?? 0) - (before[index]?.sentBytes ?? 0)) / seconds,
  }));
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / nodes;
  return {
    program: program.name,
    nodes,
    packetsPerSecond: mean(sent.map(({ packets }) => packets)),
    bytesPerSecond: mean(sent.map(({ bytes }) => bytes)),
    bytesPerSecondMax: percentile(sent.map(({ bytes }) => bytes), 1),
    ...await measureDeaths(cluster, options),
  };
}

async function measureDeaths(
  cluster: ProgramCluster,
  { nodes, settleMs, deaths }: MeasureOptions,
): Promise<Pick<Measured, "suspectedMs" | "downMs">> {
  const suspectedMs: number[] = [];
  const downMs: number[] = [];
  for (let death = 0; death < deaths; death++) {
    const victim = death % nodes;
    let firstDoubtMs = Infinity;
    cluster.onVerdict = ({ subject, standing, atMs }) => {
      if (subject === victim && standing !== "alive") firstDoubtMs = Math.min(firstDoubtMs, atMs);
    };
    const killedMs = await cluster.kill(victim);
    const allKnowMs = await cluster.until(LIMIT_MS, () => cluster.holds([victim], "down"));
    suspectedMs.push(firstDoubtMs - killedMs);
    downMs.push(allKnowMs - killedMs);
    cluster.onVerdict = () => {};
    cluster.start(victim);
    const all = Array.from({ length: nodes }, (_, index) => index);
    await cluster.until(LIMIT_MS, () => cluster.holds(all, "alive"));
    // Away from the probes' rhythm: a death at one phase of it would be measured again and again.
    await wait(settleMs / 4 + (death * 137) % 1_000);
  }
  return { suspectedMs, downMs };
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
