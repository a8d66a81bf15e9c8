import { ggufError, type GgufSource } from "./gguf_cursor.ts";
import { type GgufFacts, ggufFacts } from "./gguf_facts.ts";
import type { Gguf, GgufTensor } from "./read_gguf.ts";

/** One part of a split model, in order. */
export interface SplitPart {
  readonly gguf: Gguf;
  readonly source: GgufSource;
}

/** The whole that parts come to, not yet written anywhere. */
export interface MergedGguf {
  readonly blobBytes: number;
  readonly facts: GgufFacts;
  /** The whole file; the sources must stay open until it ends. */
  read(): AsyncIterable<Uint8Array>;
}

/** Bytes copied at once. */
const COPY_BYTES = 1024 * 1024;
const VERSION = 3;

/**
 * Plans one GGUF file out of the parts of a split one: the first part's metadata without the keys about splitting, all
 * tensors in order.
 *
 * @throws RequestError `invalid_gguf` when two parts hold a tensor of the same name.
 */
export async function mergeGguf(parts: readonly SplitPart[]): Promise<MergedGguf> {
  const [first] = parts;
  if (first === undefined) throw ggufError("a split model has no parts", 0);
  const tensors = parts.flatMap(({ gguf, source }) =>
    gguf.tensors.map((tensor) => ({ tensor, source }))
  );
  requireDistinct(tensors.map(({ tensor }) => tensor));
  const { alignment } = first.gguf;
  const metadata = new Map([...first.gguf.metadata].filter(([key]) => !isAboutSplitting(key)));
  const header = new HeaderWriter();
  header.uint32(0x46554747);
  header.uint32(VERSION);
  header.uint64(tensors.length);
  header.uint64(metadata.size);
  for (const [key, range] of first.gguf.entries) {
    if (isAboutSplitting(key)) continue;
    header.bytes(await first.source.read(range.offset, range.end - range.offset));
  }
  let offset = 0;
  for (const { tensor } of tensors) {
    header.tensor(tensor, offset);
    offset = align(offset + tensor.tensorBytes, alignment);
  }
  header.bytes(new Uint8Array(align(header.length, alignment) - header.length));
  const read = async function* () {
    yield* header.pieces;
    for (const { tensor, source } of tensors) {
      yield* copyTensor(tensor, source);
      const { tensorBytes } = tensor;
      yield new Uint8Array(align(tensorBytes, alignment) - tensorBytes);
    }
  };
  const facts = ggufFacts({ metadata, tensors: tensors.map(({ tensor }) => tensor) });
  return { blobBytes: header.length + offset, facts, read };
}

function isAboutSplitting(key: string): boolean {
  return key.startsWith("split.");
}

function requireDistinct(tensors: readonly GgufTensor[]): void {
  const names = new Set<string>();
  for (const { name, offset } of tensors) {
    if (names.has(name)) throw ggufError(`two parts hold the tensor "${name}"`, offset);
    names.add(name);
  }
}

async function* copyTensor(tensor: GgufTensor, source: GgufSource): AsyncIterable<Uint8Array> {
  for (let done = 0; done < tensor.tensorBytes;) {
    const bytes = await source.read(
      tensor.offset + done,
      Math.min(COPY_BYTES, tensor.tensorBytes - done),
    );
    if (bytes.length === 0) throw ggufError(`tensor "${tensor.name}" is cut off`, tensor.offset);
    done += bytes.length;
    yield bytes;
  }
}

function align(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** Collects a header; `pieces` are its bytes in order. */
class HeaderWriter {
  readonly pieces: Uint8Array[] = [];
  length = 0;

  bytes(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.length += piece.length;
  }

  uint32(value: number): void {
    const piece = new Uint8Array(4);
    new DataView(piece.buffer).setUint32(0, value, true);
    this.bytes(piece);
  }

  uint64(value: number): void {
    const piece = new Uint8Array(8);
    new DataView(piece.buffer).setBigUint64(0, BigInt(value), true);
    this.bytes(piece);
  }

  tensor(tensor: GgufTensor, relativeOffset: number): void {
    const name = new TextEncoder().encode(tensor.name);
    this.uint64(name.length);
    this.bytes(name);
    this.uint32(tensor.shape.length);
    for (const length of tensor.shape) this.uint64(length);
    this.uint32(tensor.type.id);
    this.uint64(relativeOffset);
  }
}
