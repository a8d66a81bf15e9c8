import type { Decoded } from "../bytes.ts";
import { listField, recordField, type ValueOf } from "../field_codec.ts";
import { manifestPrefixField } from "./inventory_value.ts";
import { countField, decodeVersioned, encodeVersioned } from "./versioned_value.ts";

/** Key of {@link ModelSpeed}s among a member's gossip values. */
export const MODEL_SPEEDS_KEY = "speeds";
/** Models in one value: those that were loaded last. */
export const MODEL_SPEEDS_MAX = 24;
/** No machine decodes a million tokens a second of one sequence, or reads ten. */
const DECODE_PER_MINUTE_MAX = 60 * 1_000_000;
const PREFILL_PER_MINUTE_MAX = 60 * 10_000_000;
/** A day. */
const LOAD_MS_MAX = 24 * 3_600_000;

const MODEL_SPEED = recordField({
  /** First eight bytes of its manifest's SHA-256. */
  manifest: manifestPrefixField,
  /** Of one sequence, averaged over recent answers; 0 = not measured. Per minute, because slow machines make few. */
  decodeTokensPerMinute: countField(DECODE_PER_MINUTE_MAX),
  /** As above, for the prompt. */
  prefillTokensPerMinute: countField(PREFILL_PER_MINUTE_MAX),
  /** Of the last load; 0 = not measured. */
  loadMs: countField(LOAD_MS_MAX),
});

/** How fast a node is with one model: a GPU holds one and not another. */
export type ModelSpeed = Readonly<ValueOf<typeof MODEL_SPEED>>;

const MODEL_SPEEDS = recordField({ models: listField(MODEL_SPEED, MODEL_SPEEDS_MAX) });

/** Always decodes; the first ones are told where there are too many. */
export function encodeModelSpeeds(models: readonly ModelSpeed[]): Uint8Array<ArrayBuffer> {
  return encodeVersioned(MODEL_SPEEDS, { models: models.slice(0, MODEL_SPEEDS_MAX) });
}

/** Never throws, on any bytes. */
export function decodeModelSpeeds(
  bytes: Uint8Array,
): Decoded<{ readonly models: readonly ModelSpeed[] }> {
  return decodeVersioned(MODEL_SPEEDS, bytes);
}
