import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { bytesField, listField, recordField } from "../field_codec.ts";
import { type ManifestPrefix, manifestPrefixField } from "./inventory_value.ts";
import { decodeVersioned, encodeVersioned } from "./versioned_value.ts";

/** Key of {@link ComputedPrefixes} among a member's gossip values. */
export const COMPUTED_PREFIXES_KEY = "prefixes";
/** Marks in one value, of all models together: 2,000 bytes. */
export const PREFIX_MARKS_MAX = 500;
/** Models in one value. */
const MODELS_MAX = 8;
const MARK_BYTES = 4;

const COMPUTED_PREFIXES = recordField({
  models: listField(
    recordField({
      /** First eight bytes of its manifest's SHA-256. */
      manifest: manifestPrefixField,
      /** Big-endian numbers of 32 bits. */
      marks: bytesField(0, PREFIX_MARKS_MAX * MARK_BYTES),
    }),
    MODELS_MAX,
  ),
});

/** What a node has computed of one model: marks of beginnings of texts, as `core/answers` makes them. */
export interface ComputedPrefixes {
  readonly manifest: ManifestPrefix;
  readonly marks: readonly number[];
}

/** Always decodes. Each model has the same share of the room; the first marks of each are told, of the first models. */
export function encodeComputedPrefixes(
  models: readonly ComputedPrefixes[],
): Uint8Array<ArrayBuffer> {
  const told = models.filter(({ marks }) => marks.length > 0).slice(0, MODELS_MAX);
  const share = Math.floor(PREFIX_MARKS_MAX / Math.max(1, told.length));
  return encodeVersioned(COMPUTED_PREFIXES, {
    models: told.map(({ manifest, marks }) => ({
      manifest,
      marks: bytesOf(marks.slice(0, share)),
    })),
  });
}

/** Never throws, on any bytes. */
export function decodeComputedPrefixes(
  bytes: Uint8Array,
): Decoded<{ readonly models: readonly ComputedPrefixes[] }> {
  const decoded = decodeVersioned(COMPUTED_PREFIXES, bytes);
  if (decoded.kind !== "decoded") return decoded;
  const models = decoded.value.models.map(({ manifest, marks }) => {
    return { manifest, marks: marksOf(marks) };
  });
  return { kind: "decoded", value: { models } };
}

function bytesOf(marks: readonly number[]): Uint8Array {
  const writer = new ByteWriter();
  for (const mark of marks) writer.uint32(mark);
  return writer.finish();
}

/** A rest that is no whole mark says nothing. */
function marksOf(bytes: Uint8Array): readonly number[] {
  const reader = new ByteReader(bytes);
  return Array.from({ length: Math.floor(bytes.length / MARK_BYTES) }, () => reader.uint32());
}
