import { assert, joinBytes, PeerError } from "../base/mod.ts";
import type { PeerStream } from "../ports/mod.ts";
import { decodeValue, encodeValue } from "../transport/mod.ts";

/** Bytes of one message at most, as between a node and its runner. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of a message in one frame: short, so that what is waiting behind it is not held up for long. */
const PART_BYTES_MAX = 1024 * 1024;
/** The first byte of a frame: whether the message goes on in the next one. */
const LAST = 0;
const MORE = 1;

/**
 * Values of any size up to the limit over the frames of a stream, in both directions: what follows the first frame, which
 * is a plain one.
 */
export class MessageStream {
  readonly #stream: PeerStream;
  readonly #onFrame: () => void;
  /** The last write: parts of two messages must not mix. */
  #writing: Promise<void> = Promise.resolve();
  #writesWaiting = 0;

  /** `onFrame` tells that the other side lives, also while a long message is on its way. */
  constructor(stream: PeerStream, onFrame: () => void = () => {}) {
    this.#stream = stream;
    this.#onFrame = onFrame;
  }

  /** Writes that have not left yet. */
  get writesWaiting(): number {
    return this.#writesWaiting;
  }

  /**
   * In the order of the calls; resolves when the message is on its way, which waits while the other side does not read.
   *
   * @throws PeerError `malformed_frame` when it is too long, and nothing was sent; UnavailableError `peer_lost`.
   */
  async write(value: unknown): Promise<void> {
    const bytes = encodeValue(value);
    if (bytes.length > MESSAGE_BYTES_MAX) throw tooLong(bytes.length);
    this.#writesWaiting++;
    const before = this.#writing;
    const written = before.then(() => this.#writeParts(bytes));
    // The next one only waits for it; whether it failed is told to its own caller.
    this.#writing = written.then(() => {}, () => {});
    try {
      await written;
    } finally {
      this.#writesWaiting--;
      assert(this.#writesWaiting >= 0, "A write that ends has waited");
    }
  }

  /**
   * The next message; undefined after the other side ended.
   *
   * @throws PeerError `malformed_frame`; UnavailableError `peer_lost`.
   */
  async read(): Promise<unknown> {
    const parts: Uint8Array[] = [];
    let byteCount = 0;
    for (;;) {
      const frame = await this.#stream.read();
      this.#onFrame();
      if (frame === undefined) {
        if (parts.length === 0) return undefined;
        throw new PeerError("malformed_frame", "A stream ended within a message");
      }
      const mark = frame[0];
      if (mark !== LAST && mark !== MORE) {
        throw new PeerError("malformed_frame", "A frame without its mark");
      }
      byteCount += frame.length - 1;
      if (byteCount > MESSAGE_BYTES_MAX) throw tooLong(byteCount);
      parts.push(frame.subarray(1));
      if (mark === LAST) return decodeValue(joinBytes(parts));
      // Empty parts would be free to send and costly to keep.
      if (frame.length === 1) throw new PeerError("malformed_frame", "An empty part of a message");
    }
  }

  /** No more messages from here; those written still arrive. */
  async end(): Promise<void> {
    await this.#writing;
    await this.#stream.end();
  }

  reset(): void {
    this.#stream.reset();
  }

  async #writeParts(bytes: Uint8Array): Promise<void> {
    for (let at = 0;; at += PART_BYTES_MAX) {
      const part = bytes.subarray(at, at + PART_BYTES_MAX);
      const isLast = at + PART_BYTES_MAX >= bytes.length;
      const frame = new Uint8Array(part.length + 1);
      frame[0] = isLast ? LAST : MORE;
      frame.set(part, 1);
      await this.#stream.write(frame);
      if (isLast) return;
    }
  }
}

function tooLong(byteCount: number): PeerError {
  return new PeerError(
    "malformed_frame",
    `A message has at most ${MESSAGE_BYTES_MAX} bytes: this one has ${byteCount}`,
  );
}
