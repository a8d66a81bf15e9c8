/**
 * The embedded model as one of Qwen2-VL's architecture, whose positions have several dimensions: of text they are the same in
 * each, so that it says what the embedded model says.
 *
 * @module
 */
import { type Gguf, readGguf } from "../../src/models/gguf/mod.ts";
import { readTinyGguf } from "./test_models.ts";

const OLD = "llama.";
const NEW = "qwen2vl.";
/** Elements of a head, and pairs of them that turn by time, from the top and from the left. */
const HEAD = 32;
const SECTIONS = [6, 5, 5, 0];
/** `enum gguf_type`. */
const TYPE_INTEGER = 5;
const TYPE_ARRAY = 9;
const TYPE_TEXT = 8;
const ALIGNMENT = 32;

export async function readGridModel(): Promise<Uint8Array<ArrayBuffer>> {
  const file = await readTinyGguf();
  const gguf = await readGguf({
    blobBytes: file.length,
    read: (offset, length) => Promise.resolve(file.slice(offset, offset + length)),
  }, { arrays: "none" });
  const pairs = [...gguf.entries].map(([key, { offset, end }]) => {
    if (key === "general.architecture") return textPair(key, NEW.slice(0, -1));
    const value = file.subarray(offset + 8 + key.length, end);
    return joined(text(key.startsWith(OLD) ? NEW + key.slice(OLD.length) : key), value);
  });
  const numbers = SECTIONS.map((count) => u32(count));
  const sections = joined(u32(TYPE_ARRAY), u32(TYPE_INTEGER), u64(SECTIONS.length), ...numbers);
  pairs.push(joined(text(`${NEW}rope.dimension_sections`), sections));
  const headsAt = Math.max(...[...gguf.entries.values()].map(({ end }) => end));
  const heads = file.subarray(headsAt, headsEnd(file, headsAt, gguf.tensors.length));
  const start = file.slice(0, 24);
  new DataView(start.buffer).setBigUint64(16, BigInt(pairs.length), true);
  const head = joined(start, ...pairs, heads);
  const padding = new Uint8Array(Math.ceil(head.length / ALIGNMENT) * ALIGNMENT - head.length);
  return joined(head, padding, turnedHeads(file, gguf));
}

/**
 * All tensors, in queries and keys the rows of each head in another order: llama turns neighbours together, the other
 * architecture the first half of a head with the second.
 */
function turnedHeads(file: Uint8Array<ArrayBuffer>, gguf: Gguf): Uint8Array<ArrayBuffer> {
  const data = file.slice(gguf.tensorsOffset);
  for (const { name, offset, shape, tensorBytes } of gguf.tensors) {
    if (!/attn_[qk]\.weight$/.test(name)) continue;
    const rowBytes = tensorBytes / (shape[1] ?? 1);
    for (let row = 0; row < (shape[1] ?? 0); row++) {
      const [head, at] = [Math.floor(row / HEAD) * HEAD, row % HEAD];
      const from = head + (at < HEAD / 2 ? 2 * at : 2 * (at - HEAD / 2) + 1);
      const source = offset + from * rowBytes;
      data.set(
        file.subarray(source, source + rowBytes),
        offset - gguf.tensorsOffset + row * rowBytes,
      );
    }
  }
  return data;
}

function headsEnd(file: Uint8Array, start: number, count: number): number {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = start;
  for (let index = 0; index < count; index++) {
    at += 8 + Number(view.getBigUint64(at, true));
    // Dimensions, then the type and the offset of the data.
    at += 4 + view.getUint32(at, true) * 8 + 4 + 8;
  }
  return at;
}

function textPair(key: string, value: string): Uint8Array<ArrayBuffer> {
  return joined(text(key), u32(TYPE_TEXT), text(value));
}

function text(value: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(value);
  return joined(u64(bytes.length), bytes);
}

function u32(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
