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
  /** Takes the connection of a peer that proved itself, or closes it. */
  readonly onGreeted: (
    conn: Deno.QuicConn,
    incoming: IncomingStreams,
    dialer: GreetedDialer,
  ) => Promise<void>;
}

/** Accepts connections and lets in whoever proves itself; strangers get no further than the join. */
export class MemberListener {
  readonly #parts: ListenerParts;
  /** Accepted connections of which it is not known yet who they are. */
  #unauthenticated = 0;
  #listener: Deno.QuicListener | undefined;
  #closed = false;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
  }

  /**
   * Begins to listen, or goes on with another certificate: connections that are open stay so. Nothing may be asked of an
   * incoming connection before it is accepted: the runtime loses it then.
   */
  listen(identity: NodeIdentity): void {
    const { endpoint, limits, onJoin, others } = this.#parts;
    this.#listener?.stop();
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
    this.#listener = listener;
    void this.#acceptAll(listener);
  }

  close(): void {
    this.#closed = true;
    this.#listener?.stop();
    this.#parts.others?.close();
  }

  async #acceptAll(listener: Deno.QuicListener): Promise<void> {
    try {
      for await (const incoming of listener) {
        if (this.#closed) return;
        // Refused before anything is computed for it: whoever floods this node pays more than it does.
        if (this.#unauthenticated >= this.#parts.limits.unauthenticatedMax) incoming.refuse();
        else void this.#admit(incoming);
      }
    } catch (error) {
      if (!isRuntimeLoss(error)) throw error;
      if (!this.#closed) {
        this.#parts.log.log("error", "listener_failed", { reason: String(error) });
      }
    }
  }

  async #admit(incoming: Deno.QuicIncoming): Promise<void> {
    this.#unauthenticated++;
    let conn: Deno.QuicConn | undefined;
    try {
      conn = await this.#accept(incoming);
      if (conn.protocol === JOIN_PROTOCOL) await this.#talkToJoiner(conn);
      else if (conn.protocol === MEMBER_PROTOCOL) await this.#greet(conn);
      else await this.#parts.others?.admit(conn);
    } catch (error) {
      this.#noteFailure(conn, error);
      // Whoever was refused gets to read why. Whoever sends what it must not gets no time to send more of it.
      if (conn !== undefined && isRefusal(error)) await this.#pause();
      if (conn !== undefined) closeConn(conn, "refused");
    } finally {
      this.#unauthenticated--;
    }
  }

  async #accept(incoming: Deno.QuicIncoming): Promise<Deno.QuicConn> {
    const { clock, limits } = this.#parts;
    const conn = await withDeadline(incoming.accept<false>(), {
      clock,
      limitMs: limits.helloTimeoutMs,
      late: () => lostConnection(),
      discard: (late) => closeConn(late, "refused"),
    });
    conn.closed.catch(() => {});
    return conn;
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

  #noteFailure(conn: Deno.QuicConn | undefined, error: unknown): void {
    const { faults, log } = this.#parts;
    if (error instanceof PeerError) {
      faults.note(conn?.remoteAddr.hostname ?? "unknown", error);
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
