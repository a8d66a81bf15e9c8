import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { type FieldCodec, textField, uintField } from "../field_codec.ts";

/**
 * First byte of every gossip value. A later version may only append fields, so that nodes of this one still read what
 * they know during a rolling update; anything else is a new key.
 */
const VALUE_LAYOUT_VERSION = 1;

const TEXT_ENCODER = new TextEncoder();
const CONTROL = /\p{Cc}/u;

/** A value with its version before it; `version` is a later one where fields were appended. */
export function encodeVersioned<T>(
  codec: FieldCodec<T>,
  value: T,
  version = VALUE_LAYOUT_VERSION,
): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter().uint8(version);
  codec.write(writer, value);
  return writer.finish();
}

/** Never throws, on any bytes. What a later version appended is passed over; up to `known` every byte must be. */
export function decodeVersioned<T>(
  codec: FieldCodec<T>,
  bytes: Uint8Array,
  known = VALUE_LAYOUT_VERSION,
): Decoded<T> {
  const reader = new ByteReader(bytes);
  const version = reader.uint8();
  if (version < VALUE_LAYOUT_VERSION) reader.fail("unknown version");
  const value = codec.read(reader);
  if (version > known) reader.raw(reader.remaining);
  return reader.finish(value);
}

/** A whole number; what is written is cut to [0, `limit`], because measurements come from outside. */
export function countField(limit: number = Number.MAX_SAFE_INTEGER): FieldCodec<number> {
  const { read } = uintField(limit);
  return {
    // `|| 0`: NaN, which a division of measurements can yield, is below and above nothing.
    write: (writer, value) =>
      void writer.varint(Math.max(0, Math.min(limit, Math.trunc(value))) || 0),
    read,
  };
}

/**
 * Text that can be shown on a terminal: no control characters. What is written is cut to whole characters within
 * `bytesMax`, so that a long name costs its end and not the whole value.
 */
export function shownField(bytesMax: number): FieldCodec<string> {
  const { read } = textField(bytesMax, (text) => !CONTROL.test(text));
  return { write: (writer, text) => void writer.text(fitText(text, bytesMax)), read };
}

/** A field behind the place of a text that is gone: nothing is said there, and what others still say there is dropped. */
export function behindGoneText<T>(bytesMax: number, field: FieldCodec<T>): FieldCodec<T> {
  return {
    write: (writer, value) => field.write(writer.text(""), value),
    read: (reader) => {
      reader.text(bytesMax);
      return field.read(reader);
    },
  };
}

function fitText(text: string, bytesMax: number): string {
  let fitted = "";
  let bytes = 0;
  for (const character of text) {
    bytes += TEXT_ENCODER.encode(character).length;
    if (bytes > bytesMax) break;
    // A lone surrogate is written as U+FFFD by the encoder, so it needs no care here.
    fitted += CONTROL.test(character) ? "?" : character;
  }
  return fitted;
}
