import type { Branded } from "../../base/mod.ts";
import type { Decoded } from "../bytes.ts";
import { type FieldCodec, listField, recordField } from "../field_codec.ts";
import { countField, decodeVersioned, encodeVersioned } from "./versioned_value.ts";

/**
 * First eight bytes of a manifest's SHA-256, as sixteen lower-case hex digits. Of 10,000 manifests, two share one with a
 * chance of 3 in 10^12; who serves a model still names it by its whole digest.
 */
export type ManifestPrefix = Branded<string, "ManifestPrefix">;

/** Eight bytes. */
export const manifestPrefixField: FieldCodec<ManifestPrefix> = {
  write: (writer, prefix) => void writer.hex64(prefix),
  read: (reader) => reader.hex64() as ManifestPrefix, // Decoding: any eight bytes are one.
};

/** Keys of the inventory among a member's gossip values, in order. */
export const INVENTORY_KEYS = ["inventory.0", "inventory.1", "inventory.2"] as const;
/** Manifests under one key: 8,000 bytes, within a value's 8 KiB. */
const CHUNK_MANIFESTS_MAX = 1_000;
/** Manifests a node tells of. */
const INVENTORY_MANIFESTS_MAX = INVENTORY_KEYS.length * CHUNK_MANIFESTS_MAX;

const PREFIXES = listField(manifestPrefixField, CHUNK_MANIFESTS_MAX);
const INVENTORY_CHUNK = recordField({
  prefixes: {
    write: PREFIXES.write,
    read: (reader) => {
      const prefixes = PREFIXES.read(reader);
      const sorted = prefixes.every((prefix, index) => prefix > (prefixes[index - 1] ?? ""));
      if (reader.fault === undefined && !sorted) reader.fail("prefixes not in order");
      return prefixes;
    },
  } satisfies FieldCodec<readonly ManifestPrefix[]>,
  /** Manifests the node holds that no chunk names. */
  omitted: countField(),
});

/** Which manifests a node holds whole, blobs included, as far as it said. */
export interface Inventory {
  readonly prefixes: ReadonlySet<ManifestPrefix>;
  /** False when the node holds more than it tells: one that is not listed may be there all the same. */
  readonly isComplete: boolean;
}

/** The prefix of a manifest's digest, given as the 64 hex digits by which manifests are named everywhere else. */
export function manifestPrefixOf(manifestDigest: string): ManifestPrefix {
  return manifestDigest.slice(0, 16) as ManifestPrefix; // Decoding: its first eight bytes.
}

/**
 * The values to publish, one for each of {@link INVENTORY_KEYS}; undefined = delete. `newestFirst` may be longer than
 * what is told (the newest 3,000): the rest is only counted, and others find it by asking the node itself.
 */
export function encodeInventory(
  newestFirst: readonly ManifestPrefix[],
): ReadonlyMap<string, Uint8Array | undefined> {
  const held = new Set(newestFirst);
  const told = [...held].slice(0, INVENTORY_MANIFESTS_MAX).sort();
  const omitted = held.size - told.length;
  const values = new Map<string, Uint8Array | undefined>();
  for (const [index, key] of INVENTORY_KEYS.entries()) {
    const start = index * CHUNK_MANIFESTS_MAX;
    const prefixes = told.slice(start, start + CHUNK_MANIFESTS_MAX);
    // The first one also says that a node holds nothing, which is more than not knowing.
    const isTold = index === 0 || prefixes.length > 0;
    values.set(key, isTold ? encodeVersioned(INVENTORY_CHUNK, { prefixes, omitted }) : undefined);
  }
  return values;
}

/** Puts together what a member published. Damaged chunks are passed over and make it incomplete; so does none at all. */
export function decodeInventory(values: ReadonlyMap<string, Uint8Array>): Inventory {
  const prefixes = new Set<ManifestPrefix>();
  let isComplete = values.has(INVENTORY_KEYS[0]);
  for (const key of INVENTORY_KEYS) {
    const bytes = values.get(key);
    if (bytes === undefined) continue;
    const decoded = decodeInventoryChunk(bytes);
    if (decoded.kind === "malformed") {
      isComplete = false;
      continue;
    }
    for (const prefix of decoded.value.prefixes) prefixes.add(prefix);
    if (decoded.value.omitted > 0) isComplete = false;
  }
  return { prefixes, isComplete };
}

/** One chunk; never throws, on any bytes. */
function decodeInventoryChunk(
  bytes: Uint8Array,
): Decoded<{ readonly prefixes: readonly ManifestPrefix[]; readonly omitted: number }> {
  return decodeVersioned(INVENTORY_CHUNK, bytes);
}
