/**
 * A day of a cluster: arrivals that rise and fall with the hours, and three nodes in ten lost at once at the peak. What it asks
 * for is long answers, which nodes have begun when they are lost.
 */
import { MEMBERSHIP_PRESETS } from "../../../src/core/membership/mod.ts";
import { MembershipWorld } from "../membership_world.ts";
import { quantile } from "./queue_figures.ts";
import { type Asked, type Load, QueueWorld, SLOTS } from "./queue_world.ts";

/** Of what all nodes can do, what is asked for on average, and at the peak more and at night less. */
const MEAN_SHARE = 0.35;
const SWING_SHARE = 0.3;
const LOST_SHARE = 0.3;
/** A node that is busy tells its load so often, in so many bytes. */
const TOLD_PER_SECOND = 1;
const LOAD_BYTES = 40;
/** Until rumours of the start are over. */
const SETTLE_MS = 20_000;

/** How a day went. */
export interface DayReport {
  readonly requests: number;
  /** Admitted ones that never had their answer. */
  readonly lost: number;
  readonly refused: number;
  /** That went on elsewhere when their node was lost. */
  readonly moved: number;
  /** What half of the choices of a node took at most, real microseconds. */
  readonly routeUs: number;
  readonly busyShare: number;
}

/** A day of `dayMs` on so many nodes; the same for the same seed but for what it takes. */
export function simulateDay(
  of: {
    readonly nodes: number;
    readonly dayMs: number;
    readonly seed: number;
    readonly realMs: () => number;
  },
): DayReport {
  const { nodes, dayMs } = of;
  const ended = { whole: 0, late: 0, refused: 0, waiting: 0, running: 0 };
  let [moved, slotMs] = [0, 0];
  const load: Load = {
    tenant: "a",
    shape: "thinker",
    share: (atMs) => MEAN_SHARE - SWING_SHARE * Math.cos(2 * Math.PI * atMs / dayMs),
    patienceMs: Infinity,
  };
  const world = new QueueWorld({
    ...{ ...of, durationMs: dayMs, loads: [load] },
    loss: { share: LOST_SHARE, atMs: dayMs / 2 },
    onOver: ({ outcome, retries, slotMs: tookMs }: Asked) => {
      ended[outcome]++;
      slotMs += tookMs;
      if (retries > 0) moved++;
    },
  });
  world.run();
  return {
    requests: world.arrivals,
    lost: world.arrivals - ended.whole - ended.refused,
    refused: ended.refused,
    moved,
    routeUs: 1_000 * quantile(world.choicesMs.sort((a, b) => a - b), 0.5),
    busyShare: slotMs / (nodes * SLOTS * dayMs),
  };
}

/** Bytes a second that each of so many busy nodes sends to tell the others of itself. */
export function gossipBytesPerNode(nodes: number, spanMs: number): number {
  const timing = MEMBERSHIP_PRESETS.lan;
  const world = new MembershipWorld({ seed: 1, nodeCount: nodes, timing });
  world.advance(SETTLE_MS);
  const bytes = () => world.datagramBytes + world.streamBytes;
  const before = bytes();
  const stepMs = 1_000 / TOLD_PER_SECOND / nodes;
  for (let told = 0; told * stepMs < spanMs; told++) {
    const value = new Uint8Array(LOAD_BYTES);
    new DataView(value.buffer).setUint32(0, told);
    world.tell(told % nodes, { kind: "value_published", key: "load", value });
    world.advance(Math.round((told + 1) * stepMs) - Math.round(told * stepMs));
  }
  return (bytes() - before) / nodes / (spanMs / 1_000);
}
