import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Random } from "../../base/mod.ts";
import { damageGguf } from "../../../tests/harness/gguf_damage.ts";
import {
  type GgufEntry,
  ggufFile,
  LLAMA_METADATA,
  llamaFile,
} from "../../../tests/harness/gguf_file.ts";
import { ggufFacts, type GgufSource, isFactArray, readGguf } from "./mod.ts";

function sourceOf(bytes: Uint8Array): GgufSource {
  return {
    blobBytes: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
  };
}

const read = (bytes: Uint8Array) => readGguf(sourceOf(bytes), { arrays: isFactArray });

async function factsOf(extra: Readonly<Record<string, GgufEntry>>) {
  return ggufFacts(await read(llamaFile(extra)));
}

Deno.test("readGguf() reads the tiny model", async () => {
  const path = fileURLToPath(new URL("../embedded/tiny.gguf", import.meta.url));
  const facts = ggufFacts(await read(await Deno.readFile(path)));
  assert.equal(facts.architecture, "llama");
  assert.equal(facts.parameterCount, 4_197_632);
  assert.equal(facts.quantization, "Q8_0");
  assert.equal(facts.contextLength, 1024);
  assert.equal(facts.embeddingLength, 256);
  assert.equal(facts.kvHeads, 4);
  assert.equal(facts.keyValueLength, 64);
  assert.equal(facts.vocabularyTokens, 2560);
  assert.match(facts.chatTemplate ?? "", /add_generation_prompt/);
});

Deno.test("readGguf() counts arrays that were not asked for and keeps the others", async () => {
  const bytes = llamaFile({ "x.list": [1, 2, 3], "x.texts": ["p", "q"] });
  const lean = await readGguf(sourceOf(bytes), { arrays: "none" });
  assert.deepEqual(lean.metadata.get("x.list"), { count: 3, values: undefined });
  assert.deepEqual(lean.metadata.get("x.texts"), { count: 2, values: undefined });
  const whole = await readGguf(sourceOf(bytes), { arrays: "all" });
  assert.deepEqual(whole.metadata.get("x.texts"), { count: 2, values: ["p", "q"] });
});

Deno.test("readGguf() reads every type of value, single and in arrays", async () => {
  // The type's number in the file, its bytes for the value, and the value.
  const scalars: [number, (view: DataView) => void, number, number | boolean][] = [
    [0, (view) => view.setUint8(0, 200), 1, 200],
    [1, (view) => view.setInt8(0, -2), 1, -2],
    [2, (view) => view.setUint16(0, 60_000, true), 2, 60_000],
    [3, (view) => view.setInt16(0, -3, true), 2, -3],
    [4, (view) => view.setUint32(0, 4e9, true), 4, 4e9],
    [5, (view) => view.setInt32(0, -5, true), 4, -5],
    [6, (view) => view.setFloat32(0, 1e-5, true), 4, 1e-5],
    [7, (view) => view.setUint8(0, 1), 1, true],
    [10, (view) => view.setBigUint64(0, 2n ** 40n, true), 8, 2 ** 40],
    [11, (view) => view.setBigInt64(0, -(2n ** 40n), true), 8, -(2 ** 40)],
    [12, (view) => view.setFloat64(0, 0.1, true), 8, 0.1],
  ];
  for (const [type, write, valueBytes, value] of scalars) {
    const bytes = new Uint8Array(valueBytes);
    write(new DataView(bytes.buffer));
    const single = await readGguf(sourceOf(oneEntryFile([type], bytes)), { arrays: "all" });
    assert.equal(single.metadata.get("k"), value, `type ${type}`);
    const list = oneEntryFile([9, type, 2, 0], new Uint8Array([...bytes, ...bytes]));
    for (const arrays of ["all", "none"] as const) {
      const values = arrays === "all" ? [value, value] : undefined;
      const { metadata } = await readGguf(sourceOf(list), { arrays });
      assert.deepEqual(metadata.get("k"), { count: 2, values }, `array of type ${type}`);
    }
  }
  await assert.rejects(read(oneEntryFile([13], new Uint8Array(8))), {
    message: /metadata "k" has the unknown type 13 \(at byte 33\)/,
  });
  await assert.rejects(read(oneEntryFile([9, 9, 1, 0], new Uint8Array(20))), {
    message: /array "k" has the unsupported element type 9/,
  });
});

/** A file without tensors and with the one key `k`, whose value is the given numbers of 4 bytes and then `bytes`. */
function oneEntryFile(words: readonly number[], bytes: Uint8Array): Uint8Array {
  const head = [0x46554747, 3, 0, 0, 1, 0, 1, 0];
  const file = new Uint8Array(32 + 1 + words.length * 4 + bytes.length);
  const view = new DataView(file.buffer);
  head.forEach((word, index) => view.setUint32(index * 4, word, true));
  file[32] = "k".charCodeAt(0);
  words.forEach((word, index) => view.setUint32(33 + index * 4, word, true));
  file.set(bytes, 33 + words.length * 4);
  return file;
}

Deno.test("ggufFacts() tells models, embedders, adapters and projectors apart", async () => {
  assert.equal((await factsOf({})).hasPooling, false);
  assert.equal((await factsOf({ "llama.pooling_type": 1 })).hasPooling, true);
  assert.equal((await factsOf({ "general.type": "adapter" })).kind, "adapter");
  const projector = await factsOf({
    "general.architecture": "clip",
    "clip.has_vision_encoder": true,
  });
  assert.equal(projector.kind, "projector");
  assert.equal(projector.hasVision, true);
  assert.equal((await factsOf({ "llama.vision.block_count": 2 })).hasVision, true);
});

Deno.test("ggufFacts() takes the largest head count of models whose blocks differ", async () => {
  const facts = await factsOf({ "llama.attention.head_count_kv": [1, 4, 2] });
  assert.equal(facts.kvHeads, 4);
  assert.equal(facts.keyValueLength, 32);
});

Deno.test("readGguf() names what is wrong and where", async () => {
  const good = llamaFile();
  const cases: [string, Uint8Array, RegExp][] = [
    ["empty", new Uint8Array(), /the file ends in the header \(at byte 0\)/],
    ["magic", new Uint8Array(64), /does not begin with GGUF \(at byte 0\)/],
    ["version", ggufFile({ metadata: {}, version: 9 }), /version 9 is not supported/],
    ["tensor data cut", good.slice(0, -10), /cut off: tensor "token_embd.weight" ends at byte/],
    ["header cut", good.slice(0, 150), /the file ends in .* \(at byte 150\)/],
    ["bad alignment", llamaFile({ "general.alignment": 0 }), /alignment 0 is impossible/],
    ["huge counts", withUint64(good, 8, 2n ** 60n), /tensors, at most \d+ are allowed/],
    ["huge metadata", withUint64(good, 16, 2n ** 63n), /metadata keys, at most/],
    ["huge key", withUint64(good, 24, 2n ** 62n), /bytes in a metadata key, at most/],
  ];
  for (const [label, bytes, reason] of cases) {
    await assert.rejects(read(bytes), { code: "invalid_gguf", message: reason }, label);
  }
});

Deno.test("readGguf() refuses impossible tensors", async () => {
  const tensor = { name: "t", shape: [33], type: 8, tensorBytes: 34 };
  const odd = ggufFile({ metadata: LLAMA_METADATA, tensors: [tensor] });
  await assert.rejects(read(odd), { message: /impossible shape \[33\] for Q8_0/ });
  const unknown = ggufFile({ metadata: LLAMA_METADATA, tensors: [{ ...tensor, type: 77 }] });
  await assert.rejects(read(unknown), { message: /tensor "t" has the unknown type 77/ });
  const deep = ggufFile({ metadata: {}, tensors: [{ ...tensor, shape: [1, 1, 1, 1, 1] }] });
  await assert.rejects(read(deep), { message: /5 dimensions in tensor "t", at most 4/ });
});

Deno.test("readGguf() answers random damage with a result or one kind of error", async () => {
  const random = new Random(11);
  const good = llamaFile({ "llama.attention.head_count_kv": [1, 2], "x.texts": ["p", "q"] });
  for (let round = 0; round < 1_000; round++) {
    const damaged = damageGguf(good, { random, headerBytes: good.length });
    await read(damaged).catch((error) => assert.equal(error.code, "invalid_gguf", String(error)));
  }
});

/** A file of texts with 16 MiB each, which takes memory only while it is read; counts the bytes that were. */
function hugeTexts(count: number): { readonly source: GgufSource; read(): number } {
  const textBytes = 16 * 2 ** 20;
  const head = new Uint8Array(24);
  const view = new DataView(head.buffer);
  view.setUint32(0, 0x46554747, true);
  view.setUint32(4, 3, true);
  view.setBigUint64(16, BigInt(count), true);
  const entryBytes = 8 + 8 + 4 + 8 + textBytes;
  const entryHead = (index: number) => {
    const bytes = new Uint8Array(28);
    const entry = new DataView(bytes.buffer);
    entry.setBigUint64(0, 8n, true);
    bytes.set(new TextEncoder().encode(`k${String(index).padStart(7, "0")}`), 8);
    entry.setUint32(16, 8, true);
    entry.setBigUint64(20, BigInt(textBytes), true);
    return bytes;
  };
  let readBytes = 0;
  const read = (offset: number, length: number) => {
    readBytes += length;
    const bytes = new Uint8Array(length).fill(0x61);
    bytes.set(head.subarray(Math.min(24, offset)).subarray(0, length));
    for (let index = Math.max(0, Math.floor((offset - 24) / entryBytes)); index < count; index++) {
      const at = 24 + index * entryBytes - offset;
      if (at >= length) break;
      entryHead(index).forEach((byte, place) => {
        if (at + place >= 0 && at + place < length) bytes[at + place] = byte;
      });
    }
    return Promise.resolve(bytes);
  };
  return { source: { blobBytes: 24 + count * entryBytes, read }, read: () => readBytes };
}

Deno.test("readGguf() refuses a header that takes more than 64 MiB, before it does", async () => {
  await readGguf(hugeTexts(3).source, { arrays: "none" });
  const { source, read } = hugeTexts(12);
  await assert.rejects(readGguf(source, { arrays: "none" }), {
    code: "invalid_gguf",
    message: /its header takes more than 64 MiB in memory/,
  });
  assert.ok(read() < 80 * 2 ** 20, `${read()} bytes were read`);
});

Deno.test("readGguf() counts an array that is too much to keep", async () => {
  for (const [count, isKept] of [[100_000, true], [3_200_000, false]] as const) {
    const bytes = oneEntryFile([9, 4, count, 0], new Uint8Array(4 * count));
    const { metadata } = await readGguf(sourceOf(bytes), { arrays: "all" });
    const value = metadata.get("k");
    assert.ok(typeof value === "object" && value.count === count);
    assert.equal(value.values?.length, isKept ? count : undefined);
  }
});

function withUint64(bytes: Uint8Array, offset: number, value: bigint): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setBigUint64(offset, value, true);
  return copy;
}
