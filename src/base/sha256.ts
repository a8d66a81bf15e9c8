import { sha256 as hash } from "@noble/hashes/sha2.js";
import { hexOf } from "./byte_arrays.ts";

/**
 * SHA-256 of `bytes`, 32 bytes. Pure and synchronous, for hashes that core code must agree on. The shell hashes blobs with the
 * runtime's own.
 */
export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hash(bytes));
}

/** As {@link sha256}, in lower-case hex. */
export function sha256Hex(bytes: Uint8Array): string {
  return hexOf(hash(bytes));
}
