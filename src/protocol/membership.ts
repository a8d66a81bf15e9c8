import type { Incarnation, NodeId } from "../base/mod.ts";

/** First byte of every membership message; a message with another one is refused. */
export const MEMBERSHIP_PROTOCOL_VERSION = 1;
/** Bytes of one datagram. QUIC over loopback and Ethernet carries 1,162; the rest is left to longer headers. */
export const DATAGRAM_BYTES_MAX = 1_100;
/** Bytes of one membership message on a stream. */
export const SYNC_BYTES_MAX = 256 * 1024;
/** Bytes of a member's address, ASCII. */
export const ADDRESS_BYTES_MAX = 128;
/** Bytes of the key of an application value, ASCII. */
export const VALUE_KEY_BYTES_MAX = 64;
/** Bytes of one application value. */
export const VALUE_BYTES_MAX = 8 * 1024;
/** Buckets of a membership digest. */
export const SYNC_BUCKETS = 64;

/** What the cluster holds of a member. `suspect` is a timed doubt, `down` a confirmed one, `left` the member's own word. */
export type MemberStanding = "alive" | "suspect" | "down" | "left";

/** Where a life of a member stands in time: a later boot outdoes any incarnation of an earlier one. */
export interface LifeStamp {
  /** Raised and persisted by the node at each start. */
  readonly bootEpoch: number;
  /** Raised by the node alone, to refute. */
  readonly incarnation: Incarnation;
}

/** A statement about a member, as it travels. */
export interface MemberClaim extends LifeStamp {
  readonly nodeId: NodeId;
  readonly standing: MemberStanding;
  /** Where it listens; "" when the speaker does not know or the standing does not need it. */
  readonly address: string;
  /** Who doubts it; only with `suspect`. */
  readonly accuser: NodeId | undefined;
}

/** What the sender of a datagram holds against its receiver. `unknown` asks for an introduction. */
export interface Accusation extends LifeStamp {
  readonly standing: "suspect" | "down" | "left" | "unknown";
}

/** One application value of one member; `value` undefined = deleted. */
export interface ValueEntry {
  readonly key: string;
  /** Position in the owner's own sequence of changes, >= 1. */
  readonly version: number;
  readonly value: Uint8Array | undefined;
}

/**
 * Word that the owner has come to `version`, with or without the change itself. Earlier nodes hand on values this way;
 * from anybody but its owner it is a reason to ask the owner, no more.
 */
export interface ValueRumor {
  readonly nodeId: NodeId;
  readonly bootEpoch: number;
  readonly version: number;
  readonly entry: ValueEntry | undefined;
}

/** Everything small that rides on a datagram. */
export interface Piggyback {
  readonly accusation: Accusation | undefined;
  readonly claims: readonly MemberClaim[];
  readonly values: readonly ValueRumor[];
}

interface Sourced {
  /** The sender's own stamp; who it is, the transport has authenticated. */
  readonly source: LifeStamp;
}

/** Probe, answer, indirect probe, its refusal, and rumours on their own. */
export type MembershipDatagram = Sourced & {
  readonly piggyback: Piggyback;
  readonly body:
    | { readonly kind: "ping"; readonly sequence: number }
    | { readonly kind: "ack"; readonly sequence: number }
    | { readonly kind: "nack"; readonly sequence: number }
    | { readonly kind: "ping_request"; readonly sequence: number; readonly target: NodeId }
    | { readonly kind: "gossip" };
};

/** A member as push-pull shows it. */
export interface SyncRow {
  readonly claim: MemberClaim;
  /** Seconds since it was found down or left; 0 for others. Keeps forgotten members from being handed round for ever. */
  readonly goneSeconds: number;
  /** How far the speaker has the member's values. */
  readonly valueVersion: number;
  /** Deletions up to here are forgotten. */
  readonly collectedVersion: number;
}

/** Values of one member from `fromVersion` (exclusive) to `toVersion`. */
export interface ValueDelta {
  readonly nodeId: NodeId;
  readonly bootEpoch: number;
  readonly fromVersion: number;
  readonly toVersion: number;
  readonly collectedVersion: number;
  /** Ascending by version. */
  readonly entries: readonly ValueEntry[];
}

/** A request for a member's values. */
export interface ValueWant {
  readonly nodeId: NodeId;
  readonly bootEpoch: number;
  readonly fromVersion: number;
  readonly collectedVersion: number;
}

/** Push-pull: digest, rows of what differs, then what the other lacks. */
export type MembershipSync = Sourced & {
  readonly body:
    | {
      readonly kind: "sync_request";
      /** Mixed into the hashes, so that a collision does not hide a difference twice. */
      readonly salt: number;
      /** Rows the sender is ready to take. */
      readonly rowsMax: number;
      readonly self: MemberClaim;
      /** {@link SYNC_BUCKETS} hashes. */
      readonly bucketHashes: readonly number[];
    }
    | {
      readonly kind: "sync_rows";
      /** Buckets whose rows are all here. */
      readonly buckets: readonly number[];
      readonly rows: readonly SyncRow[];
    }
    | {
      readonly kind: "sync_update";
      readonly rows: readonly SyncRow[];
      readonly deltas: readonly ValueDelta[];
      readonly wants: readonly ValueWant[];
    };
};
