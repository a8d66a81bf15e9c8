import { GgufCursor, ggufError, type GgufSource } from "./gguf_cursor.ts";
import { HeaderBudget } from "./header_budget.ts";
import { TENSOR_TYPES, type TensorType } from "./gguf_types.ts";

/** A metadata value. Arrays that were not asked for are only counted. */
export type GgufValue = string | number | boolean | GgufArray;

/** `values` is undefined when only counted. */
export interface GgufArray {
  readonly count: number;
  readonly values: readonly (string | number | boolean)[] | undefined;
}

export interface GgufTensor {
  readonly name: string;
  readonly type: TensorType;
  /** Innermost dimension first, 1 to 4 of them. */
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly tensorBytes: number;
  readonly elements: number;
}

/** `[offset, end)` in a file. */
export interface ByteRange {
  readonly offset: number;
  readonly end: number;
}

/** The header of a GGUF file; tensor bytes are never read. */
export interface Gguf {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Where each metadata entry lies in the file, key and value together. */
  readonly entries: ReadonlyMap<string, ByteRange>;
  readonly tensors: readonly GgufTensor[];
  /** Bytes that each tensor's offset is a multiple of. */
  readonly alignment: number;
  /** Where tensor bytes begin, from the start of the file. */
  readonly tensorsOffset: number;
}

/** "GGUF" in little-endian order. */
const MAGIC = 0x46554747;
const VERSION_MIN = 2;
const VERSION_MAX = 3;
/** Counts above these are damage or malice: the largest known models stay below a tenth of each. */
const METADATA_COUNT_MAX = 65_536;
const TENSOR_COUNT_MAX = 262_144;
const KEY_BYTES_MAX = 65_535;
const STRING_BYTES_MAX = 16 * 1024 * 1024;
const ARRAY_COUNT_MAX = 32 * 1024 * 1024;
const DIMENSIONS_MAX = 4;
const ALIGNMENT_DEFAULT = 32;
const ALIGNMENT_MAX = 1024 * 1024;

const ARRAY_TYPE = 9;
const STRING_TYPE = 8;

interface ScalarType {
  readonly bytes: number;
  readonly read: (view: DataView, at: number) => number | boolean;
}

/** By the number in the file. */
const SCALAR_TYPES: ReadonlyMap<number, ScalarType> = new Map<number, ScalarType>([
  [0, { bytes: 1, read: (view, at) => view.getUint8(at) }],
  [1, { bytes: 1, read: (view, at) => view.getInt8(at) }],
  [2, { bytes: 2, read: (view, at) => view.getUint16(at, true) }],
  [3, { bytes: 2, read: (view, at) => view.getInt16(at, true) }],
  [4, { bytes: 4, read: (view, at) => view.getUint32(at, true) }],
  [5, { bytes: 4, read: (view, at) => view.getInt32(at, true) }],
  [6, { bytes: 4, read: (view, at) => shortestFloat32(view.getFloat32(at, true)) }],
  [7, { bytes: 1, read: (view, at) => view.getUint8(at) !== 0 }],
  // Rounded above 2^53, as `GgufCursor.uint64` does.
  [10, { bytes: 8, read: (view, at) => Number(view.getBigUint64(at, true)) }],
  [11, { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) }],
  [12, { bytes: 8, read: (view, at) => view.getFloat64(at, true) }],
]);

/** Which arrays to keep. The token list of a large model takes 100 times the rest. */
export type KeptArrays = "none" | "all" | ((key: string) => boolean);

/** What is read of a file, and what of it must be there. */
export interface ReadGgufOptions {
  readonly arrays: KeptArrays;
  /** Takes a header whose tensors lie beyond the end of the file, as when only the header was fetched. Default false. */
  readonly isHeaderEnough?: boolean;
}

/**
 * Reads a GGUF header of version 2 or 3 and checks that every tensor it names lies inside the file.
 *
 * @throws RequestError `invalid_gguf` with the reason and the offset when the file is cut off, damaged or no GGUF.
 */
export async function readGguf(
  source: GgufSource,
  options: ReadGgufOptions,
): Promise<Gguf> {
  const cursor = new GgufCursor(source);
  const { version, tensorCount, metadataCount } = await readCounts(cursor);
  const metadata = new Map<string, GgufValue>();
  const entries = new Map<string, ByteRange>();
  const budget = new HeaderBudget();
  for (let index = 0; index < metadataCount; index++) {
    const offset = cursor.offset;
    const key = await readText(cursor, { what: "a metadata key", bytesMax: KEY_BYTES_MAX });
    budget.entry(key, offset);
    if (metadata.has(key)) throw ggufError(`metadata key "${key}" appears twice`, offset);
    metadata.set(key, await readValue(cursor, { key, arrays: options.arrays, budget }));
    entries.set(key, { offset, end: cursor.offset });
  }
  const headers: TensorHeader[] = [];
  for (let index = 0; index < tensorCount; index++) {
    const header = await readTensorHeader(cursor);
    budget.tensor(header.name, header.headerOffset);
    headers.push(header);
  }
  const alignment = alignmentOf(metadata, cursor.offset);
  const tensorsOffset = Math.ceil(cursor.offset / alignment) * alignment;
  const fileBytes = options.isHeaderEnough === true ? Infinity : source.blobBytes;
  const tensors = headers.map((header) => placeTensor(header, { tensorsOffset, fileBytes }));
  return { version, metadata, entries, tensors, alignment, tensorsOffset };
}

async function readCounts(cursor: GgufCursor) {
  await cursor.ensure(24, "the header");
  if (cursor.uint32() !== MAGIC) throw ggufError("it does not begin with GGUF", 0);
  const version = cursor.uint32();
  if (version < VERSION_MIN || version > VERSION_MAX) {
    throw ggufError(
      `version ${version} is not supported, ${VERSION_MIN} to ${VERSION_MAX} are` +
        (version > 0xffff ? "; big-endian files are not" : ""),
      4,
    );
  }
  const tensorCount = checkLimit("tensors", cursor.uint64(), { max: TENSOR_COUNT_MAX, offset: 8 });
  const metadataCount = checkLimit("metadata keys", cursor.uint64(), {
    max: METADATA_COUNT_MAX,
    offset: 16,
  });
  return { version, tensorCount, metadataCount };
}

/** What {@link readValue} needs beside the cursor. */
interface ValueContext {
  readonly key: string;
  readonly arrays: KeptArrays;
  readonly budget: HeaderBudget;
}

async function readValue(cursor: GgufCursor, context: ValueContext): Promise<GgufValue> {
  await cursor.ensure(4, `metadata "${context.key}"`);
  const type = cursor.uint32();
  if (type === ARRAY_TYPE) return await readArray(cursor, context);
  if (type !== STRING_TYPE) return await readScalar(cursor, type, context.key);
  const { key, budget } = context;
  const offset = cursor.offset;
  const what = `metadata "${key}"`;
  const text = await readText(cursor, { what, bytesMax: STRING_BYTES_MAX, budget });
  budget.text(text, offset);
  return text;
}

async function readScalar(
  cursor: GgufCursor,
  type: number,
  key: string,
): Promise<string | number | boolean> {
  if (type === STRING_TYPE) {
    return await readText(cursor, { what: `metadata "${key}"`, bytesMax: STRING_BYTES_MAX });
  }
  const scalar = SCALAR_TYPES.get(type);
  if (scalar === undefined) {
    throw ggufError(`metadata "${key}" has the unknown type ${type}`, cursor.offset - 4);
  }
  await cursor.ensure(scalar.bytes, `metadata "${key}"`);
  return cursor.scalar(scalar.bytes, scalar.read);
}

async function readArray(cursor: GgufCursor, context: ValueContext): Promise<GgufArray> {
  const { key, arrays, budget } = context;
  await cursor.ensure(12, `metadata "${key}"`);
  const offset = cursor.offset;
  const type = cursor.uint32();
  const count = checkLimit(`elements in "${key}"`, cursor.uint64(), {
    max: ARRAY_COUNT_MAX,
    offset: offset + 4,
  });
  const scalar = SCALAR_TYPES.get(type);
  if (scalar === undefined && type !== STRING_TYPE) {
    throw ggufError(`array "${key}" has the unsupported element type ${type}`, offset);
  }
  const isWanted = arrays === "all" || (arrays !== "none" && arrays(key));
  const values: (string | number | boolean)[] = [];
  while (isWanted && values.length < count) {
    const value = await readScalar(cursor, type, key);
    values.push(value);
    if (budget.array(value)) continue;
    // Too much to keep, and no reason to refuse the file: arrays are for those who look at them.
    await skipValues(cursor, { key, count: count - values.length, scalar });
    return { count, values: undefined };
  }
  if (isWanted) return { count, values };
  await skipValues(cursor, { key, count, scalar });
  return { count, values: undefined };
}

async function skipValues(
  cursor: GgufCursor,
  rest: { readonly key: string; readonly count: number; readonly scalar: ScalarType | undefined },
): Promise<void> {
  const { key, count, scalar } = rest;
  if (scalar) cursor.skip(scalar.bytes * count, `array "${key}"`);
  else await skipTexts(cursor, { key, count });
}

async function skipTexts(
  cursor: GgufCursor,
  array: { readonly key: string; readonly count: number },
): Promise<void> {
  const what = `array "${array.key}"`;
  for (let index = 0; index < array.count; index++) {
    // Awaiting only at the window's edge: half a million promises would take a second.
    if (!cursor.has(8)) await cursor.ensure(8, what);
    const offset = cursor.offset;
    const bytes = checkLimit(`bytes in a text of "${array.key}"`, cursor.uint64(), {
      max: STRING_BYTES_MAX,
      offset,
    });
    cursor.skip(bytes, what);
  }
}

async function readText(
  cursor: GgufCursor,
  options: { readonly what: string; readonly bytesMax: number; readonly budget?: HeaderBudget },
): Promise<string> {
  await cursor.ensure(8, options.what);
  const offset = cursor.offset;
  const bytes = checkLimit(`bytes in ${options.what}`, cursor.uint64(), {
    max: options.bytesMax,
    offset,
  });
  options.budget?.announced(bytes, offset);
  await cursor.ensure(bytes, options.what);
  return cursor.text(bytes);
}

/** A tensor before it is known where tensor bytes begin. */
interface TensorHeader {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly relativeOffset: number;
  /** Where the header stands, for errors. */
  readonly headerOffset: number;
}

async function readTensorHeader(cursor: GgufCursor): Promise<TensorHeader> {
  const headerOffset = cursor.offset;
  const name = await readText(cursor, { what: "a tensor name", bytesMax: KEY_BYTES_MAX });
  const what = `tensor "${name}"`;
  await cursor.ensure(4, what);
  const dimensions = checkLimit(`dimensions in ${what}`, cursor.uint32(), {
    max: DIMENSIONS_MAX,
    offset: cursor.offset - 4,
  });
  await cursor.ensure(dimensions * 8 + 12, what);
  const shape = Array.from({ length: dimensions }, () => cursor.uint64());
  const typeNumber = cursor.uint32();
  const type = TENSOR_TYPES.get(typeNumber);
  if (type === undefined) {
    throw ggufError(`${what} has the unknown type ${typeNumber}`, cursor.offset - 4);
  }
  return { name, type, shape, relativeOffset: cursor.uint64(), headerOffset };
}

function placeTensor(
  header: TensorHeader,
  file: { readonly tensorsOffset: number; readonly fileBytes: number },
): GgufTensor {
  const { name, type, shape } = header;
  const elements = shape.reduce((product, length) => product * length, 1);
  if (!Number.isSafeInteger(elements) || elements % type.blockElements !== 0) {
    throw ggufError(
      `tensor "${name}" has the impossible shape [${shape.join(", ")}] for ${type.name}`,
      header.headerOffset,
    );
  }
  const tensorBytes = elements / type.blockElements * type.blockBytes;
  const offset = file.tensorsOffset + header.relativeOffset;
  if (offset + tensorBytes > file.fileBytes) {
    throw ggufError(
      `the file is cut off: tensor "${name}" ends at byte ${offset + tensorBytes}, ` +
        `the file has ${file.fileBytes}`,
      file.fileBytes,
    );
  }
  return { name, type, shape, offset, tensorBytes, elements };
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, offset: number): number {
  const alignment = metadata.get("general.alignment") ?? ALIGNMENT_DEFAULT;
  const isUsable = typeof alignment === "number" && Number.isInteger(alignment) &&
    alignment > 0 && alignment <= ALIGNMENT_MAX;
  if (!isUsable) {
    throw ggufError(`the alignment ${JSON.stringify(alignment)} is impossible`, offset);
  }
  return alignment;
}

function checkLimit(
  what: string,
  count: number,
  limit: { readonly max: number; readonly offset: number },
): number {
  if (count <= limit.max) return count;
  throw ggufError(`${count} ${what}, at most ${limit.max} are allowed`, limit.offset);
}

/** The shortest decimal that is the same float32: 0.00001, not 0.000009999999747378752. */
function shortestFloat32(value: number): number {
  if (!Number.isFinite(value) || Number.isInteger(value)) return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
