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
  read(): Promise<
    { readonly done: true } | { readonly done: false; readonly value: Uint8Array<ArrayBuffer> }
  >;
}

/** The sender's own end of a stream; bytes that just stop are none. */
export const STREAM_ENDED: unique symbol = Symbol("stream ended");

/** What {@link FrameReader.next} finds. `undefined`: the bytes stopped, be it within a frame. */
export type NextFrame = Uint8Array<ArrayBuffer> | typeof STREAM_ENDED | undefined;

/**
 * Cuts a stream of bytes into frames: four bytes of length, lowest first, and the frame. Buffers what arrived of one frame
 * and never allocates on the word of a length, so that a peer pays for every byte it makes this node keep.
 */
export class FrameReader {
  readonly #source: ByteSource;
  readonly #frameBytesMax: number;
  #bytes = new Uint8Array(0);
  #start = 0;
  #end = 0;
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
      if (!await this.#pull(STREAM_HEADER_BYTES, "stalls from the start")) return undefined;
    }
    const header = decodeStreamHeader(this.#take(STREAM_HEADER_BYTES));
    if ("kind" in header) return header.kind;
    throw header.fault === "unknown_version"
      ? new PeerError("unknown_version", "The peer's stream begins with an unknown version")
      : new PeerError("malformed_frame", "The peer's stream is of an unknown kind");
  }

  /**
   * The next frame, a view that is never written to again. Waits for more bytes as needed; call it again only after it
   * settled.
   *
   * @throws PeerError `malformed_frame` for a length beyond the limit; whatever the source rejects with.
   */
  async next(): Promise<NextFrame> {
    for (;;) {
      const frame = this.ready();
      if (frame !== undefined) return frame;
      if (!await this.#pull(this.#wantedBytes())) return undefined;
    }
  }

  /** As {@link next}, but only what has arrived already: undefined stands for nothing whole. */
  ready(): NextFrame {
    const length = this.#length();
    if (length === undefined) return undefined;
    if (length === STREAM_END_LENGTH) {
      this.#take(FRAME_LENGTH_BYTES);
      return STREAM_ENDED;
    }
    if (length > this.#frameBytesMax) {
      throw new PeerError(
        "malformed_frame",
        `The peer announced a frame of ${length} bytes; at most ${this.#frameBytesMax} are allowed`,
      );
    }
    if (this.#end - this.#start < FRAME_LENGTH_BYTES + length) return undefined;
    return this.#take(FRAME_LENGTH_BYTES + length).subarray(FRAME_LENGTH_BYTES);
  }

  #length(): number | undefined {
    if (this.#end - this.#start < FRAME_LENGTH_BYTES) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = this.#bytes.subarray(this.#start, this.#start + 4);
    return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.subarray(this.#start, this.#start + count);
    this.#start += count;
    return taken;
  }

  /** Bytes up to the end of what has begun. */
  #wantedBytes(): number {
    return FRAME_LENGTH_BYTES + (this.#length() ?? 0);
  }

  /** Waits for more bytes; false when they stopped. `wantedBytes`: how many the caller needs from the start. */
  async #pull(wantedBytes: number, from?: "stalls from the start"): Promise<boolean> {
    const kept = this.#end - this.#start;
    if (kept > 0 || from !== undefined) this.#stalledSinceMs = this.#nowMs();
    let read: Awaited<ReturnType<ByteSource["read"]>>;
    try {
      read = await this.#source.read();
    } finally {
      this.#stalledSinceMs = undefined;
    }
    if (read.done) return false;
    this.#append(read.value, wantedBytes);
    return true;
  }

  #append(chunk: Uint8Array<ArrayBuffer>, wantedBytes: number): void {
    const kept = this.#end - this.#start;
    if (kept === 0) {
      // The usual case: nothing is copied, and frames are views into the chunk.
      this.#bytes = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    if (this.#bytes.length - this.#end < chunk.length) {
      const needed = kept + chunk.length;
      // Doubling keeps the copying linear; what is wanted bounds it, because a length alone must not cost memory.
      const capacity = Math.max(needed, Math.min(wantedBytes, needed * 2));
      const grown = new Uint8Array(capacity);
      grown.set(this.#bytes.subarray(this.#start, this.#end));
      this.#bytes = grown;
      this.#start = 0;
      this.#end = kept;
    }
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
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
