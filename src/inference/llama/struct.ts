/** Type of a member of a C struct. Pointers are 64 bits: llama.cpp is only shipped for 64-bit targets and 32-bit arm is refused. */
type MemberType = "i32" | "u32" | "f32" | "bool" | "pointer" | "usize" | "i64";

const SIZE: Readonly<Record<MemberType, number>> = {
  i32: 4,
  u32: 4,
  f32: 4,
  bool: 1,
  pointer: 8,
  usize: 8,
  i64: 8,
};

/**
 * A C struct: offsets follow from the order of its members and natural alignment, the same on each 64-bit target. One
 * table per struct serves the foreign call's type, the writes and the check against llama.cpp's own values.
 */
export class Struct<Name extends string = string> {
  /** What `Deno.dlopen` needs to pass it by value. */
  readonly nativeType: Deno.NativeStructType;
  /** Bytes, padding at the end included. */
  readonly size: number;
  readonly #members = new Map<string, { offset: number; type: MemberType; initial?: number }>();

  /** `initial`: what llama.cpp puts into a fresh struct; undefined = not checked. */
  constructor(members: readonly (readonly [name: Name, type: MemberType, initial?: number])[]) {
    let offset = 0;
    let alignment = 1;
    for (const [name, type, initial] of members) {
      const size = SIZE[type];
      offset = Math.ceil(offset / size) * size;
      this.#members.set(name, initial === undefined ? { offset, type } : { offset, type, initial });
      offset += size;
      alignment = Math.max(alignment, size);
    }
    this.size = Math.ceil(offset / alignment) * alignment;
    this.nativeType = { struct: members.map(([, type]) => type === "bool" ? "u8" : type) };
  }

  /** Writes one member. Pointers and 64-bit integers take their number, exact below 2^53. */
  set(bytes: Uint8Array, name: Name, value: number | bigint | boolean): void {
    const { offset, type } = this.#member(name);
    const view = viewOf(bytes);
    if (type === "pointer" || type === "usize" || type === "i64") {
      view.setBigInt64(offset, BigInt(value), true);
    } else if (type === "f32") view.setFloat32(offset, Number(value), true);
    else if (type === "bool") view.setUint8(offset, value ? 1 : 0);
    else if (type === "u32") view.setUint32(offset, Number(value), true);
    else view.setInt32(offset, Number(value), true);
  }

  /** Reads one member; a bool as 0 or 1. */
  get(bytes: Uint8Array, name: Name): number {
    const { offset, type } = this.#member(name);
    const view = viewOf(bytes);
    if (type === "pointer" || type === "usize" || type === "i64") {
      return Number(view.getBigInt64(offset, true));
    }
    if (type === "f32") return view.getFloat32(offset, true);
    if (type === "bool") return view.getUint8(offset);
    return type === "u32" ? view.getUint32(offset, true) : view.getInt32(offset, true);
  }

  /** Members whose value in `bytes` is not the initial one of the table, as text; empty when the layout fits. */
  differences(bytes: Uint8Array): string[] {
    const found: string[] = [];
    if (bytes.length !== this.size) found.push(`size: wanted ${this.size}, got ${bytes.length}`);
    else {
      for (const [name, { initial }] of this.#members) {
        const value = initial === undefined ? undefined : this.get(bytes, name as Name);
        if (value !== initial) found.push(`${name}: wanted ${initial}, got ${value}`);
      }
    }
    return found;
  }

  #member(name: string): { offset: number; type: MemberType; initial?: number } {
    const member = this.#members.get(name);
    if (member === undefined) throw new RangeError(`The struct has no member "${name}"`);
    return member;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A NUL-terminated copy, as C wants it. */
export function cText(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** The text behind a `const char *`; "" for NULL. */
export function readText(pointer: Deno.PointerValue): string {
  return pointer === null ? "" : new Deno.UnsafePointerView(pointer).getCString();
}

/** Where an array lies. It must have a buffer of its own: V8 keeps small ones on its heap, where they may move. */
export function addressOf(array: ArrayBufferView<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(array));
}

/** The type of a struct result is wider than what a call returns. */
export function asBytes(result: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(result);
}
