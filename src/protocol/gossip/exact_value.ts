import type { Decoded } from "../bytes.ts";
import { listField, recordField, type ValueOf } from "../field_codec.ts";
import { manifestPrefixField } from "./inventory_value.ts";
import { decodeVersioned, encodeVersioned, shownField } from "./versioned_value.ts";

/** Key of {@link ExactCopies} among a member's gossip values. */
export const EXACT_COPIES_KEY = "exact";
/** Copies in one value: each takes some 25 bytes. */
const COPIES_MAX = 64;
/** Characters of a class as it is told. */
export const NUMERIC_CLASS_CHARS = 16;

const EXACT_COPIES = recordField({
  copies: listField(
    recordField({
      /** First eight bytes of its manifest's SHA-256. */
      manifest: manifestPrefixField,
      /** The beginning of its numeric class's SHA-256. */
      numericClass: shownField(NUMERIC_CLASS_CHARS),
    }),
    COPIES_MAX,
  ),
});

/** Which loaded models a node answers exactly, and in which numeric class. */
export type ExactCopies = Readonly<ValueOf<typeof EXACT_COPIES>>;
/** One of them. */
export type ExactCopy = ExactCopies["copies"][number];

/** Always decodes; what there is no room for is left out. */
export function encodeExactCopies(copies: readonly ExactCopy[]): Uint8Array<ArrayBuffer> {
  return encodeVersioned(EXACT_COPIES, { copies: copies.slice(0, COPIES_MAX) });
}

/** Never throws, on any bytes. */
export function decodeExactCopies(bytes: Uint8Array): Decoded<ExactCopies> {
  return decodeVersioned(EXACT_COPIES, bytes);
}
