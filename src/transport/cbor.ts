import { decode, encode } from "cborg";
import { errorMessage, PeerError } from "../base/mod.ts";
import { CborWriter } from "./cbor_writer.ts";

const writer = new CborWriter(encode);

/** One value as CBOR: plain objects, arrays, texts, numbers, booleans, null and byte strings; `undefined` fields stay. */
export function encodeValue(value: unknown): Uint8Array {
  return writer.encode(value);
}

/**
 * The one value that `bytes` are. Byte strings in it are views into `bytes`, so that these must not be reused.
 *
 * @throws PeerError `malformed_frame` for anything that is not exactly one value in strict CBOR, too deep nesting included.
 */
export function decodeValue(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, { strict: true, rejectDuplicateMapKeys: true, useMaps: false });
  } catch (cause) {
    throw new PeerError("malformed_frame", `Not one CBOR value: ${errorMessage(cause)}`, { cause });
  }
}
