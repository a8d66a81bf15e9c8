/**
 * A day of a cluster: arrivals that rise and fall with the hours, and three nodes in ten lost at once at the peak. What it asks
 * for is long answers, which nodes have begun when they are lost.
 */
import { Random } from "../../../src/base/mod.ts";
import { LoadReports } from "../../../src/core/catalogue/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../../src/core/membership/mod.ts";
import { encodeNodeLoad, NODE_LOAD_KEY } from "../../../src/protocol/mod.ts";
import { MembershipWorld } from "../membership_world.ts";
import { quantile } from "./queue_figures.ts";
import { type Asked, type Load, QueueWorld, SLOTS } from "./queue_world.ts";

/** Of what all nodes can do, what is asked for on average, and at the peak more and at night less. */
const MEAN_SHARE = 0.35;
const SWING_SHARE = 0.3;
const LOST_SHARE = 0.3;
/** Until rumours of the start are over, and those who tell seldom have told. */
const SETTLE_MS = 40_000;

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
  /** Until a request had its slot, of half of them and of 99 in 100. Milliseconds. */
  readonly waitMs: readonly [number, number];
  /** Words of loads that a node told in a second. */
  readonly toldPerSecond: number;
}

/** A day of `dayMs` on so many nodes; the same for the same seed but for what it takes. */
export function simulateDay(
  of: {
    readonly nodes: number;
    readonly dayMs: number;
    readonly seed: number;
    readonly realMs: () => number;
    /** As in {@link QueueWorld}'s options. */
    readonly members?: number;
  },
): DayReport {
  const { nodes, dayMs } = of;
  const ended = { whole: 0, late: 0, refused: 0, waiting: 0, running: 0 };
  let [moved, slotMs] = [0, 0];
  const waitsMs: number[] = [];
  const load: Load = {
    tenant: "a",
    shape: "thinker",
    share: (atMs) => MEAN_SHARE - SWING_SHARE * Math.cos(2 * Math.PI * atMs / dayMs),
    patienceMs: Infinity,
  };
  const world = new QueueWorld({
    ...{ ...of, durationMs: dayMs, loads: [load] },
    loss: { share: LOST_SHARE, atMs: dayMs / 2 },
    onOver: ({ outcome, retries, slotMs: tookMs, startedMs, atMs }: Asked) => {
      if (startedMs !== undefined) waitsMs.push(startedMs - atMs);
      ended[outcome]++;
      slotMs += tookMs;
      if (retries > 0) moved++;
    },
  });
  world.run();
  waitsMs.sort((a, b) => a - b);
  return {
    waitMs: [quantile(waitsMs, 0.5), quantile(waitsMs, 0.99)],
    toldPerSecond: 1_000 * world.reports / nodes / dayMs,
    requests: world.arrivals,
    lost: world.arrivals - ended.whole - ended.refused,
    refused: ended.refused,
    moved,
    routeUs: 1_000 * quantile(world.choicesMs.sort((a, b) => a - b), 0.5),
    busyShare: slotMs / (nodes * SLOTS * dayMs),
  };
}

/**
 * Bytes a second that each of so many busy nodes sends to tell the others of its load, by the shipped rule.
 *
 * @param members How many members nodes take their cluster to have, which says how often they tell; default all.
 */
export function gossipBytesPerNode(nodes: number, spanMs: number, members = nodes): number {
  const timing = MEMBERSHIP_PRESETS.lan;
  const world = new MembershipWorld({ seed: 1, nodeCount: nodes, timing });
  const random = new Random(1);
  const reports = Array.from({ length: nodes }, () => new LoadReports());
  const bytes = () => world.datagramBytes + world.streamBytes;
  let before = 0;
  // Each node changes once a second, one after the other, as they did before the span too: who tells seldom has told lately.
  for (let looks = 0; looks * 1_000 / nodes < SETTLE_MS + spanMs; looks++) {
    if (looks * 1_000 / nodes < SETTLE_MS) before = bytes();
    const index = looks % nodes;
    const runningRequests = random.below(SLOTS + 1);
    const { load } = reports[index]?.look({
      ...{ runningRequests, slots: SLOTS, freeSlots: SLOTS - runningRequests },
      waitingRequests: runningRequests < SLOTS ? 0 : random.below(10),
      ...{ decodeTokensPerMinute: 3_000, prefillTokensPerMinute: 120_000, availableBytes: 2 ** 33 },
    }, { nowMs: world.nowMs, members }) ?? {};
    if (load !== undefined) {
      world.tell(index, {
        kind: "value_published",
        key: NODE_LOAD_KEY,
        value: encodeNodeLoad(load),
      });
    }
    world.advance(Math.round((looks + 1) * 1_000 / nodes) - world.nowMs);
  }
  return (bytes() - before) / nodes / (spanMs / 1_000);
}
