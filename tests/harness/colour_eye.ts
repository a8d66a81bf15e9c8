/**
 * A projector with a meaning, made for a text model: a picture of one colour becomes one position or several, each the
 * embedding of " red", " green" or " blue". Its graph is that of Janus Pro without any block. And the pictures to look at.
 *
 * @module
 */
import { deflateSync } from "node:zlib";
import type { Random } from "../../src/base/mod.ts";
import { readGguf } from "../../src/models/gguf/mod.ts";
import { ggufFile } from "./gguf_file.ts";

/** Elements inside the projector. */
const INNER = 32;
/** Pixels of a side of a patch. */
const SIDE = 16;
/** Values of one block of Q8_0; a scale of 16 bits is before them. */
const Q8_0_VALUES = 32;
/** `enum ggml_type`. */
const F32 = 0;
const Q8_0 = 8;

/** What the model knows the three colours by; any other token stands in for one it does not have. */
const WORDS = ["Ġred", "Ġgreen", "Ġblue"];

/**
 * The projector's file. `model`: a GGUF whose token embeddings are of Q8_0. `width` other than its own makes a misfit; a picture
 * is `patches` times as many positions, one by default.
 */
export async function colourEye(
  model: Uint8Array<ArrayBuffer>,
  { width, patches = 1 }: { readonly width?: number; readonly patches?: number } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const rows = await colourRows(model);
  const outer = width ?? rows[0]?.length ?? 0;
  const conv = new Float32Array(INNER * 3 * SIDE * SIDE);
  const first = new Float32Array(INNER * INNER);
  const second = new Float32Array(outer * INNER);
  rows.forEach((row, colour) => {
    // The mean of the colour, times ten, of which GELU leaves ten or nothing.
    const patch = (colour * 3 + colour) * SIDE * SIDE;
    conv.fill(1 / (SIDE * SIDE), patch, patch + SIDE * SIDE);
    first[colour * INNER + colour] = 10;
    for (let at = 0; at < outer; at++) second[at * INNER + colour] = (row[at] ?? 0) / 10;
  });
  return new Uint8Array(ggufFile({
    metadata: projectorMetadata("janus_pro", { outer, side: SIDE * patches }),
    tensors: [
      floats("v.patch_embd.weight", [SIDE, SIDE, 3, INNER], conv),
      floats(
        "v.position_embd.weight",
        [INNER, patches ** 2],
        new Float32Array(INNER * patches ** 2),
      ),
      floats("mm.0.weight", [INNER, INNER], first),
      floats("mm.0.bias", [INNER], new Float32Array(INNER)),
      floats("mm.1.weight", [INNER, outer], second),
      floats("mm.1.bias", [outer], new Float32Array(outer)),
    ],
  }));
}

/**
 * The same for a model that places an image in a grid: of Qwen2-VL's kind, where two by two patches become one position, and a
 * picture is nine of them at least.
 */
export async function colourGrid(model: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const rows = await colourRows(model);
  const outer = rows[0]?.length ?? 0;
  const conv = new Float32Array(INNER * 3 * SIDE * SIDE);
  const first = new Float32Array(4 * INNER * INNER);
  const second = new Float32Array(outer * INNER);
  rows.forEach((row, colour) => {
    const patch = (colour * 3 + colour) * SIDE * SIDE;
    conv.fill(1 / (SIDE * SIDE), patch, patch + SIDE * SIDE);
    for (let merged = 0; merged < 4; merged++) {
      first[colour * 4 * INNER + merged * INNER + colour] = 10 / 4;
    }
    for (let at = 0; at < outer; at++) second[at * INNER + colour] = (row[at] ?? 0) / 10;
  });
  return new Uint8Array(ggufFile({
    metadata: {
      ...projectorMetadata("qwen2vl_merger", { outer, side: 6 * SIDE }),
      "clip.vision.block_count": 1,
    },
    tensors: [
      floats("v.patch_embd.weight", [SIDE, SIDE, 3, INNER], conv),
      floats("v.patch_embd.weight.1", [SIDE, SIDE, 3, INNER], new Float32Array(conv.length)),
      ...idleBlock(),
      floats("mm.0.weight", [4 * INNER, INNER], first),
      floats("mm.0.bias", [INNER], new Float32Array(INNER)),
      floats("mm.2.weight", [INNER, outer], second),
      floats("mm.2.bias", [outer], new Float32Array(outer)),
    ],
  }));
}

/** One that adds nothing: without any, its positions would be asked for in vain. */
function idleBlock() {
  const both = (name: string, shape: readonly number[]) => [
    floats(`v.blk.0.${name}.weight`, shape, new Float32Array(shape.reduce((a, b) => a * b))),
    floats(`v.blk.0.${name}.bias`, [INNER], new Float32Array(INNER)),
  ];
  const square = ["attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down"];
  return [
    ...["ln1", "ln2"].flatMap((name) => both(name, [INNER])),
    ...square.flatMap((name) => both(name, [INNER, INNER])),
  ];
}

function projectorMetadata(
  type: string,
  { outer, side }: { readonly outer: number; readonly side: number },
) {
  return {
    "general.architecture": "clip",
    "general.type": "mmproj",
    "general.name": "colour eye",
    "general.file_type": 0,
    "clip.has_vision_encoder": true,
    "clip.projector_type": type,
    "clip.use_gelu": true,
    "clip.vision.embedding_length": INNER,
    "clip.vision.feed_forward_length": INNER,
    "clip.vision.block_count": 0,
    "clip.vision.projection_dim": outer,
    "clip.vision.image_size": side,
    "clip.vision.patch_size": SIDE,
    "clip.vision.attention.head_count": 2,
    "clip.vision.attention.layer_norm_epsilon": new Float32Array([1e-6]),
    "clip.vision.image_mean": new Float32Array(3),
    "clip.vision.image_std": new Float32Array(3).fill(1),
  };
}

/** A picture of one colour, as PNG. */
export function picture(
  colour: "red" | "green" | "blue",
  side = 48,
): Uint8Array<ArrayBuffer> {
  const pixel = ["red", "green", "blue"].map((name) => name === colour ? 255 : 0);
  const line = [0, ...Array.from({ length: side }, () => pixel).flat()];
  const data = Uint8Array.from(Array.from({ length: side }, () => line).flat());
  return png({ width: side, height: side, data: deflateSync(data) });
}

/** A picture that is red but for some noise, which makes a large file of it. */
export function noisyPicture(side: number, random: Random): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array((side * 3 + 1) * side);
  for (let at = 0; at < data.length; at++) {
    const inLine = at % (side * 3 + 1);
    if (inLine > 0) data[at] = inLine % 3 === 1 ? 255 : random.below(32);
  }
  return png({ width: side, height: side, data: deflateSync(data, { level: 1 }) });
}

/** A PNG of eight bits a colour that claims a size, whatever its data are. */
export function png(
  { width, height, data }: {
    readonly width: number;
    readonly height: number;
    readonly data: Uint8Array;
  },
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2], 8);
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10);
  const chunks = [chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array())];
  return concatenate([signature, ...chunks]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = concatenate([new TextEncoder().encode(type), data]);
  const bytes = new Uint8Array(body.length + 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(body, 4);
  view.setUint32(4 + body.length, crc32(body));
  return bytes;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb8_8320 : 0);
  }
  return ~crc >>> 0;
}

async function colourRows(model: Uint8Array<ArrayBuffer>): Promise<Float32Array[]> {
  const gguf = await readGguf({
    blobBytes: model.length,
    read: (offset, length) => Promise.resolve(model.slice(offset, offset + length)),
  }, { arrays: (key) => key === "tokenizer.ggml.tokens" });
  const tokens = gguf.metadata.get("tokenizer.ggml.tokens");
  const words = typeof tokens === "object" ? tokens.values ?? [] : [];
  const table = gguf.tensors.find(({ name }) => name === "token_embd.weight");
  if (table?.type.id !== Q8_0) throw new Error("the model's token embeddings are not of Q8_0");
  const [width = 0] = table.shape;
  const rowBytes = width / Q8_0_VALUES * (2 + Q8_0_VALUES);
  return WORDS.map((word, colour) => {
    const found = words.indexOf(word);
    const token = found >= 0 ? found : (colour + 1) * Math.floor(words.length / 5);
    const start = table.offset + token * rowBytes;
    return fromQ8(model.slice(start, start + rowBytes));
  });
}

function fromQ8(bytes: Uint8Array<ArrayBuffer>): Float32Array {
  const view = new DataView(bytes.buffer);
  const blockBytes = 2 + Q8_0_VALUES;
  return Float32Array.from({ length: bytes.length / blockBytes * Q8_0_VALUES }, (_, at) => {
    const block = Math.floor(at / Q8_0_VALUES) * blockBytes;
    return view.getFloat16(block, true) * view.getInt8(block + 2 + at % Q8_0_VALUES);
  });
}

function floats(name: string, shape: readonly number[], values: Float32Array<ArrayBuffer>) {
  const bytes = new Uint8Array(values.buffer);
  return { name, shape, type: F32, tensorBytes: bytes.length, bytes };
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
