import {
  errorMessage,
  type NodeId,
  PeerError,
  type Random,
  UnavailableError,
} from "../base/mod.ts";
import type { Clock, Log, Metrics, PeerStream, TransportHandlers } from "../ports/mod.ts";
import { type FrameChannel, splitAddresses } from "../protocol/mod.ts";
import { type CloseReason, Connection } from "./connection.ts";
import {
  type AddressHints,
  type Arrival,
  DialBackoff,
  type DialOutcome,
  type DialTarget,
  type IncomingStreams,
} from "./connecting/mod.ts";
import { FrameQueue, lostConnection } from "./framing/mod.ts";
import type { TransportLimits } from "./limits.ts";
import type { PeerFaults } from "./peer_faults.ts";
import { FRAME_CHANNELS } from "./quic_settings.ts";

/** After this long without use a link is forgotten, and with it that its peer was out of reach. */
const UNUSED_MS = 300_000;

/** What a link works with. */
export interface PeerLinkParts {
  readonly peer: NodeId;
  readonly limits: TransportLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly faults: PeerFaults;
  readonly handlers: TransportHandlers;
  /** Calls back in a turn of its own, and no more once the transport is closed. */
  readonly later: (tell: () => void) => void;
  /** Where the peer may be besides. */
  readonly hints: AddressHints;
  readonly dial: (to: DialTarget, answered: () => boolean) => Promise<DialOutcome>;
}

/** A connection that was greeted, from either side. */
export interface Established {
  readonly conn: Deno.QuicConn;
  /** The peer's, SPKI. */
  readonly publicKey: Uint8Array;
  readonly life: string;
  readonly wire: number;
  readonly direction: "dialed" | "accepted";
  readonly incoming: IncomingStreams;
  readonly pending?: ReturnType<IncomingStreams["read"]>;
}

interface Dial {
  stage: Exclude<Arrival["ownDial"], "none">;
  abandoned: boolean;
}

/** Everything about one peer: the connection in use, the dial that makes one, and what waits for it. */
export class PeerLink {
  readonly #parts: PeerLinkParts;
  readonly #backoff: DialBackoff;
  readonly #queues: ReadonlyMap<FrameChannel, FrameQueue>;
  #datagrams: Uint8Array[] = [];
  readonly #waiting = new Set<() => void>();
  #connection: Connection | undefined;
  #dial: Dial | undefined;
  #usedMs: number;
  /** Where the peer was found last. */
  #foundAt = "";
  /** Whether the log has said that the peer is out of reach. */
  #saidUnreachable = false;

  constructor(parts: PeerLinkParts) {
    this.#parts = parts;
    const { limits } = parts;
    this.#usedMs = parts.clock.monotonicMs();
    this.#backoff = new DialBackoff(limits.dialBackoffMs, parts.random);
    const { channelQueueFramesMax: framesMax, channelQueueBytesMax: bytesMax } = limits;
    this.#queues = new Map(
      FRAME_CHANNELS.map((channel) => [channel, new FrameQueue({ framesMax, bytesMax })]),
    );
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  get ownDial(): Arrival["ownDial"] {
    return this.#dial?.stage ?? "none";
  }

  get queuedFrames(): number {
    return [...this.#queues.values()].reduce((sum, queue) => sum + queue.frames, 0);
  }

  /** Nobody has asked for this peer in a long time. */
  get isForgettable(): boolean {
    return this.#connection === undefined && this.#dial === undefined &&
      this.#parts.clock.monotonicMs() - this.#usedMs > UNUSED_MS;
  }

  sendFrame(address: string, frame: { channel: FrameChannel; bytes: Uint8Array }): void {
    if (!this.#prepare(address)) return this.#noteFailed(frame.channel, 1);
    if (!this.#queues.get(frame.channel)?.push(frame.bytes)) {
      return this.#noteFailed(frame.channel, 1);
    }
    this.#connection?.wake(frame.channel);
  }

  sendDatagram(address: string, bytes: Uint8Array): void {
    if (!this.#prepare(address)) return this.#noteFailed("datagram", 1);
    if (this.#connection !== undefined) return this.#connection.sendDatagram(bytes.slice());
    if (this.#datagrams.length >= this.#parts.limits.datagramQueueMax) {
      return this.#noteFailed("datagram", 1);
    }
    this.#datagrams.push(bytes.slice());
  }

  async openStream(address: string, signal: AbortSignal): Promise<PeerStream> {
    const { peer } = this.#parts;
    if (!this.#prepare(address)) throw lostConnection(undefined, peer);
    while (this.#connection === undefined && this.#dial !== undefined) await this.#settled(signal);
    if (this.#connection === undefined) throw lostConnection(undefined, peer);
    const stream = await this.#connection.openStream();
    if (!signal.aborted) return stream;
    stream.reset();
    throw signal.reason;
  }

  /** Brings a connection into use, in place of the one there may be. */
  attach(established: Established): void {
    const { peer, limits, clock, metrics } = this.#parts;
    const connection: Connection = new Connection({
      ...established,
      peer,
      limits,
      clock,
      queues: this.#queues,
      events: {
        ...this.#handlersFor(peer),
        onSendFailed: (what, count) => this.#noteFailed(what, count),
        onFault: (error) => this.#parts.faults.note(peer, error),
        onClosed: () => this.#noteClosed(connection),
      },
    });
    const replaced = this.#connection;
    this.#connection = connection;
    replaced?.close("replaced");
    this.#saidUnreachable = false;
    const { direction, remoteAddress: address } = connection;
    this.#parts.log.log("debug", "peer_connected", { peer, direction, address });
    metrics.increment("odist_peer_connections_total", { direction });
    connection.start();
    for (const bytes of this.#datagrams.splice(0)) connection.sendDatagram(bytes);
    this.#settle();
  }

  /** Ends the connection and every attempt to make one. */
  drop(reason: CloseReason): void {
    if (this.#dial !== undefined) this.#dial.abandoned = true;
    this.#dial = undefined;
    this.#connection?.close(reason);
    this.#failWaiting();
  }

  /** Whether something may be queued: there is a connection, or there will be one soon. */
  #prepare(address: string): boolean {
    if (this.#connection !== undefined || this.#dial !== undefined) return true;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#usedMs = nowMs;
    if (!this.#backoff.allows(nowMs)) return false;
    const addresses = this.#addresses(address);
    if (addresses.length === 0) return false;
    const dial: Dial = { stage: "unanswered", abandoned: false };
    this.#dial = dial;
    void this.#runDial(addresses, { dial, isTold: address !== "" });
    return true;
  }

  /** What others say, where it was found last, and where it may be besides. */
  #addresses(told: string): readonly string[] {
    const { hints, peer } = this.#parts;
    const all = [...splitAddresses(told), this.#foundAt, ...hints.of(peer)];
    return [...new Set(all)].filter((address) => address !== "");
  }

  async #runDial(
    addresses: readonly string[],
    { dial, isTold }: { readonly dial: Dial; readonly isTold: boolean },
  ): Promise<void> {
    const answered = () => {
      dial.stage = "answered";
      return !dial.abandoned && this.#connection === undefined;
    };
    let outcome: DialOutcome | undefined;
    try {
      outcome = await this.#parts.dial({ nodeId: this.#parts.peer, addresses }, answered);
    } catch (error) {
      if (!dial.abandoned) this.#noteUnreachable(addresses[0] ?? "", { error, isTold });
    }
    this.#parts.metrics.increment("odist_peer_dials_total", { outcome: outcome?.kind ?? "failed" });
    if (outcome?.kind === "connected") {
      this.#noteFound(outcome.address);
      if (dial.abandoned) outcome.conn.close({ closeCode: 0, reason: "done" });
      else this.attach({ ...outcome, direction: "dialed" });
    }
    if (outcome?.kind === "duplicate" && this.#connection === undefined) {
      // The peer's own connection is on its way.
      await this.#connectedWithin(this.#parts.limits.dialTimeoutMs);
    }
    if (this.#dial !== dial) return;
    this.#dial = undefined;
    if (this.#connection !== undefined) return;
    this.#backoff.noteFailed(this.#parts.clock.monotonicMs());
    this.#failWaiting();
  }

  #noteFound(address: string): void {
    this.#foundAt = address;
    this.#parts.hints.noteFound(address, this.#parts.peer);
  }

  #connectedWithin(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        timer.cancel();
        resolve();
      };
      const timer = this.#parts.clock.after(limitMs, done);
      this.#waiting.add(done);
    });
  }

  #noteUnreachable(
    address: string,
    { error, isTold }: { readonly error: unknown; readonly isTold: boolean },
  ): void {
    const { peer, faults, log } = this.#parts;
    // That somebody else is where the peer might have been is nobody's fault.
    if (error instanceof PeerError && !isTold) {
      log.log("debug", "peer_not_there", { peer, address });
    } else if (error instanceof PeerError) faults.note(peer, error);
    else if (!(error instanceof UnavailableError)) reportError(error);
    const level = this.#saidUnreachable ? "debug" : "info";
    this.#saidUnreachable = true;
    log.log(level, "peer_unreachable", { peer, address, reason: errorMessage(error) });
  }

  #noteClosed(connection: Connection): void {
    if (this.#connection !== connection) return;
    const { peer, handlers, later, clock, log } = this.#parts;
    this.#connection = undefined;
    this.#backoff.noteLost(clock.monotonicMs(), connection.livedMs);
    log.log("debug", "peer_connection_lost", { peer });
    if (this.#dial === undefined) this.#failWaiting();
    later(() => handlers.onConnectionLost(peer));
  }

  #handlersFor(peer: NodeId) {
    const { handlers } = this.#parts;
    return {
      onDatagram: (bytes: Uint8Array) => handlers.onDatagram(peer, bytes),
      onFrame: (channel: FrameChannel, bytes: Uint8Array) => handlers.onFrame(peer, channel, bytes),
      onStream: (stream: PeerStream) => handlers.onStream(stream),
    };
  }

  /** Everything queued is lost, and whoever waits for a connection gets none. */
  #failWaiting(): void {
    for (const [channel, queue] of this.#queues) {
      this.#noteFailed(channel, queue.takeAll()?.frames ?? 0);
    }
    this.#noteFailed("datagram", this.#datagrams.splice(0).length);
    this.#settle();
  }

  #noteFailed(what: "datagram" | FrameChannel, count: number): void {
    const { peer, handlers, later, metrics } = this.#parts;
    if (count > 0) metrics.increment("odist_peer_sends_failed_total", { what }, count);
    for (let index = 0; index < count; index++) later(() => handlers.onSendFailed(peer, what));
  }

  #settle(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves when the dial came to an end, either way. @throws the signal's reason. */
  #settled(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
    });
  }
}
