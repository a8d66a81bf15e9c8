import { PeerError } from "../../base/mod.ts";
import {
  decodeStreamHeader,
  FRAME_LENGTH_BYTES,
  STREAM_END_LENGTH,
  STREAM_HEADER_BYTES,
  type StreamKind,
} from "../../protocol/mod.ts";

/** Where bytes come from: the reader of a stream. */
export interface ByteSource {
  /**
   * Fills at least one byte of `into`, from its start, and gives back a view of what it filled. The memory of `into` is
   * that of the view from then on: `into` and every other view of it are gone.
   */
  read(into: Uint8Array<ArrayBuffer>): Promise<
    { readonly done: true } | { readonly done: false; readonly value: Uint8Array<ArrayBuffer> }
  >;
}

/** What is read at once while no frame is known to need more. */
const SCRATCH_BYTES = 16 * 1024;
/** What a length alone makes this node keep; beyond, a frame gets memory as its bytes come. */
const UNSEEN_BYTES_MAX = 64 * 1024;

/** The sender's own end of a stream; bytes that just stop are none. */
export const STREAM_ENDED: unique symbol = Symbol("stream ended");

/** What {@link FrameReader.next} finds. `undefined`: the bytes stopped, be it within a frame. */
export type NextFrame = Uint8Array<ArrayBuffer> | typeof STREAM_ENDED | undefined;

/** A frame whose length has come, and what came of it. */
interface BegunFrame {
  readonly length: number;
  /** Of all or of the first part of the frame; its own, so that nothing else is written there. */
  memory: Uint8Array<ArrayBuffer>;
  filled: number;
}

/**
 * Cuts a stream of bytes into frames: four bytes of length, lowest first, and the frame. What arrives of a frame is read into
 * that frame's own memory, which grows with it and never comes on the word of a length, so that a peer pays for every byte
 * it makes this node keep.
 */
export class FrameReader {
  readonly #source: ByteSource;
  readonly #frameBytesMax: number;
  /** What was read before it was known what it belongs to. Invariant: no frame that was given away is a view of it. */
  #scratch = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #begun: BegunFrame | undefined;
  #stalledSinceMs: number | undefined;
  readonly #nowMs: () => number;

  /** `nowMs`: monotonic, for {@link stalledSinceMs}. */
  constructor(source: ByteSource, options: { frameBytesMax: number; nowMs: () => number }) {
    this.#source = source;
    this.#frameBytesMax = options.frameBytesMax;
    this.#nowMs = options.nowMs;
  }

  /**
   * Since when this reader has waited for the rest of something that had begun; undefined while it does not. Waiting for
   * the first byte of a frame is not a stall: a peer may have nothing to say.
   */
  get stalledSinceMs(): number | undefined {
    return this.#stalledSinceMs;
  }

  /** The header that opens the stream; undefined when the bytes stop before. @throws PeerError when it is wrong. */
  async header(): Promise<StreamKind | undefined> {
    while (this.#end - this.#start < STREAM_HEADER_BYTES) {
      if (!await this.#pull("stalls from the start")) return undefined;
    }
    const header = decodeStreamHeader(
      this.#scratch.subarray(this.#start, this.#start += STREAM_HEADER_BYTES),
    );
    if ("kind" in header) return header.kind;
    throw header.fault === "unknown_version"
      ? new PeerError("unknown_version", "The peer's stream begins with an unknown version")
      : new PeerError("malformed_frame", "The peer's stream is of an unknown kind");
  }

  /**
   * The next frame, in memory that is never written to again. Waits for more bytes as needed; call it again only after it
   * settled.
   *
   * @param into memory for the frame where it is long enough; the caller's no more, as the frame may be in it.
   * @throws PeerError `malformed_frame` for a length beyond the limit; whatever the source rejects with.
   */
  async next(into?: ArrayBuffer): Promise<NextFrame> {
    for (;;) {
      const frame = this.ready(into);
      if (frame !== undefined) return frame;
      if (!await this.#pull()) return undefined;
    }
  }

  /** As {@link next}, but only what has arrived already: undefined stands for nothing whole. */
  ready(into?: ArrayBuffer): NextFrame {
    if (this.#begun === undefined) {
      const length = this.#takeLength();
      if (length === undefined) return undefined;
      if (length === STREAM_END_LENGTH) return STREAM_ENDED;
      this.#begin(length, into);
    }
    const { length = 0, filled = 0, memory } = this.#begun ?? {};
    if (memory === undefined || filled < length) return undefined;
    this.#begun = undefined;
    return memory.length === length ? memory : memory.subarray(0, length);
  }

  #takeLength(): number | undefined {
    if (this.#end - this.#start < FRAME_LENGTH_BYTES) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = this.#scratch.subarray(this.#start, this.#start + 4);
    this.#start += FRAME_LENGTH_BYTES;
    return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
  }

  #begin(length: number, into?: ArrayBuffer): void {
    if (length > this.#frameBytesMax) {
      throw new PeerError(
        "malformed_frame",
        `The peer announced a frame of ${length} bytes; at most ${this.#frameBytesMax} are allowed`,
      );
    }
    const filled = Math.min(length, this.#end - this.#start);
    const memory = into !== undefined && into.byteLength >= length
      ? new Uint8Array(into)
      : new Uint8Array(Math.min(length, Math.max(UNSEEN_BYTES_MAX, 2 * filled)));
    memory.set(this.#scratch.subarray(this.#start, this.#start += filled));
    this.#begun = { length, memory, filled };
  }

  /** Waits for more bytes; false when they stopped. */
  async #pull(from?: "stalls from the start"): Promise<boolean> {
    const hasBegun = this.#begun !== undefined || this.#end > this.#start;
    if (hasBegun || from !== undefined) this.#stalledSinceMs = this.#nowMs();
    try {
      return this.#begun === undefined
        ? await this.#readScratch()
        : await this.#readFrame(this.#begun);
    } finally {
      this.#stalledSinceMs = undefined;
    }
  }

  async #readScratch(): Promise<boolean> {
    const kept = this.#scratch.slice(this.#start, this.#end);
    if (this.#scratch.length < SCRATCH_BYTES) this.#scratch = new Uint8Array(SCRATCH_BYTES);
    this.#scratch.set(kept);
    const read = await this.#source.read(this.#scratch.subarray(kept.length));
    if (read.done) return false;
    this.#scratch = new Uint8Array(read.value.buffer);
    this.#start = 0;
    this.#end = kept.length + read.value.length;
    return true;
  }

  async #readFrame(frame: BegunFrame): Promise<boolean> {
    const { length, filled } = frame;
    if (filled === frame.memory.length) {
      // Doubling keeps the copying linear.
      const grown = new Uint8Array(Math.min(length, 2 * filled));
      grown.set(frame.memory);
      frame.memory = grown;
    }
    const end = Math.min(length, frame.memory.length);
    const read = await this.#source.read(frame.memory.subarray(filled, end));
    if (read.done) return false;
    frame.memory = new Uint8Array(read.value.buffer);
    frame.filled += read.value.length;
    return true;
  }
}

/** A frame with its length before it. */
export function withLength(frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_LENGTH_BYTES + frame.length);
  writeLength(bytes, { at: 0, length: frame.length });
  bytes.set(frame, FRAME_LENGTH_BYTES);
  return bytes;
}

/** Writes the four bytes of a length. */
export function writeLength(bytes: Uint8Array, place: { at: number; length: number }): void {
  const { at, length } = place;
  bytes[at] = length;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length >>> 16;
  bytes[at + 3] = length >>> 24;
}
