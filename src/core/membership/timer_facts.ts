import type { NodeId } from "../../base/mod.ts";

/** What a deadline of membership is about. */
export type TimerFact =
  | { readonly kind: "probe_turn" }
  | { readonly kind: "probe_silent"; readonly sequence: number }
  | { readonly kind: "probe_over"; readonly sequence: number }
  | { readonly kind: "relay_over"; readonly sequence: number }
  | { readonly kind: "suspicion_due"; readonly nodeId: NodeId }
  | { readonly kind: "gossip_turn" }
  | { readonly kind: "sync_turn" }
  | { readonly kind: "announce_turn" }
  | { readonly kind: "join_turn" }
  | { readonly kind: "leave_turn"; readonly round: number };
