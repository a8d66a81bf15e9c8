import { FRAME_LENGTH_BYTES } from "../../protocol/mod.ts";
import { writeLength } from "./frame_reader.ts";

/** Capacity that is kept when a queue runs empty; more is given back. */
const CAPACITY_KEPT = 256 * 1024;
const CAPACITY_FIRST = 4 * 1024;

/** What one write takes. */
export interface FrameBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly frames: number;
}

/**
 * Frames that wait to be written, already in the form they are written in: everything queued while a write was under way
 * goes out as one. Copies each frame once.
 */
export class FrameQueue {
  readonly #framesMax: number;
  readonly #bytesMax: number;
  #bytes = new Uint8Array(CAPACITY_FIRST);
  #length = 0;
  #frames = 0;

  constructor(limits: { readonly framesMax: number; readonly bytesMax: number }) {
    this.#framesMax = limits.framesMax;
    this.#bytesMax = limits.bytesMax;
  }

  get frames(): number {
    return this.#frames;
  }

  /** False when there is no room. One frame of any size fits into an empty queue. */
  push(frame: Uint8Array): boolean {
    const needed = this.#length + FRAME_LENGTH_BYTES + frame.length;
    if (this.#frames >= this.#framesMax) return false;
    if (this.#frames > 0 && needed > this.#bytesMax) return false;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    writeLength(this.#bytes, { at: this.#length, length: frame.length });
    this.#bytes.set(frame, this.#length + FRAME_LENGTH_BYTES);
    this.#length = needed;
    this.#frames++;
    return true;
  }

  /**
   * Takes everything; undefined when there is nothing. The bytes are the taker's: `spare`, a batch that was written, takes
   * their place, so that two buffers do for a whole connection.
   */
  takeAll(spare?: Uint8Array<ArrayBuffer>): FrameBatch | undefined {
    if (this.#frames === 0) return undefined;
    const batch = { bytes: this.#bytes.subarray(0, this.#length), frames: this.#frames };
    const reusable = spare !== undefined && spare.buffer.byteLength <= CAPACITY_KEPT;
    this.#bytes = reusable ? new Uint8Array(spare.buffer) : new Uint8Array(CAPACITY_FIRST);
    this.#length = 0;
    this.#frames = 0;
    return batch;
  }
}
