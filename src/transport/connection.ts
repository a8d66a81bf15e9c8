import { type NodeId, PeerError, UnavailableError } from "../base/mod.ts";
import type { Clock, PeerStream } from "../ports/mod.ts";
import {
  CHANNEL_FRAME_BYTES_MAX,
  DATAGRAM_BYTES_MAX,
  encodeStreamHeader,
  type FrameChannel,
  STREAM_FRAME_BYTES_MAX,
} from "../protocol/mod.ts";
import {
  ChannelWriter,
  type FrameQueue,
  FrameReader,
  isRuntimeLoss,
  lostConnection,
  QuicPeerStream,
  sourceOf,
  type StreamParts,
  takeStream,
} from "./framing/mod.ts";
import { formatAddress } from "./resolve_address.ts";
import type { TransportLimits } from "./limits.ts";

/** Why a connection is closed, as the peer reads it. */
export const CLOSE_CODES = {
  done: 0,
  fault: 1,
  duplicate: 2,
  replaced: 3,
  refused: 4,
  disconnected: 5,
} as const;
export type CloseReason = keyof typeof CLOSE_CODES;

/** What a connection tells its owner. */
export interface ConnectionEvents {
  onDatagram(bytes: Uint8Array): void;
  onFrame(channel: FrameChannel, bytes: Uint8Array): void;
  onStream(stream: PeerStream): void;
  /** This many of what was handed over did not get through. */
  onSendFailed(what: "datagram" | FrameChannel, count: number): void;
  /** The peer broke the protocol; the connection is being closed. */
  onFault(error: PeerError): void;
  /** Once, and the last call. */
  onClosed(): void;
}

/** A greeted connection. */
export interface ConnectionParts {
  readonly conn: Deno.QuicConn;
  readonly peer: NodeId;
  /** The key (SPKI) that the peer has proved. */
  readonly publicKey: Uint8Array;
  /** Which life of the peer it leads to. */
  readonly life: string;
  /** Of the versions of the wire the newest that both speak. */
  readonly wire: number;
  readonly direction: "dialed" | "accepted";
  /** The peer's streams behind the first one. */
  readonly incoming: ReadableStreamDefaultReader<Deno.QuicBidirectionalStream>;
  /** A read of {@link incoming} that is under way already. */
  readonly pending?: Promise<ReadableStreamReadResult<Deno.QuicBidirectionalStream>>;
  readonly queues: ReadonlyMap<FrameChannel, FrameQueue>;
  readonly limits: TransportLimits;
  readonly clock: Clock;
  readonly events: ConnectionEvents;
}

/** One authenticated QUIC connection in use. Everything that fails in it ends it, and nothing beyond it. */
export class Connection {
  readonly #parts: ConnectionParts;
  readonly #writers = new Map<FrameChannel, ChannelWriter>();
  readonly #opened = new Set<QuicPeerStream>();
  readonly #accepted = new Set<QuicPeerStream>();
  /** Everything that is being read and may stall. */
  readonly #readers = new Set<{ readonly stalledSinceMs: number | undefined }>();
  readonly #channelsRead = new Set<FrameChannel>();
  readonly #sinceMs: number;
  #datagramsUnderWay = 0;
  #closed = false;

  /** `start` must follow in the same turn. */
  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#sinceMs = parts.clock.monotonicMs();
    for (const [channel, queue] of parts.queues) {
      const writer = new ChannelWriter({
        channel,
        queue,
        open: () => parts.conn.createUnidirectionalStream(),
        onLost: (frames) => {
          parts.events.onSendFailed(channel, frames);
          this.close("done");
        },
      });
      this.#writers.set(channel, writer);
    }
  }

  get peer(): NodeId {
    return this.#parts.peer;
  }

  get publicKey(): Uint8Array {
    return this.#parts.publicKey;
  }

  get life(): string {
    return this.#parts.life;
  }

  get wire(): number {
    return this.#parts.wire;
  }

  get direction(): "dialed" | "accepted" {
    return this.#parts.direction;
  }

  get remoteAddress(): string {
    return formatAddress(this.#parts.conn.remoteAddr);
  }

  get openStreams(): number {
    return this.#opened.size + this.#accepted.size;
  }

  get livedMs(): number {
    return this.#parts.clock.monotonicMs() - this.#sinceMs;
  }

  /** Begins to read, and to write what is queued. */
  start(): void {
    const { conn } = this.#parts;
    conn.closed.then(() => this.close("done"), () => this.close("done"));
    void this.#guard(() => this.#acceptStreams());
    void this.#guard(() => this.#acceptChannels());
    void this.#guard(() => this.#readDatagrams());
    for (const [channel, queue] of this.#parts.queues) {
      if (queue.frames > 0) this.wake(channel);
    }
  }

  /** A frame was queued. */
  wake(channel: FrameChannel): void {
    this.#writers.get(channel)?.wake();
  }

  sendDatagram(bytes: Uint8Array): void {
    const { conn, events, limits } = this.#parts;
    if (this.#closed || this.#datagramsUnderWay >= limits.datagramQueueMax) {
      return events.onSendFailed("datagram", 1);
    }
    this.#datagramsUnderWay++;
    conn.sendDatagram(bytes)
      .catch(() => events.onSendFailed("datagram", 1))
      .finally(() => this.#datagramsUnderWay--);
  }

  async openStream(): Promise<PeerStream> {
    const { conn, limits, peer } = this.#parts;
    if (this.#opened.size >= limits.streamsPerPeerMax) throw tooManyStreams(peer);
    let parts: StreamParts;
    try {
      parts = takeStream(await conn.createBidirectionalStream());
    } catch (cause) {
      // The runtime says so when the peer has not yet given back the credit of streams that ended.
      throw cause instanceof RangeError ? tooManyStreams(peer) : lostConnection(cause, peer);
    }
    if (this.#closed) throw lostConnection(undefined, peer);
    const stream = this.#makeStream(parts, this.#opened, encodeStreamHeader("stream"));
    this.#opened.add(stream);
    return stream;
  }

  /** Closes it when something in it has begun and not gone on since `beforeMs`. */
  checkStalls(beforeMs: number): void {
    for (const { stalledSinceMs } of [...this.#readers, ...this.#opened, ...this.#accepted]) {
      if (stalledSinceMs === undefined || stalledSinceMs > beforeMs) continue;
      const text = "The peer has begun a frame and does not go on with it";
      return this.#fault(new PeerError("peer_stalled", text));
    }
  }

  /** Safe to repeat. */
  close(reason: CloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.conn.close({ closeCode: CLOSE_CODES[reason], reason });
    for (const stream of [...this.#opened, ...this.#accepted]) stream.breakOff();
    this.#parts.events.onClosed();
  }

  async #acceptStreams(): Promise<void> {
    let pending = this.#parts.pending;
    for (;;) {
      const { done, value } = await (pending ?? this.#parts.incoming.read());
      pending = undefined;
      if (done) return;
      void this.#guard(() => this.#takeStream(value));
    }
  }

  async #takeStream(quicStream: Deno.QuicBidirectionalStream): Promise<void> {
    const parts = takeStream(quicStream);
    const stream = this.#makeStream(parts, this.#accepted);
    this.#accepted.add(stream);
    const kind = await stream.readHeader();
    if (kind === undefined) return stream.breakOff();
    if (kind !== "stream") throw new PeerError("malformed_frame", `Unexpected stream: ${kind}`);
    if (!this.#closed) this.#deliver(() => this.#parts.events.onStream(stream));
  }

  #makeStream(
    parts: StreamParts,
    among: Set<QuicPeerStream>,
    lead?: Uint8Array,
  ): QuicPeerStream {
    const owner = {
      peer: this.peer,
      onFault: (error: PeerError) => this.#fault(error),
      onDone: (stream: QuicPeerStream) => void among.delete(stream),
    };
    const reader = this.#readerOf(parts.source, STREAM_FRAME_BYTES_MAX);
    return new QuicPeerStream(owner, parts, { reader, ...lead && { lead } });
  }

  #readerOf(source: StreamParts["source"], frameBytesMax: number): FrameReader {
    const nowMs = () => this.#parts.clock.monotonicMs();
    return new FrameReader(source, { frameBytesMax, nowMs });
  }

  async #acceptChannels(): Promise<void> {
    const incoming = this.#parts.conn.incomingUnidirectionalStreams.getReader();
    for (;;) {
      const { done, value } = await incoming.read();
      if (done) return;
      void this.#guard(() => this.#readChannel(value));
    }
  }

  async #readChannel(stream: Deno.QuicReceiveStream): Promise<void> {
    const reader = this.#readerOf(
      sourceOf(stream.getReader({ mode: "byob" })),
      CHANNEL_FRAME_BYTES_MAX,
    );
    this.#readers.add(reader);
    const kind = await reader.header();
    if (kind === undefined) return this.close("done");
    if (kind !== "raft" && kind !== "membership" || this.#channelsRead.has(kind)) {
      throw new PeerError("malformed_frame", `Unexpected channel: ${kind}`);
    }
    this.#channelsRead.add(kind);
    for (;;) {
      const frame = reader.ready() ?? await reader.next();
      // A channel lives as long as its connection; so one that ends has lost its writer.
      if (!(frame instanceof Uint8Array)) return this.close("done");
      if (this.#closed) return;
      this.#deliver(() => this.#parts.events.onFrame(kind, frame));
    }
  }

  async #readDatagrams(): Promise<void> {
    for (;;) {
      const bytes = await this.#parts.conn.readDatagram();
      if (this.#closed) return;
      if (bytes.length > DATAGRAM_BYTES_MAX) {
        throw new PeerError("malformed_frame", `The peer's datagram has ${bytes.length} bytes`);
      }
      this.#deliver(() => this.#parts.events.onDatagram(bytes));
    }
  }

  /** Runs a loop whose end is the connection's: an uncaught rejection of the runtime would end the process. */
  async #guard(loop: () => Promise<void>): Promise<void> {
    try {
      await loop();
    } catch (error) {
      if (error instanceof PeerError) this.#fault(error);
      else if (isRuntimeLoss(error)) this.close("done");
      else throw error;
    }
  }

  #fault(error: PeerError): void {
    if (this.#closed) return;
    this.#parts.events.onFault(error);
    this.close("fault");
  }

  /** What the owner throws is the owner's bug, not the peer's: it must end the process, not this loop. */
  #deliver(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      reportError(error);
    }
  }
}

function tooManyStreams(peer: NodeId): UnavailableError {
  return new UnavailableError("queue_full", `Too many streams to node ${peer} are open`);
}
