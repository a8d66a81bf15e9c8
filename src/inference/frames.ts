import { decode, encode } from "cborg";
import { PeerError } from "../base/mod.ts";
import { RUNNER_FRAME_BYTES_MAX } from "../protocol/mod.ts";

const LENGTH_BYTES = 4;

/** One frame: its length as four bytes, most significant first, then the value as CBOR. */
export function encodeFrame(value: unknown): Uint8Array {
  const body = encode(value);
  if (body.length > RUNNER_FRAME_BYTES_MAX) {
    throw new PeerError(
      "malformed_frame",
      `A frame has at most ${RUNNER_FRAME_BYTES_MAX} bytes: this one has ${body.length}`,
    );
  }
  const frame = new Uint8Array(LENGTH_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, LENGTH_BYTES);
  return frame;
}

/** Cuts a byte stream into frames, however the bytes were chunked. Holds one incomplete frame at most. */
export class FrameReader {
  #buffer = new Uint8Array(64 * 1024);
  #count = 0;

  /**
   * The values of all frames that `chunk` completes, in order. `chunk` may be reused by the caller afterwards.
   *
   * @throws PeerError `malformed_frame` for a length over the limit or bytes that are not strict CBOR; the stream is
   *   useless from then on.
   */
  push(chunk: Uint8Array): unknown[] {
    this.#append(chunk);
    const values: unknown[] = [];
    let at = 0;
    while (this.#count - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + readLength(this.#buffer, at);
      if (end > this.#count) break;
      // A copy: decoded byte strings are views, and the buffer is overwritten by the next chunk.
      values.push(decodeBody(this.#buffer.slice(at + LENGTH_BYTES, end)));
      at = end;
    }
    this.#buffer.copyWithin(0, at, this.#count);
    this.#count -= at;
    return values;
  }

  #append(chunk: Uint8Array): void {
    const wanted = this.#count + chunk.length;
    if (wanted > this.#buffer.length) {
      // Doubling, so that a large frame in many chunks is not copied once per chunk.
      const grown = new Uint8Array(Math.max(wanted, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, this.#count));
      this.#buffer = grown;
    }
    this.#buffer.set(chunk, this.#count);
    this.#count = wanted;
  }
}

function readLength(bytes: Uint8Array, at: number): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset + at, LENGTH_BYTES).getUint32(0);
  if (length > RUNNER_FRAME_BYTES_MAX) {
    throw new PeerError(
      "malformed_frame",
      `A frame has at most ${RUNNER_FRAME_BYTES_MAX} bytes: this one claims ${length}`,
    );
  }
  return length;
}

function decodeBody(body: Uint8Array): unknown {
  try {
    return decode(body, { strict: true, rejectDuplicateMapKeys: true, useMaps: false });
  } catch (cause) {
    throw new PeerError("malformed_frame", "A frame is not valid CBOR", { cause });
  }
}
