/** The spans and factors of one network kind. All times in milliseconds. */
export interface MembershipTiming {
  /** One probe starts each time this passes. */
  readonly probeIntervalMs: number;
  /** Silence after which others are asked to probe; stretched by local health. */
  readonly probeTimeoutMs: number;
  /** Silence after which the target is suspected; > probeTimeoutMs; stretched by local health. */
  readonly probeDeadlineMs: number;
  /** How many others are asked. */
  readonly indirectProbes: number;
  /** Rumours go out on their own each time this passes, while there are any. */
  readonly gossipIntervalMs: number;
  /** To how many members. */
  readonly gossipFanout: number;
  /** Shortest suspicion at 10 members = this times probeIntervalMs; it grows with the square of the cluster's decimal logarithm. */
  readonly suspicionFactor: number;
  /** Longest suspicion (no one else agrees) = this times the shortest. */
  readonly suspicionStretch: number;
  /** Each rumour is sent this often per decimal digit of the cluster's size. */
  readonly transmissionsPerDigit: number;
  /** Push-pull with one random member; stretched above {@link STRETCH_MEMBERS} members. */
  readonly syncIntervalMs: number;
  /**
   * One member that is down is called again each time this passes, stretched as push-pull is: what heals a partition. Those
   * cut off are back after about this long and the transport's patience with a dial (2 s) at worst.
   */
  readonly announceIntervalMs: number;
  /** While alone, seeds and members that are down are asked again each time this passes. */
  readonly joinRetryMs: number;
  /** How long a member that is down is remembered and called. */
  readonly downKeptMs: number;
  /** How long a member that left is remembered. */
  readonly leftKeptMs: number;
}

/** Members above which push-pull and calls to the dead slow down, so that their bytes per node stay flat. */
const STRETCH_MEMBERS = 32;
/** Members known at a time; when full, the one gone longest makes room, and failing that a stranger is refused. */
export const MEMBERS_MAX = 4_096;
/** Rumours waiting to be sent, per kind; when full, the most often sent one is dropped. */
export const RUMORS_MAX = 8_192;
/** Probes in flight at once, out-of-turn ones included. */
export const PROBES_MAX = 16;
/** Probes done for others at once; beyond it a request is ignored. */
export const RELAYS_MAX = 64;
/** Local health at its worst: probes take 1 + this times as long. */
export const HEALTH_MAX = 8;
/** Accusers beyond the first that shorten a suspicion as far as it goes. */
export const CONFIRMATIONS_MAX = 3;
/** Rows of a member list in one push-pull message; a joining node asks for MEMBERS_MAX. */
export const SYNC_ROWS_MAX = 256;
/** Keys of one member, deleted ones included until collected. */
export const VALUE_KEYS_MAX = 64;
/** Bytes of all values of one member. */
export const VALUES_BYTES_MAX = 48 * 1024;
/** Seeds remembered from joins. */
export const SEEDS_MAX = 16;
/** Members told at once by a node that leaves. */
export const LEAVE_TARGETS_MAX = 16;
/** Rounds in which a leaving node tells them. */
export const LEAVE_ROUNDS = 3;
/** A boot epoch is milliseconds since 1970: none is believed that is farther ahead of this node's clock. */
export const EPOCH_AHEAD_MS_MAX = 24 * 3_600_000;
/** This node's own is raised half as far, so that others whose clocks lag still believe it. */
export const OWN_EPOCH_AHEAD_MS_MAX = EPOCH_AHEAD_MS_MAX / 2;
/** No stamp above it is believed: what counts on from it can still be written and read back. */
export const STAMP_MAX = 2 ** 52;
/** Incarnations at a time that others may tell of: a member raises its own by one for each refutation. */
export const INCARNATION_JUMP_MAX = 1_000;
/** Members whose word is needed, together, for what only the subject itself should say. */
export const VOICES_NEEDED = 2;
/** Times a node outbids a later boot of itself before it takes it for another machine with its identity. */
export const EPOCH_RAISES_MAX = 3;
/** Between two of them; after longer quiet they count from 0. */
export const EPOCH_RAISES_MS = 60_000;
/** A wake-up or event later than this past a deadline means that this node did not run: its clocks stop counting. */
export const STALL_MS = 25;
/** After such a stall, how long messages may queue up before any deadline counts. */
export const STALL_GRACE_MS = 10;

/** All nodes on one machine. */
const LOCAL: MembershipTiming = {
  probeIntervalMs: 200,
  probeTimeoutMs: 60,
  probeDeadlineMs: 150,
  indirectProbes: 2,
  gossipIntervalMs: 50,
  gossipFanout: 3,
  suspicionFactor: 6,
  suspicionStretch: 3,
  transmissionsPerDigit: 4,
  syncIntervalMs: 15_000,
  announceIntervalMs: 2_000,
  joinRetryMs: 500,
  downKeptMs: 24 * 3_600_000,
  leftKeptMs: 3_600_000,
};

/**
 * One building, round trips of a few milliseconds. 180 ms and 165 ms put the first suspicion of one dead node among ten
 * at p99 <= 1 s; factor 9 leaves a node that is stalled for a second time to refute.
 */
const LAN: MembershipTiming = {
  ...LOCAL,
  probeIntervalMs: 180,
  probeTimeoutMs: 65,
  probeDeadlineMs: 165,
  indirectProbes: 3,
  gossipIntervalMs: 100,
  suspicionFactor: 9,
  syncIntervalMs: 30_000,
  announceIntervalMs: 2_500,
  joinRetryMs: 1_000,
};

/** Several sites, round trips up to 400 ms. */
const WAN: MembershipTiming = {
  ...LAN,
  probeIntervalMs: 1_500,
  probeTimeoutMs: 600,
  probeDeadlineMs: 1_400,
  gossipIntervalMs: 300,
  gossipFanout: 4,
  suspicionFactor: 5,
  suspicionStretch: 4,
  syncIntervalMs: 60_000,
  announceIntervalMs: 10_000,
  joinRetryMs: 3_000,
};

/** Timing by network kind. */
export const MEMBERSHIP_PRESETS = { local: LOCAL, lan: LAN, wan: WAN } as const;

/** Decimal logarithm of `count` in thousandths, by linear steps between powers of two; integers only. */
export function log10Thousandths(count: number): number {
  const whole = Math.max(count, 1);
  const bits = 31 - Math.clz32(whole);
  const floor = 2 ** bits;
  // log10(2) = 0.301; the straight line between powers of two is off by less than 3 %.
  return Math.trunc(((bits * floor + (whole - floor)) * 301) / floor);
}

/** How often a rumour is sent on by each node that hears it. */
export function transmissionsMax(timing: MembershipTiming, memberCount: number): number {
  return timing.transmissionsPerDigit * Math.ceil(log10Thousandths(memberCount + 1) / 1000);
}

/** The shortest suspicion for a cluster of `memberCount`. */
export function suspicionMsMin(timing: MembershipTiming, memberCount: number): number {
  // Squared: among a hundred there are ten times as many that starve and doubt, and all of them must be outlived.
  const digits = Math.max(1000, log10Thousandths(memberCount));
  const scale = Math.trunc((digits * digits) / 1000);
  return Math.trunc((timing.suspicionFactor * timing.probeIntervalMs * scale) / 1000);
}

/** Time between push-pulls for a cluster of `memberCount`. */
export function syncIntervalMs(timing: MembershipTiming, memberCount: number): number {
  return timing.syncIntervalMs * stretch(memberCount);
}

/** Time between calls to members that are down for a cluster of `memberCount`. */
export function announceIntervalMs(timing: MembershipTiming, memberCount: number): number {
  return timing.announceIntervalMs * stretch(memberCount);
}

/** 1, and one more with each doubling above {@link STRETCH_MEMBERS}. */
function stretch(memberCount: number): number {
  const excess = Math.max(1, Math.ceil(memberCount / STRETCH_MEMBERS));
  return 1 + 32 - Math.clz32(excess - 1);
}
