import type { Decoded } from "../bytes.ts";
import { listField, recordField, textField, type ValueOf } from "../field_codec.ts";
import { countField, decodeVersioned, encodeVersioned } from "./versioned_value.ts";

/** Key of {@link KeyUses} among a member's gossip values. */
export const KEY_USES_KEY = "keys";
/** Keys that one node tells of at most: those that were used last, as far as they fit. */
export const KEY_USES_MAX = 64;
/** Enough for some fifty, as keys are named and used. */
const KEY_USES_BYTES_MAX = 960;

const KEY_USE = recordField({
  keyId: textField(32),
  /** Admitted by that node since it started. */
  requests: countField(),
  /** Of the day. */
  tokens: countField(),
  running: countField(65_536),
});

/** What a key used on one node. */
export type KeyUse = Readonly<ValueOf<typeof KEY_USE>>;

const KEY_USES = recordField({
  /** Since 1970, UTC. */
  day: countField(),
  keys: listField(KEY_USE, KEY_USES_MAX),
});

/** What a node tells of the keys that have limits. */
export type KeyUses = Readonly<ValueOf<typeof KEY_USES>>;

/** Always decodes; of too many keys the first are told. */
export function encodeKeyUses({ day, keys }: KeyUses): Uint8Array<ArrayBuffer> {
  for (let count = Math.min(keys.length, KEY_USES_MAX);; count--) {
    const bytes = encodeVersioned(KEY_USES, { day, keys: keys.slice(0, count) });
    if (bytes.length <= KEY_USES_BYTES_MAX || count === 0) return bytes;
  }
}

/** Never throws, on any bytes. */
export function decodeKeyUses(bytes: Uint8Array): Decoded<KeyUses> {
  return decodeVersioned(KEY_USES, bytes);
}
