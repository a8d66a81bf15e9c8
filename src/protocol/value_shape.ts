import { isHashHex } from "../base/mod.ts";
import type { Decoded } from "./bytes.ts";

/**
 * What a value from another process must look like, for values whose bytes were decoded generically (CBOR). Fields that
 * a shape does not name are ignored, so that a newer peer may send more.
 */
export interface Shape<T> {
  /** Called by other shapes and by {@link readShape}; `path` names the place for the fault's text. */
  readonly read: (value: unknown, path: string) => T;
}

/** The type that a shape reads. */
export type ShapeOf<S> = S extends Shape<infer T> ? T : never;

/** Never leaves this file. */
class ShapeFault extends Error {}

/** Reads an untrusted value; never throws. */
export function readShape<T>(shape: Shape<T>, value: unknown): Decoded<T> {
  try {
    return { kind: "decoded", value: shape.read(value, "") };
  } catch (error) {
    if (!(error instanceof ShapeFault)) throw error;
    return { kind: "malformed", reason: error.message };
  }
}

/** A text of at most `lengthMax` UTF-16 units. */
export function textShape(lengthMax: number): Shape<string> {
  return {
    read(value, path) {
      if (typeof value !== "string") fault(path, "a text is wanted");
      if (value.length > lengthMax) fault(path, `more than ${lengthMax} characters`);
      return value;
    },
  };
}

/** A text that `accept` takes, narrowed by it. */
export function textOfShape<T extends string>(
  lengthMax: number,
  accept: (text: string) => boolean,
): Shape<T> {
  const text = textShape(lengthMax);
  return {
    read(value, path) {
      const found = text.read(value, path);
      if (!accept(found)) fault(path, "text not allowed");
      return found as T; // Decoding: `accept` has checked what the type promises.
    },
  };
}

/** A SHA-256 in lower-case hex, as manifests are named between nodes. */
export const hashHexShape: Shape<string> = textOfShape<string>(64, isHashHex);

/** One of a few texts. */
export function choiceShape<const T extends string>(choices: readonly T[]): Shape<T> {
  return textOfShape<T>(64, (text) => choices.some((choice) => choice === text));
}

/** An integer in [`low`, `high`]. */
export function integerShape(low: number, high: number = Number.MAX_SAFE_INTEGER): Shape<number> {
  return {
    read(value, path) {
      if (
        typeof value !== "number" || !Number.isSafeInteger(value) || value < low || value > high
      ) {
        fault(path, `an integer in [${low}, ${high}] is wanted`);
      }
      return value;
    },
  };
}

/** Any number but NaN in [`low`, `high`]; the bounds may be infinite. */
export function numberShape(low = -Infinity, high = Infinity): Shape<number> {
  return {
    read(value, path) {
      if (typeof value !== "number" || !(value >= low && value <= high)) {
        fault(path, `a number in [${low}, ${high}] is wanted`);
      }
      return value;
    },
  };
}

/** Anything; whoever uses it reads it with another shape. */
export const unknownShape: Shape<unknown> = { read: (value) => value };

export const booleanShape: Shape<boolean> = {
  read: (value, path) =>
    typeof value === "boolean" ? value : fault(path, "true or false is wanted"),
};

/** At most `bytesMax` bytes. */
export function byteStringShape(bytesMax: number): Shape<Uint8Array> {
  return {
    read(value, path) {
      if (!(value instanceof Uint8Array)) fault(path, "bytes are wanted");
      if (value.length > bytesMax) fault(path, `more than ${bytesMax} bytes`);
      return value;
    },
  };
}

/** At most `itemsMax` items of one shape. */
export function arrayShape<T>(item: Shape<T>, itemsMax: number): Shape<readonly T[]> {
  return {
    read(value, path) {
      if (!Array.isArray(value)) fault(path, "a list is wanted");
      if (value.length > itemsMax) fault(path, `more than ${itemsMax} items`);
      return value.map((entry: unknown, index) => item.read(entry, `${path}[${index}]`));
    },
  };
}

/** Absent, or one value. */
export function maybeShape<T>(shape: Shape<T>): Shape<T | undefined> {
  return { read: (value, path) => value === undefined ? undefined : shape.read(value, path) };
}

/** Null, or one value. */
export function nullableShape<T>(shape: Shape<T>): Shape<T | null> {
  return { read: (value, path) => value === null ? null : shape.read(value, path) };
}

/** Keys whose shape may read undefined become optional, as `exactOptionalPropertyTypes` wants them. */
type Fields<Shapes extends Readonly<Record<string, Shape<unknown>>>> =
  & {
    readonly [
      Key in keyof Shapes as undefined extends ShapeOf<Shapes[Key]> ? never : Key
    ]: ShapeOf<Shapes[Key]>;
  }
  & {
    readonly [
      Key in keyof Shapes as undefined extends ShapeOf<Shapes[Key]> ? Key : never
    ]?: Exclude<ShapeOf<Shapes[Key]>, undefined>;
  };

/** An object with at least these fields; absent ones are left out. */
export function objectShape<const Shapes extends Readonly<Record<string, Shape<unknown>>>>(
  shapes: Shapes,
): Shape<Fields<Shapes>> {
  const rows = Object.entries(shapes);
  return {
    read(value, path) {
      const fields = fieldsOf(value, path);
      const found: Record<string, unknown> = {};
      for (const [key, shape] of rows) {
        // Own fields only: otherwise a peer's `__proto__` could fill in what it did not send.
        const sent = Object.hasOwn(fields, key) ? fields[key] : undefined;
        const field = shape.read(sent, `${path}.${key}`);
        if (field !== undefined) found[key] = field;
      }
      return found as Fields<Shapes>; // Decoding: each field was read by its own shape.
    },
  };
}

/** The union of objects that differ in their `kind`. */
export function unionShape<
  const Kinds extends Readonly<Record<string, Shape<object>>>,
>(
  kinds: Kinds,
): Shape<
  { readonly [Kind in keyof Kinds]: { readonly kind: Kind } & ShapeOf<Kinds[Kind]> }[keyof Kinds]
> {
  return {
    read(value, path) {
      const { kind } = fieldsOf(value, path);
      const shape = typeof kind === "string" && Object.hasOwn(kinds, kind)
        ? kinds[kind]
        : undefined;
      if (shape === undefined) fault(`${path}.kind`, "unknown kind");
      // Decoding: the fields were read by the shape of this kind.
      return { kind, ...shape.read(value, path) } as never;
    },
  };
}

function fieldsOf(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    fault(path, "an object is wanted");
  }
  return value as Readonly<Record<string, unknown>>; // Decoding: any object may be looked at by key.
}

function fault(path: string, what: string): never {
  throw new ShapeFault(`${path === "" ? "value" : path.replace(/^\./, "")}: ${what}`);
}
