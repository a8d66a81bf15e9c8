import type { Random } from "../../../src/base/mod.ts";

/** Kinds of faults a run may have; each seed turns off a random half (swarm testing). */
export const FAULT_KINDS = [
  "loss",
  "duplicate",
  "slow_link",
  "partition",
  "one_way_cut",
  "crash",
  "pause",
  "clock_skew",
  "slow_disk",
  "starved_cpu",
  "membership",
  "transfer",
  "isolate_leader",
  "pause_leader",
  "crash_on",
  "burst",
  "strand",
  "mute",
  "relay",
  "late_echo",
  "usurp",
  "hush",
] as const;

/**
 * Moments at which a `crash_on` fault strikes, whichever node comes to one first: a vote was ordered to the disk and its
 * messages are out, a change was applied, a snapshot was taken or put in place, an election was won, entries were
 * ordered to the disk.
 */
export const MOMENTS = [
  "voted",
  "change_applied",
  "snapshot_saved",
  "snapshot_installed",
  "elected",
  "entries_ordered",
] as const;

/** What a `mute` fault loses everywhere while it lasts; `vote` and `pre_vote` are requests. */
export const MUTED = [
  "vote",
  "vote",
  "pre_vote",
  "vote_response",
  "append_request",
  "append_response",
  "heartbeat_request",
  "heartbeat_response",
  "snapshot_request",
  "timeout_now",
] as const;

/** One of {@link MOMENTS}. */
export type Moment = (typeof MOMENTS)[number];

/** One of {@link FAULT_KINDS}. */
export type FaultKind = (typeof FAULT_KINDS)[number];

/**
 * One fault as data, so that a failing plan can be shrunk and replayed. `node` and `other` are indexes, `amount` is per
 * kind: per mille for loss and duplicates, milliseconds for slowness, per cent for clocks, an effect count for crashes.
 */
export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly spanMs: number;
  readonly node: number;
  readonly other: number;
  readonly amount: number;
  /** Which nodes are on the first side of a partition, as bits. */
  readonly side: number;
}

/** What each kind draws: range of spans and of amounts, and how many a minute there are. */
const SHAPES: Readonly<
  Record<
    FaultKind,
    {
      readonly span: [number, number];
      readonly amount: [number, number];
      readonly perMinute: number;
    }
  >
> = {
  loss: { span: [500, 15_000], amount: [10, 400], perMinute: 4 },
  duplicate: { span: [500, 15_000], amount: [10, 300], perMinute: 3 },
  slow_link: { span: [500, 10_000], amount: [20, 600], perMinute: 4 },
  partition: { span: [300, 12_000], amount: [0, 1], perMinute: 4 },
  one_way_cut: { span: [300, 8_000], amount: [0, 1], perMinute: 4 },
  crash: { span: [50, 8_000], amount: [0, 40], perMinute: 8 },
  pause: { span: [100, 6_000], amount: [0, 1], perMinute: 4 },
  clock_skew: { span: [2_000, 30_000], amount: [40, 220], perMinute: 2 },
  slow_disk: { span: [500, 10_000], amount: [20, 1_000], perMinute: 3 },
  starved_cpu: { span: [500, 10_000], amount: [20, 400], perMinute: 3 },
  membership: { span: [300, 5_000], amount: [0, 1_000], perMinute: 10 },
  transfer: { span: [0, 1], amount: [0, 1], perMinute: 4 },
  isolate_leader: { span: [300, 8_000], amount: [0, 3], perMinute: 4 },
  pause_leader: { span: [100, 6_000], amount: [0, 1], perMinute: 4 },
  crash_on: { span: [500, 4_000], amount: [0, 6], perMinute: 8 },
  burst: { span: [0, 1], amount: [5, 60], perMinute: 6 },
  strand: { span: [500, 6_000], amount: [0, 1], perMinute: 3 },
  mute: { span: [300, 6_000], amount: [0, 100], perMinute: 4 },
  relay: { span: [300, 3_000], amount: [0, 1_000], perMinute: 4 },
  late_echo: { span: [1_500, 5_000], amount: [200, 1_200], perMinute: 3 },
  usurp: { span: [3_000, 6_000], amount: [0, 1], perMinute: 3 },
  hush: { span: [1_000, 4_000], amount: [0, 1_000], perMinute: 3 },
};

/** Kinds that only matter when nothing comes after them: they strike in so many last milliseconds of a run. */
const LATE_MS: Partial<Record<FaultKind, number>> = { hush: 3_000 };

/** The faults of one seed, in order of time. */
export function planFaults(
  random: Random,
  options: { readonly spanMs: number; readonly nodeCount: number },
): readonly Fault[] {
  const kinds = random.shuffle(FAULT_KINDS).slice(0, Math.ceil(FAULT_KINDS.length / 2));
  const faults: Fault[] = [];
  for (const kind of FAULT_KINDS) {
    if (!kinds.includes(kind)) continue;
    const { span, amount, perMinute } = SHAPES[kind];
    const windowMs = Math.min(LATE_MS[kind] ?? options.spanMs, options.spanMs);
    const count = random.below(Math.ceil((2 * perMinute * options.spanMs) / 60_000)) + 1;
    for (let index = 0; index < count; index++) {
      faults.push({
        kind,
        atMs: options.spanMs - windowMs + random.below(windowMs),
        spanMs: random.between(span[0], span[1]),
        node: random.below(options.nodeCount),
        other: random.below(options.nodeCount),
        amount: random.between(amount[0], amount[1]),
        side: random.below(2 ** options.nodeCount),
      });
    }
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}
