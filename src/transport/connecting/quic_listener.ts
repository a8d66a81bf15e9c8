import { PeerError, UnavailableError } from "../../base/mod.ts";
import type { Clock, Log } from "../../ports/mod.ts";
import { withDeadline } from "./deadline.ts";
import { JOIN_FRAME_BYTES_MAX, type JoinHandler } from "../frame_pipe.ts";
import {
  FrameReader,
  isRuntimeLoss,
  lostConnection,
  StreamPipe,
  takeStream,
} from "../framing/mod.ts";
import {
  greetAsListener,
  type GreetedDialer,
  type GreetingParts,
  type IncomingStreams,
} from "./greeting.ts";
import { formatAddress } from "../resolve_address.ts";
import { Places } from "./places.ts";
import type { NodeIdentity } from "../identity/mod.ts";
import type { TransportLimits } from "../limits.ts";
import type { PeerFaults } from "../peer_faults.ts";
import { closeConn, LAST_WORDS_MS } from "./quic_dialer.ts";
import { JOIN_PROTOCOL, MEMBER_PROTOCOL, quicSettings } from "../quic_settings.ts";

/** Who else may connect than members and joiners. */
export interface OtherCallers {
  /** By which they are told apart. */
  readonly protocols: readonly string[];
  /** Resolves once it is known who that is; the connection lives on. A rejection ends it. */
  admit(conn: Deno.QuicConn): Promise<void>;
  close(): void;
}

/** What a listener works with and whom it tells. */
export interface ListenerParts {
  readonly endpoint: Deno.QuicEndpoint;
  readonly greeting: () => GreetingParts;
  readonly limits: TransportLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly faults: PeerFaults;
  readonly onJoin: JoinHandler | undefined;
  readonly others: OtherCallers | undefined;
  /** Whether a member was last reached at this address: such have places of their own. */
  readonly isMembersHost: (hostname: string) => boolean;
  /** Takes the connection of a peer that proved itself, or closes it. */
  readonly onGreeted: (
    conn: Deno.QuicConn,
    incoming: IncomingStreams,
    dialer: GreetedDialer,
  ) => Promise<void>;
}

/** A connection whose handshake goes on, and where it comes from. */
interface Accepted {
  readonly conn: Deno.QuicConn;
  readonly hostname: string;
}

/** Accepts connections and lets in whoever proves itself; strangers get no further than the join. */
export class MemberListener {
  readonly #parts: ListenerParts;
  /** Accepted connections of which it is not known yet who they are. */
  readonly #places: { readonly members: Places; readonly others: Places };
  /**
   * One for each certificate so far: the runtime ends all listening of the endpoint when it collects one of them that nobody
   * holds, and the process with it if somebody knocks just then (Deno 2.9).
   */
  readonly #listeners: Deno.QuicListener[] = [];
  #closed = false;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    const { unauthenticatedMax } = parts.limits;
    this.#places = {
      members: new Places(unauthenticatedMax),
      others: new Places(unauthenticatedMax),
    };
  }

  /**
   * Begins to listen, or goes on with another certificate: connections that are open stay so. Nothing may be asked of an
   * incoming connection before it is accepted: the runtime loses it then.
   */
  listen(identity: NodeIdentity): void {
    const { endpoint, limits, onJoin, others } = this.#parts;
    const listener = endpoint.listen({
      ...quicSettings(limits),
      cert: identity.certificatePem,
      key: identity.privateKeyPem,
      alpnProtocols: [
        MEMBER_PROTOCOL,
        ...(onJoin === undefined ? [] : [JOIN_PROTOCOL]),
        ...(others?.protocols ?? []),
      ],
    });
    // The first one accepts for the endpoint, under whatever certificate this has by then.
    if (this.#listeners.push(listener) === 1) void this.#acceptAll(listener);
  }

  /**
   * Whoever owns the endpoint closes it, which ends the listening. The listener is never stopped: of an incoming connection that
   * was not accepted by then the next datagram would end the whole process (Deno 2.9).
   */
  close(): void {
    this.#closed = true;
    this.#parts.others?.close();
  }

  async #acceptAll(listener: Deno.QuicListener): Promise<void> {
    try {
      for await (const incoming of listener) {
        if (this.#closed) return;
        const accepted = this.#accept(incoming);
        if (accepted !== undefined) void this.#admit(accepted);
      }
    } catch (error) {
      if (!isRuntimeLoss(error)) throw error;
      if (!this.#closed) {
        this.#parts.log.log("error", "listener_failed", { reason: String(error) });
      }
    }
  }

  /**
   * Before its handshake is over, because only then the runtime tells where a connection comes from without losing it. Nothing
   * is read from it until the handshake is.
   */
  #accept(incoming: Deno.QuicIncoming): Accepted | undefined {
    try {
      const conn = incoming.accept<true>({ zeroRtt: true });
      conn.closed.catch(() => {});
      conn.handshake.catch(() => {});
      return { conn, hostname: conn.remoteAddr.hostname };
    } catch (error) {
      // Its first packet is no good: it speaks none of our protocols, for instance.
      if (!isRuntimeLoss(error)) throw error;
      this.#parts.log.log("debug", "connection_not_accepted", { reason: String(error) });
      return undefined;
    }
  }

  async #admit({ conn, hostname }: Accepted): Promise<void> {
    const places = this.#parts.isMembersHost(hostname) ? this.#places.members : this.#places.others;
    const place = places.take(hostname, () => closeConn(conn, "refused"));
    if (place === undefined) return closeConn(conn, "refused");
    try {
      await this.#shakeHands(conn);
      if (conn.protocol === JOIN_PROTOCOL) await this.#talkToJoiner(conn);
      else if (conn.protocol === MEMBER_PROTOCOL) await this.#greet(conn);
      else await this.#parts.others?.admit(conn);
    } catch (error) {
      this.#noteFailure(hostname, error);
      // Whoever was refused gets to read why. Whoever sends what it must not gets no time to send more of it.
      if (isRefusal(error)) await this.#pause();
      closeConn(conn, "refused");
    } finally {
      place.release();
    }
  }

  async #shakeHands(conn: Deno.QuicConn): Promise<void> {
    const { clock, limits } = this.#parts;
    await withDeadline(conn.handshake, {
      clock,
      limitMs: limits.helloTimeoutMs,
      late: () => lostConnection(),
    });
  }

  async #greet(conn: Deno.QuicConn): Promise<void> {
    const { clock, limits, onGreeted } = this.#parts;
    const incoming = conn.incomingBidirectionalStreams.getReader();
    const dialer = await withDeadline(greetAsListener(incoming, this.#parts.greeting()), {
      clock,
      limitMs: limits.helloTimeoutMs,
      late: () => new PeerError("peer_stalled", "The peer does not come to the end of its hello"),
    });
    await onGreeted(conn, incoming, dialer);
  }

  async #talkToJoiner(conn: Deno.QuicConn): Promise<void> {
    const { clock, limits, onJoin } = this.#parts;
    if (onJoin === undefined) throw new UnavailableError("peer_lost", "Nobody joins here");
    const talk = async () => {
      const { done, value } = await conn.incomingBidirectionalStreams.getReader().read();
      if (done) throw lostConnection();
      const streams = takeStream(value);
      const nowMs = () => clock.monotonicMs();
      const frames = { frameBytesMax: JOIN_FRAME_BYTES_MAX, nowMs };
      const reader = new FrameReader(streams.source, frames);
      if (await reader.header() !== "hello") {
        throw new PeerError("early_frame", "The joiner's first stream is no hello");
      }
      await onJoin(new StreamPipe(streams, reader), formatAddress(conn.remoteAddr));
    };
    await withDeadline(talk(), {
      clock,
      limitMs: limits.joinTimeoutMs,
      late: () => new PeerError("peer_stalled", "The joiner does not come to an end"),
    });
    // The last frame is still on its way; the joiner hangs up when it has read it.
    await Promise.race([conn.closed, this.#pause()]).catch(() => {});
    closeConn(conn, "done");
  }

  #noteFailure(hostname: string, error: unknown): void {
    const { faults, log } = this.#parts;
    if (error instanceof PeerError) {
      faults.note(hostname, error);
    } else if (error instanceof UnavailableError || isRuntimeLoss(error)) {
      log.log("debug", "connection_not_accepted", { reason: String(error) });
    } else throw error;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(LAST_WORDS_MS, resolve));
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof PeerError && error.code !== "early_frame" &&
    error.code !== "peer_stalled";
}
