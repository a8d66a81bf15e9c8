import { errorMessage, type NodeId, PeerError, UnavailableError } from "../../base/mod.ts";
import type { PeerAddress } from "../../ports/mod.ts";
import { CLOSE_CODES } from "../connection.ts";
import { withDeadline } from "./deadline.ts";
import { isRuntimeLoss } from "../framing/mod.ts";
import { greetAsDialer, type GreetingParts, type IncomingStreams } from "./greeting.ts";
import { anchorFromMemberKey, serverNameOf } from "../identity/mod.ts";
import type { TransportLimits } from "../limits.ts";
import { MEMBER_PROTOCOL, quicSettings } from "../quic_settings.ts";
import { resolveAddress } from "../resolve_address.ts";

/** How long a refusal gets to arrive before its connection is closed. */
export const LAST_WORDS_MS = 500;

/** What comes of a dial; everything else is thrown. */
export type DialOutcome =
  | {
    readonly kind: "connected";
    readonly conn: Deno.QuicConn;
    /** The peer's, SPKI. */
    readonly publicKey: Uint8Array;
    readonly life: string;
    readonly incoming: IncomingStreams;
  }
  /** The peer has a connection to this node already, or makes one. */
  | { readonly kind: "duplicate" }
  /** Another connection came up meanwhile. */
  | { readonly kind: "unwanted" };

/** What a dialer works with. */
export interface DialerParts {
  readonly endpoint: Deno.QuicEndpoint;
  readonly greeting: () => GreetingParts;
  readonly limits: TransportLimits;
}

/**
 * Connects to a member and greets it. `answered` is called when somebody is there, and says whether to go on.
 *
 * @throws UnavailableError `peer_lost`; PeerError for everything wrong with the peer.
 */
export async function dialPeer(
  to: PeerAddress,
  parts: DialerParts,
  answered: () => boolean,
): Promise<DialOutcome> {
  const { limits } = parts;
  const greeting = parts.greeting();
  const { clock } = greeting;
  const conn = await withDeadline(connect(to, parts), {
    clock,
    limitMs: limits.dialTimeoutMs,
    late: () => new UnavailableError("peer_lost", `Nobody answered at ${to.address}`),
    discard: (late) => closeConn(late, "done"),
  });
  if (!answered()) {
    closeConn(conn, "duplicate");
    return { kind: "unwanted" };
  }
  const incoming = conn.incomingBidirectionalStreams.getReader();
  try {
    const { verdict, publicKey, life } = await withDeadline(
      greetAsDialer(conn, greeting, to.nodeId),
      {
        clock,
        limitMs: limits.helloTimeoutMs,
        late: () => new PeerError("peer_stalled", `The node at ${to.address} stalls in the hello`),
      },
    );
    if (verdict === "keep") return { kind: "connected", conn, publicKey, life, incoming };
    closeConn(conn, "duplicate");
    return { kind: "duplicate" };
  } catch (error) {
    clock.after(LAST_WORDS_MS, () => closeConn(conn, "refused"));
    throw error;
  }
}

async function connect(to: PeerAddress, parts: DialerParts): Promise<Deno.QuicConn> {
  const { endpoint } = parts;
  const { identity, directory, clock } = parts.greeting();
  const family = endpoint.addr.hostname.includes(":") ? 6 : 4;
  const { hostname, port } = await resolveAddress(to.address, { family });
  try {
    const conn = await Deno.connectQuic({
      ...quicSettings(parts.limits),
      endpoint,
      hostname,
      port,
      // The certificate must be that node's, so that no other member can stand in between.
      serverName: serverNameOf(to.nodeId),
      caCerts: [await anchorOf(to.nodeId, { identity, directory, clock })],
      alpnProtocols: [MEMBER_PROTOCOL],
    });
    conn.closed.catch(() => {});
    return conn;
  } catch (cause) {
    throw connectionError(to.address, cause);
  }
}

/**
 * The peer's own key: a certificate of the authority says who was once let in, not who belongs.
 *
 * @throws UnavailableError `peer_lost` when nobody told this node which key the peer has.
 */
async function anchorOf(
  peer: NodeId,
  by: Pick<GreetingParts, "identity" | "directory" | "clock">,
): Promise<string> {
  if (by.directory.findKey === undefined) return by.identity.authorityPem;
  const key = by.directory.findKey(peer);
  if (key === undefined) {
    throw new UnavailableError("peer_lost", `Node ${peer} is no member as far as this node knows`);
  }
  return await anchorFromMemberKey(Uint8Array.from(key), by.clock.nowMs());
}

/** What a failed connect is to callers. */
export function connectionError(address: string, cause: unknown): PeerError | UnavailableError {
  if (cause instanceof PeerError || cause instanceof UnavailableError) return cause;
  if (!isRuntimeLoss(cause)) throw cause;
  const text = `Cannot connect to ${address}: ${errorMessage(cause)}`;
  return isWrongCertificate(cause)
    ? new PeerError("peer_refused", text, { cause })
    : new UnavailableError("peer_lost", text, { cause });
}

/** The runtime tells by text alone. Read wrongly, the line in the log is the only difference. */
function isWrongCertificate(cause: unknown): boolean {
  return errorMessage(cause).includes("cryptographic handshake failed");
}

/** Safe to repeat. */
export function closeConn(conn: Deno.QuicConn, reason: keyof typeof CLOSE_CODES): void {
  conn.closed.catch(() => {});
  conn.close({ closeCode: CLOSE_CODES[reason], reason });
}
