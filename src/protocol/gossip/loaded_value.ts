import { ByteWriter, type Decoded } from "../bytes.ts";
import { listField, recordField, type ValueOf } from "../field_codec.ts";
import { manifestPrefixField } from "./inventory_value.ts";
import { countField, decodeVersioned, encodeVersioned, shownField } from "./versioned_value.ts";

/** Key of {@link LoadedCopies} among a member's gossip values. */
export const LOADED_COPIES_KEY = "loaded";
/** Bytes of the value: with it the inventory and the small values still fit a member's 48 KiB. */
const LOADED_VALUE_BYTES_MAX = 6 * 1024;
/** Copies in one value. */
const COPIES_MAX = 256;
/** The version byte and two counts. */
const HEAD_BYTES = 16;

const LOADED_COPY = recordField({
  /** First eight bytes of its manifest's SHA-256. */
  manifest: manifestPrefixField,
  /** For people; a name longer than this loses its end. */
  name: shownField(256),
  /** Memory it takes, all kinds. */
  sizeBytes: countField(),
  /** Of that, memory of accelerators. */
  vramBytes: countField(),
  contextLength: countField(),
  /** Milliseconds since 1970 by that node's clock; 0 = stays loaded. */
  expiresAtMs: countField(),
  slots: countField(1_000_000),
  runningRequests: countField(1_000_000),
});

/** One model loaded on a node. */
export type LoadedCopy = Readonly<ValueOf<typeof LOADED_COPY>>;

const LOADED_COPIES = recordField({
  copies: listField(LOADED_COPY, COPIES_MAX),
  /** Copies there was no room for. */
  omitted: countField(),
});

/** What a node has loaded. */
export type LoadedCopies = Readonly<ValueOf<typeof LOADED_COPIES>>;

/**
 * Always decodes. When not all fit, those stay that run most requests, then those that stay loaded longest, then those
 * with the lowest manifest prefix; the others are only counted.
 */
export function encodeLoadedCopies(copies: readonly LoadedCopy[]): Uint8Array<ArrayBuffer> {
  const kept: LoadedCopy[] = [];
  let bytes = HEAD_BYTES;
  for (const copy of [...copies].sort(compareCopies)) {
    const writer = new ByteWriter();
    LOADED_COPY.write(writer, copy);
    if (kept.length >= COPIES_MAX || bytes + writer.length > LOADED_VALUE_BYTES_MAX) break;
    bytes += writer.length;
    kept.push(copy);
  }
  return encodeVersioned(LOADED_COPIES, { copies: kept, omitted: copies.length - kept.length });
}

/** Never throws, on any bytes. */
export function decodeLoadedCopies(bytes: Uint8Array): Decoded<LoadedCopies> {
  return decodeVersioned(LOADED_COPIES, bytes);
}

function compareCopies(a: LoadedCopy, b: LoadedCopy): number {
  const lastsMs = (copy: LoadedCopy) =>
    copy.expiresAtMs === 0 ? Number.MAX_SAFE_INTEGER : copy.expiresAtMs;
  return b.runningRequests - a.runningRequests || lastsMs(b) - lastsMs(a) ||
    (a.manifest < b.manifest ? -1 : a.manifest > b.manifest ? 1 : 0);
}
