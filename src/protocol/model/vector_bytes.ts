import { PeerError } from "../../base/mod.ts";

/** A vector's bytes; every machine odist runs on is little-endian. */
export function vectorToBytes(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** @throws PeerError `malformed_frame` for a length that is no number of floats. */
export function vectorFromBytes(bytes: Uint8Array): Float32Array {
  if (bytes.length % 4 !== 0) {
    throw new PeerError("malformed_frame", `A vector of ${bytes.length} bytes`);
  }
  // A copy: a view would need an offset that is a multiple of four.
  return new Float32Array(bytes.slice().buffer);
}
