import type { Incarnation, NodeId } from "../../base/mod.ts";
import type { MemberStanding } from "../../protocol/mod.ts";
import type { ValueRefusal } from "./values.ts";

/**
 * Where to reach a node: the transport connects to `address` and must find `nodeId` there. With address "" only a
 * connection that is open already will do: that is how a stranger is answered.
 */
export interface Contact {
  readonly nodeId: NodeId;
  readonly address: string;
}

/** Whom the leader of the log's group watches by its heartbeats, as this node knows it. */
export interface HeartbeatWatch {
  readonly leader: NodeId;
  /** They hear the leader, and the leader them. */
  readonly voters: readonly NodeId[];
}

/**
 * Facts for {@link Membership}. `nowMs` is a monotonic clock in whole milliseconds, of any origin; it is when the fact
 * is handed in, not when it happened.
 */
export type MembershipEvent =
  & { readonly nowMs: number }
  & (
    /** Starts probing and answering; the first event. */
    | { readonly kind: "started" }
    /** A wake-up ordered by `wake_at` came; one with an older token is ignored. */
    | { readonly kind: "woke"; readonly token: number }
    /** `from` is whom the transport authenticated. */
    | { readonly kind: "datagram_received"; readonly from: NodeId; readonly bytes: Uint8Array }
    | { readonly kind: "stream_received"; readonly from: NodeId; readonly bytes: Uint8Array }
    /** A message could not even be sent: our own network is a suspect too. */
    | { readonly kind: "send_failed"; readonly to: NodeId }
    /** A hint: the member is probed out of turn, nothing more. */
    | { readonly kind: "connection_lost"; readonly to: NodeId }
    /**
     * A heartbeat of the log's group: sent to a member, heard from one that leads, or answered by one. The next follows after
     * `everyMs`; it counts for nothing in an answer.
     */
    | {
      readonly kind: "heartbeat";
      readonly peer: NodeId;
      readonly way: "sent" | "heard" | "answered";
      readonly everyMs: number;
    }
    /** Who leads the log's group and votes in it has changed; undefined = nobody leads. */
    | { readonly kind: "heartbeats_watched"; readonly watch: HeartbeatWatch | undefined }
    /** Asks these members to let this node in; remembered, and asked again while it is alone. */
    | { readonly kind: "join_requested"; readonly seeds: readonly Contact[] }
    /** Says goodbye; `leave_completed` follows. */
    | { readonly kind: "leave_requested" }
    /** A removed member is no longer admitted (its catalogue entry is gone): forget it. */
    | { readonly kind: "member_expelled"; readonly nodeId: NodeId }
    /** An expelled member is admitted again. */
    | { readonly kind: "member_admitted"; readonly nodeId: NodeId }
    /** What the wall clock says, in milliseconds since 1970; told at the start and when it was set. */
    | { readonly kind: "clock_read"; readonly wallMs: number }
    /** This node listens elsewhere now. */
    | { readonly kind: "address_changed"; readonly address: string }
    /** Sets an application value of this node; undefined deletes it. */
    | {
      readonly kind: "value_published";
      readonly key: string;
      readonly value: Uint8Array | undefined;
    }
  );

/** What a member is, as others may know it. */
export interface MemberView extends Contact {
  readonly standing: MemberStanding;
  readonly bootEpoch: number;
  readonly incarnation: Incarnation;
}

/** Orders from {@link Membership}, to be carried out in this order. */
export type MembershipEffect =
  /** Unreliable, at most DATAGRAM_BYTES_MAX bytes. Failing to send is an event. */
  | (Contact & { readonly kind: "send_datagram"; readonly bytes: Uint8Array })
  /** Reliable while the connection lives, at most SYNC_BYTES_MAX bytes. */
  | (Contact & { readonly kind: "send_stream"; readonly bytes: Uint8Array })
  /** Must be durable before later effects of the same step are carried out. */
  | {
    readonly kind: "persist_identity";
    readonly bootEpoch: number;
    readonly incarnation: Incarnation;
  }
  /** Replaces the wake-up ordered before. */
  | { readonly kind: "wake_at"; readonly atMs: number; readonly token: number }
  /** `previous` undefined = first heard of; `member` undefined = forgotten. */
  | {
    readonly kind: "member_changed";
    readonly nodeId: NodeId;
    readonly previous: MemberStanding | undefined;
    readonly member: MemberView | undefined;
  }
  /** Application values of another member changed; read them with `Membership.values()`. */
  | {
    readonly kind: "values_changed";
    readonly nodeId: NodeId;
    readonly keys: readonly string[];
  }
  | { readonly kind: "value_refused"; readonly key: string; readonly reason: ValueRefusal }
  /** Enough members were told; the process may end. */
  | { readonly kind: "leave_completed" }
  /** Another process lives under this node's id and won't yield: stop serving. */
  | { readonly kind: "identity_conflicted"; readonly bootEpoch: number }
  /** For logs and tests. */
  | {
    readonly kind: "note";
    readonly event:
      | "malformed_message"
      | "refuted"
      | "stalled"
      | "probe_failed"
      | "stranger_refused"
      /** `from` said of `about` what can't be, `what`. */
      | "lie_refused"
      | "life_redated";
    readonly values: Readonly<Record<string, string | number>>;
  };
