import type { ByteReader, ByteWriter } from "./bytes.ts";

/**
 * How one kind of value is written and read. One value has exactly one encoding, so that equal states have equal bytes;
 * `read` describes what is wrong through the reader's fault and never throws.
 */
export interface FieldCodec<T> {
  write(writer: ByteWriter, value: T): void;
  read(reader: ByteReader): T;
}

/** The type a codec reads. */
export type ValueOf<Codec> = Codec extends FieldCodec<infer T> ? T : never;

/** Integer in [0, `limit`]. */
export function uintField(limit: number = Number.MAX_SAFE_INTEGER): FieldCodec<number> {
  return {
    write: (writer, value) => void writer.varint(value),
    read: (reader) => reader.varint(limit),
  };
}

/** UTF-8 of at most `bytesMax` bytes that `accept` takes, narrowed by it. */
export function textField<T extends string = string>(
  bytesMax: number,
  accept?: (text: string) => boolean,
): FieldCodec<T> {
  return {
    write: (writer, value) => void writer.text(value),
    read: (reader) => {
      const text = reader.text(bytesMax);
      if (accept !== undefined && reader.fault === undefined && !accept(text)) {
        reader.fail("text not allowed");
      }
      return text as T; // Decoding: `accept` has checked what the brand promises.
    },
  };
}

/** Bytes of a length in [`bytesMin`, `bytesMax`]. */
export function bytesField(bytesMin: number, bytesMax: number): FieldCodec<Uint8Array> {
  return {
    write: (writer, value) => void writer.bytes(value),
    read: (reader) => {
      const bytes = reader.bytes(bytesMax);
      if (bytes.length < bytesMin) reader.fail("too few bytes");
      return bytes;
    },
  };
}

/** Yes or no. */
export const flagField: FieldCodec<boolean> = {
  write: (writer, flag) => void writer.uint8(flag ? 1 : 0),
  read: (reader) => reader.varint(1) === 1,
};

/** Nothing or one value. */
export function optionalField<T>(codec: FieldCodec<T>): FieldCodec<T | undefined> {
  return {
    write: (writer, value) => {
      writer.uint8(value === undefined ? 0 : 1);
      if (value !== undefined) codec.write(writer, value);
    },
    read: (reader) => {
      const present = reader.uint8();
      if (present > 1) reader.fail("unknown flag");
      return present === 1 ? codec.read(reader) : undefined;
    },
  };
}

/** At most `countMax` values. */
export function listField<T>(codec: FieldCodec<T>, countMax: number): FieldCodec<readonly T[]> {
  return {
    write: (writer, values) => {
      writer.varint(values.length);
      for (const value of values) codec.write(writer, value);
    },
    read: (reader) => {
      // Each value takes at least a byte, so a count that lies ends with the input.
      const count = reader.varint(countMax);
      const values: T[] = [];
      for (let index = 0; index < count && reader.fault === undefined; index++) {
        values.push(codec.read(reader));
      }
      return values;
    },
  };
}

/** Named fields, in the order they are given here. */
export function recordField<Value extends object>(
  fields: { readonly [Name in keyof Value]-?: FieldCodec<Value[Name]> },
): FieldCodec<Value> {
  const names = Object.keys(fields) as (keyof Value)[];
  return {
    write: (writer, value) => {
      for (const name of names) fields[name].write(writer, value[name]);
    },
    read: (reader) => {
      const value: Partial<Value> = {};
      for (const name of names) value[name] = fields[name].read(reader);
      return value as Value; // Decoding: every field was read by its own codec.
    },
  };
}
