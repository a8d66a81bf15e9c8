import type { NodeId } from "../../base/mod.ts";
import type { Verdict } from "../../protocol/mod.ts";

/** What a node knows when a peer that dialed it has proved itself. */
export interface Arrival {
  readonly self: NodeId;
  readonly peer: NodeId;
  /** Of the peer, as the dialer said. */
  readonly life: string;
  /** The connection in use, with the life of the peer it leads to. */
  readonly current:
    | { readonly direction: "dialed" | "accepted"; readonly life: string }
    | undefined;
  /** How far an own dial to the same peer has come: `answered` when the peer is known to be there. */
  readonly ownDial: "none" | "unanswered" | "answered";
}

/**
 * Whether an accepted connection comes into use, replacing the current one, or is turned away. Of two nodes that dial each
 * other at once the smaller id alone decides, and it prefers its own dial: so both use the same connection, and none is
 * taken down after frames were sent on it.
 */
export function judgeArrival(arrival: Arrival): Verdict {
  const { self, peer, life, current, ownDial } = arrival;
  // Another life of the peer: the connection leads to a process that is gone.
  if (current !== undefined && current.life !== life) return "keep";
  // The peer knows nothing of the connection, or it would not dial; it is not up to the larger id to doubt that.
  if (self > peer) return "keep";
  // An own connection that the peer has lost answers the next packet with a reset, so this does not last.
  if (current !== undefined) return current.direction === "dialed" ? "duplicate" : "keep";
  return ownDial === "answered" ? "duplicate" : "keep";
}
