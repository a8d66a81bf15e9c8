import { errorMessage, type NodeId, PeerError, UnavailableError } from "../../base/mod.ts";
import type { PeerAddress } from "../../ports/mod.ts";
import { CLOSE_CODES } from "../connection.ts";
import { withDeadline } from "./deadline.ts";
import { isRuntimeLoss } from "../framing/mod.ts";
import { greetAsDialer, type GreetingParts, type IncomingStreams } from "./greeting.ts";
import { firstToAnswer } from "./first_to_answer.ts";
import { anchorFromMemberKey, helloFailureOf, serverNameOf } from "../identity/mod.ts";
import type { TransportLimits } from "../limits.ts";
import { MEMBER_PROTOCOL, quicSettings } from "../quic_settings.ts";
import type { LookUp, ResolvedAddress } from "../resolve_address.ts";

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
    /** Of the versions of the wire the newest that both speak. */
    readonly wire: number;
    readonly incoming: IncomingStreams;
    /** At which of the addresses it was found. */
    readonly address: string;
  }
  /** The peer has a connection to this node already, or makes one. */
  | { readonly kind: "duplicate" }
  /** Another connection came up meanwhile. */
  | { readonly kind: "unwanted" };

/** Whom to dial, and where that node may be. */
export interface DialTarget {
  readonly nodeId: NodeId;
  /** At least one; what goes wrong is told of the first. */
  readonly addresses: readonly string[];
}

/** What a dialer works with. */
export interface DialerParts {
  readonly endpoint: Deno.QuicEndpoint;
  readonly greeting: () => GreetingParts;
  readonly limits: TransportLimits;
  readonly lookUp: LookUp | undefined;
  /** A member that was dialed says that this node does not belong. */
  readonly onShutOut: (by: PeerAddress) => void;
}

/**
 * Connects to a member at whichever address it answers first, and greets it. `answered` is called when somebody is there, and says
 * whether to go on.
 *
 * @throws UnavailableError `peer_lost`; PeerError for everything wrong with the peer.
 */
export async function dialPeer(
  to: DialTarget,
  parts: DialerParts,
  answered: () => boolean,
): Promise<DialOutcome> {
  const { limits } = parts;
  const greeting = parts.greeting();
  const { clock } = greeting;
  const { conn, address } = await withDeadline(connect(to, parts), {
    clock,
    limitMs: limits.dialTimeoutMs,
    late: () =>
      new UnavailableError("peer_lost", `Nobody answered at ${to.addresses.join(" or ")}`),
    discard: (late) => closeConn(late.conn, "done"),
  });
  if (!answered()) {
    closeConn(conn, "duplicate");
    return { kind: "unwanted" };
  }
  const incoming = conn.incomingBidirectionalStreams.getReader();
  try {
    const { verdict, ...greeted } = await withDeadline(
      greetAsDialer(conn, greeting, to.nodeId),
      {
        clock,
        limitMs: limits.helloTimeoutMs,
        late: () => new PeerError("peer_stalled", `The node at ${address} stalls in the hello`),
      },
    );
    if (verdict === "keep") return { kind: "connected", conn, ...greeted, incoming, address };
    closeConn(conn, "duplicate");
    return { kind: "duplicate" };
  } catch (error) {
    if (isShutOut(error)) parts.onShutOut({ nodeId: to.nodeId, address });
    clock.after(LAST_WORDS_MS, () => closeConn(conn, "refused"));
    throw error;
  }
}

async function connect({ nodeId, addresses }: DialTarget, parts: DialerParts) {
  const { endpoint, lookUp } = parts;
  const { identity, directory, clock } = parts.greeting();
  const anchorPem = await anchorOf(nodeId, { identity, directory, clock });
  return await firstToAnswer(addresses, {
    family: endpoint.addr.hostname.includes(":") ? 6 : 4,
    lookUp,
    connect: (at, address) => connectAt(at, { nodeId, address, anchorPem, parts }),
    discard: (late) => closeConn(late, "done"),
  });
}

async function connectAt(
  at: ResolvedAddress,
  by: {
    readonly nodeId: NodeId;
    readonly address: string;
    readonly anchorPem: string;
    readonly parts: DialerParts;
  },
): Promise<Deno.QuicConn> {
  const { endpoint, limits } = by.parts;
  try {
    const conn = await Deno.connectQuic({
      ...quicSettings(limits),
      ...at,
      endpoint,
      // The certificate must be that node's, so that no other member can stand in between.
      serverName: serverNameOf(by.nodeId),
      caCerts: [by.anchorPem],
      alpnProtocols: [MEMBER_PROTOCOL],
    });
    conn.closed.catch(() => {});
    return conn;
  } catch (cause) {
    throw connectionError(by.address, cause);
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

/** A member that has replaced its authority since may say it of the certificate. */
function isShutOut(error: unknown): boolean {
  const failure = helloFailureOf(error);
  return failure?.refusedBy === "the peer" &&
    ["unknown_member", "revoked", "bad_certificate"].includes(failure.reason);
}

/** What a failed connect is to callers. */
export function connectionError(address: string, cause: unknown): PeerError | UnavailableError {
  if (cause instanceof PeerError || cause instanceof UnavailableError) return cause;
  if (!isRuntimeLoss(cause)) throw cause;
  if (isOtherProtocol(cause)) {
    const text =
      `Cannot connect to ${address}: what answers there speaks no ${MEMBER_PROTOCOL}, as ` +
      "this node does; if it is odist, update the older of the two";
    return new PeerError("unknown_version", text, { cause });
  }
  const text = `Cannot connect to ${address}: ${errorMessage(cause)}`;
  return isWrongCertificate(cause)
    ? new PeerError("peer_refused", text, { cause })
    : new UnavailableError("peer_lost", text, { cause });
}

/** As {@link isWrongCertificate}: no_application_protocol (RFC 7301) is TLS alert 120. */
function isOtherProtocol(cause: unknown): boolean {
  return /\berror 120\b|no application protocol/i.test(errorMessage(cause));
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
