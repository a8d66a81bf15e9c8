/** How long an answer can be come back for, after its last byte was made or its client left. Milliseconds. */
export const JOURNAL_LIFE_MS = 300_000;
/** Bytes of one journal: what was asked, what was told, and what lies behind it. */
export const JOURNAL_BYTES_MAX = 8 * 1024 * 1024;
/** How long a node may take to say that it works on an answer. Milliseconds; one that is wrongly given up shows nothing more. */
export const OWNER_PATIENCE_MS = 300;
/** The same of a node that gossip doubts. Milliseconds. */
export const DOUBTED_OWNER_PATIENCE_MS = 100;
/**
 * How long the second node may leave bytes unacknowledged, which nobody sees meanwhile, as long as gossip does not doubt it.
 * Milliseconds; long, as it is slow then and not dead: bytes that are seen without a copy are lost with this node.
 */
export const ACK_WAIT_MS = 2_000;
/** The same where gossip doubts the second node. Milliseconds. */
export const DOUBTED_ACK_WAIT_MS = 150;
/** For how long another node is chosen before one that has let bytes wait. Milliseconds. */
export const BENCH_MS = 10_000;
/** Where all have let bytes wait, one is tried again so often, while nobody waits for it. Milliseconds. */
export const TRIAL_GAP_MS = 500;
/** What is tried again has as long as bytes may wait, twice as long each time that was too short, and this at most. Milliseconds. */
export const TRIAL_MS_MAX = 16_000;
/** How often waits are looked at. Milliseconds. */
export const LINK_LOOK_MS = 100;
/** How much one node keeps, its own journals and others' together. */
export interface JournalLimits {
  readonly journalsMax: number;
  readonly bytesMax: number;
  /** Of one asker. */
  readonly perOwnerMax: number;
  readonly bytesPerOwnerMax: number;
}

export const JOURNAL_LIMITS: JournalLimits = {
  journalsMax: 4_096,
  bytesMax: 256 * 1024 * 1024,
  perOwnerMax: 1_024,
  bytesPerOwnerMax: 64 * 1024 * 1024,
};
