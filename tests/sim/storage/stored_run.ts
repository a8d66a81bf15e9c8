/**
 * Runs of the Raft simulator in which each node's log is the shipped one on real files, and something befalls the disks.
 *
 * @module
 */
import { join } from "node:path";
import { Random } from "../../../src/base/mod.ts";
import { type Fault, type FaultKind, planFaults } from "../raft/faults.ts";
import { simulate, type SimulationReport } from "../raft/simulation.ts";
import { Medium } from "./medium.ts";
import { RealWork } from "./real_work.ts";
import { StoredLog } from "./stored_log.ts";
import {
  type StorageFault,
  Strikes,
  STRIKES_SPAN_MS,
  type StrikeTally,
  victimsMax,
} from "./strikes.ts";

/** One run. */
export interface StoredRun {
  readonly seed: number;
  readonly kind: StorageFault;
  /** Whether members come and go while it strikes. */
  readonly changesGroup: boolean;
  /** Where real files may lie; undefined = in memory alone. */
  readonly folder?: string | undefined;
  readonly keepsLines?: boolean;
}

/** What it came to. */
export interface StoredReport extends SimulationReport {
  readonly tally: StrikeTally;
}

/** These change the group as they like, down to one voter; the strikes do it with a sound majority left. */
const UNBOUNDED: readonly FaultKind[] = ["membership", "relay", "hush"];

const WRITES_APART_MS = 125;

/** A folder for real files: in memory where the machine has such a place, as a run syncs some thousand times. */
export async function makeFolder(): Promise<string> {
  const prefix = "odist-disks-";
  try {
    return await Deno.makeTempDir({ dir: "/dev/shm", prefix });
  } catch {
    return await Deno.makeTempDir({ prefix });
  }
}

/** Runs one seed; a violation is a value, not an exception. */
export async function simulateStored(run: StoredRun): Promise<StoredReport> {
  const { seed, kind, changesGroup } = run;
  const random = new Random(seed);
  const nodeCount = 3 + 2 * (seed % 2);
  const spanMs = STRIKES_SPAN_MS;
  const logs: StoredLog[] = [];
  let strikes: Strikes | undefined;
  const root = run.folder === undefined ? undefined : await Deno.makeTempDir({ dir: run.folder });
  try {
    const report = await simulate({
      seed,
      nodeCount,
      spanMs,
      keepsLines: run.keepsLines === true,
      faults: otherFaults(random, { spanMs, nodeCount }),
      storage: {
        votersMin: 2 * victimsMax({ nodeCount, changesGroup }) + 1,
        async open(time, founders) {
          const work = new RealWork();
          time.rest = work;
          for (const { id: owner } of founders) {
            const folder = root === undefined ? undefined : join(root, owner);
            const medium = await Medium.open({ time, work, random: random.fork(), folder });
            logs.push(new StoredLog({ owner, medium, time, work, random: random.fork() }));
          }
          let open = founders.length;
          for (const [index, { snapshot }] of founders.entries()) {
            logs[index]?.found(snapshot).then(() => open--, (error) => work.fail(error));
          }
          await time.runSettled(1_000, () => open === 0);
          return logs;
        },
        befall(world, injector) {
          for (const [index, log] of logs.entries()) {
            log.medium.slowMs = () => world.replicas[index]?.diskSlowMs ?? 0;
          }
          strikes = new Strikes({ kind, changesGroup }, { world, injector, logs, random });
          strikes.begin();
        },
      },
    });
    strikes?.end();
    return { ...report, tally: strikes?.tally ?? { struck: 0, said: 0, mended: 0, led: 0 } };
  } finally {
    await Promise.all(logs.map((log) => log.medium.close()));
    if (root !== undefined) await Deno.remove(root, { recursive: true });
  }
}

/** What goes on besides: networks, crashes, slow machines. */
function otherFaults(
  random: Random,
  options: { readonly spanMs: number; readonly nodeCount: number },
): readonly Fault[] {
  const faults = planFaults(random, options).filter(({ kind }) => !UNBOUNDED.includes(kind));
  // Something is written at all times: faults that meet a disk at rest prove nothing.
  const writes = Array.from({ length: options.spanMs / WRITES_APART_MS }, (_, index): Fault => ({
    ...{ kind: "burst", spanMs: 0, node: 0, other: 0, side: 0 },
    atMs: index * WRITES_APART_MS + random.below(WRITES_APART_MS),
    amount: random.between(1, 6),
  }));
  return [...faults, ...writes];
}
