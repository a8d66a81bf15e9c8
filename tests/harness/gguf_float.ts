/**
 * Turns a Q8_0 or Q4_1 model into one of plain floats, which is what may be quantised.
 *
 * @module
 */
import { type GgufTensor, readGguf } from "../../src/models/gguf/mod.ts";

/** `enum ggml_type` of F32; also the file type of a model that is all F32. */
const F32 = 0;

/** Reads the numbers of one block, of which each has 32. */
type ReadBlock = (view: DataView, at: number, floats: Float32Array) => void;

/** By the name of its type, what a block takes in bytes, and how it is read. */
const BLOCKS: Readonly<Record<string, readonly [byteCount: number, read: ReadBlock]>> = {
  Q8_0: [34, (view, at, floats) => {
    const scale = view.getFloat16(at, true);
    for (let index = 0; index < 32; index++) floats[index] = scale * view.getInt8(at + 2 + index);
  }],
  Q4_1: [20, (view, at, floats) => {
    const [scale, least] = [view.getFloat16(at, true), view.getFloat16(at + 2, true)];
    for (let index = 0; index < 16; index++) {
      const both = view.getUint8(at + 4 + index);
      floats[index] = scale * (both & 15) + least;
      floats[index + 16] = scale * (both >> 4) + least;
    }
  }],
};

/** The same model with every tensor of such blocks as F32. Numbers stay what they were. */
export async function toFloats(file: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const gguf = await readGguf({
    blobBytes: file.length,
    read: (offset, length) => Promise.resolve(file.slice(offset, offset + length)),
  }, { arrays: "none" });
  const metadata = file.slice(0, Math.max(...[...gguf.entries.values()].map(({ end }) => end)));
  const fileType = gguf.entries.get("general.file_type");
  if (fileType) new DataView(metadata.buffer).setUint32(fileType.end - 4, F32, true);
  const headers: Uint8Array[] = [];
  const contents: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of gguf.tensors) {
    const bytes = floatsOf(tensor, file);
    headers.push(tensorHeader(tensor, offset));
    contents.push(bytes, new Uint8Array(align(bytes.length) - bytes.length));
    offset += align(bytes.length);
  }
  const head = await new Blob([metadata, ...headers.map(copy)]).bytes();
  const padding = new Uint8Array(align(head.length) - head.length);
  return await new Blob([head, padding, ...contents.map(copy)]).bytes();
}

function floatsOf(tensor: GgufTensor, file: Uint8Array): Uint8Array {
  const bytes = file.slice(tensor.offset, tensor.offset + tensor.tensorBytes);
  const block = BLOCKS[tensor.type.name];
  if (block === undefined) return bytes;
  const [byteCount, read] = block;
  const view = new DataView(bytes.buffer);
  const floats = new Float32Array(tensor.elements);
  for (let index = 0; index * 32 < floats.length; index++) {
    read(view, index * byteCount, floats.subarray(index * 32, index * 32 + 32));
  }
  return new Uint8Array(floats.buffer);
}

function tensorHeader(tensor: GgufTensor, offset: number): Uint8Array {
  const name = new TextEncoder().encode(tensor.name);
  const bytes = new Uint8Array(8 + name.length + 4 + tensor.shape.length * 8 + 12);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(name.length), true);
  bytes.set(name, 8);
  let at = 8 + name.length;
  view.setUint32(at, tensor.shape.length, true);
  at += 4;
  for (const length of tensor.shape) {
    view.setBigUint64(at, BigInt(length), true);
    at += 8;
  }
  view.setUint32(at, tensor.type.name in BLOCKS ? F32 : tensor.type.id, true);
  view.setBigUint64(at + 4, BigInt(offset), true);
  return bytes;
}

function align(value: number): number {
  return Math.ceil(value / 32) * 32;
}

function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
