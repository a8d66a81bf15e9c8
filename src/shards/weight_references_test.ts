import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Random } from "../base/mod.ts";
import {
  readReference,
  type TunnelPiece,
  WeightCutter,
  writeReference,
} from "./weight_references.ts";

const SET_TENSOR = 6;
const GRAPH_COMPUTE = 10;
const FILE = new Uint8Array(64 * 1024).map((_, index) => index * 7 + (index >> 8));
const TENSORS = new Map([["blk.0.attn_q.weight", { offset: 1_000, tensorBytes: 20_000 }]]);

/** A command of llama.cpp's protocol: one byte, eight of length, then `body`. */
function command(kind: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(9 + body.length);
  bytes[0] = kind;
  new DataView(bytes.buffer).setBigUint64(1, BigInt(body.length), true);
  bytes.set(body, 9);
  return bytes;
}

function setTensor(name: string, first: number, data: Uint8Array): Uint8Array {
  const body = new Uint8Array(296 + 8 + data.length);
  body.set(new TextEncoder().encode(name), 228);
  new DataView(body.buffer).setBigUint64(296, BigInt(first), true);
  body.set(data, 304);
  return command(SET_TENSOR, body);
}

const WEIGHTS = setTensor("blk.0.attn_q.weight", 0, FILE.subarray(1_000, 21_000));
const PART = setTensor("blk.0.attn_q.weight", 8_000, FILE.subarray(9_000, 14_000));
const INPUT = setTensor("inp_embd", 0, FILE.subarray(0, 9_000));
const BEYOND = setTensor("blk.0.attn_q.weight", 10_000, FILE.subarray(0, 15_000));
const GRAPH = command(GRAPH_COMPUTE, FILE.subarray(0, 5_000));
const EMPTY = command(14, new Uint8Array(0));
const ALL = Uint8Array.from(
  [EMPTY, WEIGHTS, GRAPH, INPUT, PART, BEYOND, EMPTY].flatMap((bytes) => [...bytes]),
);

/** What the other end makes of the pieces. */
function restored(pieces: readonly TunnelPiece[]): Uint8Array {
  return Uint8Array.from(pieces.flatMap((piece) => {
    if (piece.kind === "bytes") return [...piece.bytes];
    const { head, offset, length, digest } = readReference(writeReference(piece), FILE.length);
    const data = FILE.subarray(offset, offset + length);
    assert.equal(createHash("sha256").update(data).digest("hex"), digest);
    return [...head, ...data];
  }));
}

Deno.test("What a cutter leaves out is put back byte for byte, however the bytes were chunked", () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const random = new Random(seed);
    let spared = 0;
    const cutter = new WeightCutter(TENSORS, (bytes) => spared += bytes);
    const pieces: TunnelPiece[] = [];
    for (let at = 0; at < ALL.length;) {
      const count = 1 + random.below(seed < 5 ? 40 : 30_000);
      pieces.push(...cutter.push(ALL.slice(at, at + count)));
      at += count;
    }
    assert.deepEqual(restored(pieces), ALL);
    assert.equal(spared, 25_000, "the weights and the part of them, and nothing else");
    const packed = pieces.flatMap((piece) =>
      piece.kind === "bytes" && piece.packs ? [...piece.bytes] : []
    );
    assert.deepEqual(Uint8Array.from(packed), GRAPH.slice(9), "graphs alone");
  }
});

Deno.test("A reference to what is no part of the file is refused", () => {
  const [piece] = new WeightCutter(TENSORS, () => {}).push(new Uint8Array(WEIGHTS))
    .filter(({ kind }) => kind === "reference");
  assert.ok(piece?.kind === "reference");
  const bytes = writeReference(piece);
  assert.throws(() => readReference(bytes, 20_999), { code: "malformed_frame" });
  assert.throws(() => readReference(bytes.subarray(1), FILE.length), { code: "malformed_frame" });
  const other = bytes.slice();
  other[0] = GRAPH_COMPUTE;
  assert.throws(() => readReference(other, FILE.length), { code: "malformed_frame" });
  const longer = bytes.slice();
  new DataView(longer.buffer).setBigUint64(9 + 304 + 8, 40_000n, true);
  assert.throws(() => readReference(longer, FILE.length), { code: "malformed_frame" });
});
