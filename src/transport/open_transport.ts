import { assert, type NodeId, Random, UnavailableError } from "../base/mod.ts";
import type {
  Clock,
  ConnectionView,
  Log,
  Metrics,
  PeerAddress,
  PeerDirectory,
  PeerStream,
  Transport,
  TransportHandlers,
} from "../ports/mod.ts";
import {
  CHANNEL_FRAME_BYTES_MAX,
  DATAGRAM_BYTES_MAX,
  type FrameChannel,
  LIFE_BYTES,
  type SpokenVersions,
  spokenVersions,
} from "../protocol/mod.ts";
import {
  AddressHints,
  closeConn,
  dialPeer,
  type GreetedDialer,
  type GreetingParts,
  type IncomingStreams,
  judgeArrival,
  LAST_WORDS_MS,
  MemberListener,
} from "./connecting/mod.ts";
import { formatAddress, type LookUp } from "./resolve_address.ts";
import type { JoinHandler } from "./frame_pipe.ts";
import { lostConnection } from "./framing/mod.ts";
import type { NodeIdentity } from "./identity/mod.ts";
import { TRANSPORT_LIMITS, type TransportLimits } from "./limits.ts";
import { PeerFaults } from "./peer_faults.ts";
import { PeerLink } from "./peer_link.ts";
import { ClientDesk, type ClientHandler } from "./remote/mod.ts";

/**
 * The runtime sends the goodbyes from threads of its own, and does not say when they are out. A process that ended before
 * would be missed only after QUIC's idle time; 5 ms was enough on an idle machine, one turn of the event loop was not.
 */
const GOODBYE_MS = 50;

/** What a transport is opened with. */
export interface OpenTransportOptions {
  /** `port` 0 takes a free one. A host of `::` takes both versions of IP. */
  readonly listen: { readonly hostname: string; readonly port: number };
  readonly identity: NodeIdentity;
  readonly directory: PeerDirectory;
  readonly handlers: TransportHandlers;
  /** What this node speaks now; who has none of it in common is refused. Default: all that this program can. */
  readonly speaks?: () => SpokenVersions;
  /** Whether a member was last reached at this address; whom it names has places of its own. */
  readonly isMembersHost?: (hostname: string) => boolean;
  /** Told when a member that was dialed, at this address, says that this node is none, or none any more: it may be behind. */
  readonly onShutOut?: (by: PeerAddress) => void;
  /** Without it nobody can join through this node. */
  readonly onJoin?: JoinHandler;
  /** Without it no client with a key is served. */
  readonly onClient?: ClientHandler;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Draws the jitter of back-offs; seeded from the system by default. */
  readonly random?: Random;
  /** Default: the system's. */
  readonly lookUp?: LookUp | undefined;
  readonly limits?: Partial<TransportLimits>;
}

/** {@link Transport} over QUIC. */
export interface QuicTransport extends Transport {
  /** Goes on with a renewed certificate of the same node: for new connections at once, open ones live on. */
  useIdentity(identity: NodeIdentity): void;
  /**
   * A member may be found at `address` (`host:port`): the named one, or any. It is tried besides what others say, whenever one is
   * dialed, and counts for nothing until that member has proved itself there.
   */
  hint(address: string, peer?: NodeId): void;
  /** Asks the directory about each connected peer again, and ends the connections of those that it would refuse now. */
  judgeAgain(): void;
}

/**
 * Binds the port and begins to accept members.
 *
 * @throws UnavailableError `address_unusable` when the port can't be had.
 */
export function openTransport(options: OpenTransportOptions): Promise<QuicTransport> {
  const { hostname, port } = options.listen;
  let endpoint: Deno.QuicEndpoint;
  try {
    endpoint = new Deno.QuicEndpoint({ hostname, port });
  } catch (cause) {
    const where = formatAddress(options.listen);
    const text =
      `Cannot listen for members on UDP ${where}: the address is taken or not this machine's; ` +
      "choose another with --listen HOST:PORT";
    return Promise.reject(new UnavailableError("address_unusable", text, { cause }));
  }
  return Promise.resolve(new EndpointTransport(endpoint, options));
}

class EndpointTransport implements QuicTransport {
  readonly address: string;
  readonly #endpoint: Deno.QuicEndpoint;
  readonly #options: OpenTransportOptions;
  readonly #limits: TransportLimits;
  readonly #random: Random;
  readonly #faults: PeerFaults;
  readonly #listener: MemberListener;
  readonly #links = new Map<NodeId, PeerLink>();
  readonly #hints: AddressHints;
  /** Another number after each start, so that peers notice a restart before QUIC does. */
  readonly #life = crypto.getRandomValues(new Uint8Array(LIFE_BYTES));
  #identity: NodeIdentity;
  #sweep: { cancel(): void } | undefined;
  #closed = false;

  constructor(endpoint: Deno.QuicEndpoint, options: OpenTransportOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#identity = options.identity;
    this.#limits = { ...TRANSPORT_LIMITS, ...options.limits };
    this.#random = options.random ?? new Random(crypto.getRandomValues(new Uint32Array(1))[0] ?? 0);
    this.#faults = new PeerFaults(options);
    this.#hints = new AddressHints(() => options.clock.monotonicMs());
    this.address = formatAddress(endpoint.addr);
    this.#listener = new MemberListener({
      endpoint,
      greeting: () => this.#greeting(),
      limits: this.#limits,
      clock: options.clock,
      log: options.log,
      faults: this.#faults,
      onJoin: options.onJoin,
      others: this.#clientDesk(),
      isMembersHost: options.isMembersHost ?? (() => false),
      onGreeted: (conn, incoming, dialer) => this.#takeDialer(conn, incoming, dialer),
    });
    this.#listener.listen(options.identity);
    this.#sweepLater();
  }

  sendDatagram(to: PeerAddress, bytes: Uint8Array): void {
    assert(bytes.length <= DATAGRAM_BYTES_MAX, "The datagram is too long", { size: bytes.length });
    if (this.#closed) return;
    this.#linkTo(to.nodeId).sendDatagram(this.#dialable(to), bytes);
  }

  sendFrame(
    to: PeerAddress,
    frame: { readonly channel: FrameChannel; readonly bytes: Uint8Array },
  ): void {
    const size = frame.bytes.length;
    assert(size <= CHANNEL_FRAME_BYTES_MAX, "The frame is too long", { size });
    if (this.#closed) return;
    this.#linkTo(to.nodeId).sendFrame(this.#dialable(to), frame);
  }

  async openStream(to: PeerAddress, signal: AbortSignal): Promise<PeerStream> {
    signal.throwIfAborted();
    if (this.#closed) throw lostConnection(undefined, to.nodeId);
    return await this.#linkTo(to.nodeId).openStream(this.#dialable(to), signal);
  }

  disconnect(peer: NodeId): void {
    this.#links.get(peer)?.drop("disconnected");
  }

  connections(): readonly ConnectionView[] {
    const rows: ConnectionView[] = [];
    for (const [peer, link] of this.#links) {
      if (link.connection === undefined) continue;
      const { remoteAddress, direction, openStreams, wire } = link.connection;
      const { queuedFrames } = link;
      rows.push({ peer, remoteAddress, direction, wire, openStreams, queuedFrames });
    }
    return rows.sort((a, b) => a.peer < b.peer ? -1 : 1);
  }

  useIdentity(identity: NodeIdentity): void {
    assert(identity.nodeId === this.#identity.nodeId, "A node keeps its id");
    this.#identity = identity;
    if (!this.#closed) this.#listener.listen(identity);
  }

  hint(address: string, peer?: NodeId): void {
    this.#hints.add(address, peer);
  }

  judgeAgain(): void {
    const { directory, log } = this.#options;
    for (const [peer, link] of this.#links) {
      if (link.connection === undefined) continue;
      const judgement = directory.judge(peer, link.connection.publicKey);
      if (judgement === "admitted") continue;
      log.log("warn", "peer_shut_out", { peer, judgement });
      link.drop("refused");
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#sweep?.cancel();
    this.#listener.close();
    for (const link of this.#links.values()) link.drop("done");
    this.#endpoint.close({ closeCode: 0, reason: "done" });
    await new Promise((resolve) => setTimeout(resolve, GOODBYE_MS));
  }

  /** Nobody connects to itself. */
  #dialable(to: PeerAddress): string {
    return to.nodeId === this.#identity.nodeId ? "" : to.address;
  }

  #greeting(): GreetingParts {
    const { directory, clock } = this.#options;
    const speaks = this.#options.speaks?.() ?? spokenVersions();
    return { identity: this.#identity, directory, clock, life: this.#life, speaks };
  }

  #clientDesk(): ClientDesk | undefined {
    const { onClient: handler, clock } = this.#options;
    if (handler === undefined) return undefined;
    return new ClientDesk({ handler, limits: this.#limits, clock, faults: this.#faults });
  }

  #linkTo(peer: NodeId): PeerLink {
    const known = this.#links.get(peer);
    if (known !== undefined) return known;
    const { clock, log, metrics, handlers } = this.#options;
    const parts = {
      endpoint: this.#endpoint,
      limits: this.#limits,
      lookUp: this.#options.lookUp,
      onShutOut: (by: PeerAddress) => this.#later(() => this.#options.onShutOut?.(by)),
    };
    const link = new PeerLink({
      peer,
      limits: this.#limits,
      clock,
      random: this.#random.fork(),
      log,
      metrics,
      faults: this.#faults,
      handlers,
      later: (tell) => this.#later(tell),
      hints: this.#hints,
      dial: (to, answered) =>
        dialPeer(to, { ...parts, greeting: () => this.#greeting() }, answered),
    });
    this.#links.set(peer, link);
    return link;
  }

  async #takeDialer(
    conn: Deno.QuicConn,
    incoming: IncomingStreams,
    dialer: GreetedDialer,
  ): Promise<void> {
    if (this.#closed) return closeConn(conn, "done");
    const { peer, publicKey, life, wire, pending } = dialer;
    const link = this.#linkTo(peer);
    const self = this.#identity.nodeId;
    const { connection: current, ownDial } = link;
    const verdict = judgeArrival({ self, peer, life, current, ownDial });
    if (verdict === "keep") {
      // In use before the answer is out: a dial of this node that comes to its end meanwhile must see it.
      link.attach({ conn, publicKey, life, wire, direction: "accepted", incoming, pending });
    }
    await dialer.answer(verdict);
    if (verdict === "duplicate") {
      // The dialer hangs up itself when it has read the verdict.
      this.#options.clock.after(LAST_WORDS_MS, () => closeConn(conn, "duplicate"));
    }
  }

  /** In the event loop's next turn: an owner that answers each failure with another send must not starve all else. */
  #later(tell: () => void): void {
    setImmediate(() => {
      if (!this.#closed) tell();
    });
  }

  #sweepLater(): void {
    const { clock } = this.#options;
    const everyMs = this.#limits.frameStallMs / 8;
    this.#sweep = clock.after(everyMs, () => {
      const nowMs = clock.monotonicMs();
      for (const [peer, link] of this.#links) {
        link.connection?.checkStalls(nowMs - this.#limits.frameStallMs);
        if (link.isForgettable) this.#links.delete(peer);
      }
      this.#sweepLater();
    });
  }
}
