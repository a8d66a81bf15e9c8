import { joinBytes, type NodeId, PeerError } from "../../base/mod.ts";
import type { PeerStream } from "../../ports/mod.ts";
import { FRAME_LENGTH_BYTES, STREAM_FRAME_BYTES_MAX, type StreamKind } from "../../protocol/mod.ts";
import { type FrameReader, type NextFrame, STREAM_ENDED, writeLength } from "./frame_reader.ts";
import {
  END_MARK,
  givenUp,
  ignoreLoss,
  isRuntimeLoss,
  lostConnection,
  RESET,
  type StreamParts,
} from "./stream_pipe.ts";

/**
 * Bytes given to the runtime at once. A reset has to wait for the write under way, so that one must be short even where
 * the peer reads slowly.
 */
const WRITE_BYTES_MAX = 64 * 1024;

const NO_LEAD = new Uint8Array();

/** What a stream tells its connection. */
export interface PeerStreamOwner {
  readonly peer: NodeId;
  /** The peer broke the protocol; the whole connection ends. */
  onFault(error: PeerError): void;
  /** Both directions are done. Once. */
  onDone(stream: QuicPeerStream): void;
}

/** {@link PeerStream} over one QUIC stream. */
export class QuicPeerStream implements PeerStream {
  readonly #owner: PeerStreamOwner;
  readonly #parts: StreamParts;
  readonly #reader: FrameReader;
  #state: "open" | "ended" | "broken" = "open";
  #peerEnded = false;
  #done = false;
  #lead: Uint8Array;
  /** The last read: reads take turns, so that frames are given out in order. */
  #reading: Promise<unknown> = Promise.resolve();

  /** `lead`: goes before the first frame, in one piece with it. */
  constructor(
    owner: PeerStreamOwner,
    parts: StreamParts,
    at: { readonly reader: FrameReader; readonly lead?: Uint8Array },
  ) {
    this.#owner = owner;
    this.#parts = parts;
    this.#reader = at.reader;
    this.#lead = at.lead ?? NO_LEAD;
  }

  get peer(): NodeId {
    return this.#owner.peer;
  }

  /** As {@link FrameReader.stalledSinceMs}. */
  get stalledSinceMs(): number | undefined {
    return this.#reader.stalledSinceMs;
  }

  /** Of a stream that the peer opened, before anything else; undefined when it ended before. @throws PeerError. */
  async readHeader(): Promise<StreamKind | undefined> {
    const kind = await this.#reader.header();
    return this.#isBroken() ? undefined : kind;
  }

  async write(frame: Uint8Array): Promise<void> {
    if (frame.length > STREAM_FRAME_BYTES_MAX) {
      throw new PeerError(
        "malformed_frame",
        `Cannot write frame of ${frame.length} bytes: at most ${STREAM_FRAME_BYTES_MAX} are allowed`,
      );
    }
    if (this.#state !== "open") throw givenUp(this.peer);
    try {
      // All pieces are queued at once: pieces of two writes must not mix.
      const [first, ...others] = piecesOf(frame, this.#takeLead());
      const written = this.#parts.sink.write(first);
      if (others.length === 0) await written;
      else await Promise.all([written, ...others.map((piece) => this.#parts.sink.write(piece))]);
    } catch (cause) {
      this.breakOff();
      throw lostConnection(cause, this.peer);
    }
  }

  read(into?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const turn = this.#reading.then(() => this.#readNext(into));
    this.#reading = turn.catch(ignoreLoss);
    return turn;
  }

  async end(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "ended";
    try {
      await this.#parts.sink.write(joinBytes([this.#takeLead(), END_MARK]));
      this.#checkDone();
      await this.#parts.sink.close();
    } catch {
      // The peer has stopped reading, or is gone; there is nothing left to tell it.
      this.#checkDone();
    }
  }

  reset(): void {
    this.breakOff();
  }

  /** Both directions end, and whoever waits here learns of it. */
  breakOff(): void {
    if (this.#isBroken()) return;
    this.#state = "broken";
    // The runtime ends a dropped direction like a finished one; without the end mark the peer knows better.
    this.#parts.sink.abort(RESET).catch(ignoreLoss);
    this.#parts.source.cancel().catch(ignoreLoss);
    this.#finish();
  }

  #takeLead(): Uint8Array {
    const lead = this.#lead;
    this.#lead = NO_LEAD;
    return lead;
  }

  async #readNext(into?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#isBroken()) throw givenUp(this.peer);
    if (this.#peerEnded) return undefined;
    const found = await this.#next(into);
    if (this.#isBroken()) throw givenUp(this.peer);
    if (found === STREAM_ENDED) {
      this.#peerEnded = true;
      // Only a direction that was read to its end gives its credit back.
      this.#parts.source.read(new Uint8Array(1)).catch(ignoreLoss);
      this.#checkDone();
      return undefined;
    }
    if (found !== undefined) return found;
    this.breakOff();
    throw givenUp(this.peer);
  }

  async #next(into?: ArrayBuffer): Promise<NextFrame> {
    try {
      return await this.#reader.next(into);
    } catch (error) {
      if (error instanceof PeerError) this.#owner.onFault(error);
      else if (!isRuntimeLoss(error)) throw error;
      this.breakOff();
      throw lostConnection(error, this.peer);
    }
  }

  // A function, because a check of the field would be taken to hold across an await.
  #isBroken(): boolean {
    return this.#state === "broken";
  }

  #checkDone(): void {
    if (this.#peerEnded && this.#state !== "open") this.#finish();
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#owner.onDone(this);
  }
}

function piecesOf(frame: Uint8Array, lead: Uint8Array): [Uint8Array, ...Uint8Array[]] {
  const headBytes = lead.length + FRAME_LENGTH_BYTES;
  const firstBytes = Math.min(frame.length, WRITE_BYTES_MAX - headBytes);
  const first = new Uint8Array(headBytes + firstBytes);
  first.set(lead);
  writeLength(first, { at: lead.length, length: frame.length });
  first.set(frame.subarray(0, firstBytes), headBytes);
  const pieces: [Uint8Array, ...Uint8Array[]] = [first];
  for (let at = firstBytes; at < frame.length; at += WRITE_BYTES_MAX) {
    pieces.push(frame.subarray(at, at + WRITE_BYTES_MAX));
  }
  return pieces;
}
