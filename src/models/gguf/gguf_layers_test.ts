import assert from "node:assert/strict";
import { type GgufContent, ggufFile, LLAMA_METADATA } from "../../../tests/harness/gguf_file.ts";
import { ggufLayers } from "./gguf_layers.ts";
import { type GgufSource, isFactArray, readGguf } from "./mod.ts";

type Tensors = NonNullable<GgufContent["tensors"]>;

function sourceOf(bytes: Uint8Array): GgufSource {
  return {
    blobBytes: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
  };
}

const half = (name: string, ...shape: number[]): Tensors[number] => ({
  name,
  shape,
  type: 1,
  tensorBytes: 2 * shape.reduce((product, length) => product * length, 1),
});

async function layersOf(tensors: Tensors, extra: GgufContent["metadata"] = {}) {
  const metadata = { ...LLAMA_METADATA, ...extra };
  const bytes = ggufFile({ metadata, tensors, isHeaderAlone: true });
  const options = { arrays: isFactArray, isHeaderEnough: true };
  return ggufLayers(await readGguf(sourceOf(bytes), options));
}

const BLOCKS = [half("blk.0.attn_q.weight", 64, 64), half("blk.1.attn_q.weight", 64, 32)];

Deno.test("ggufLayers() tells blocks, token embeddings and what is left apart", async () => {
  const around = [half("token_embd.weight", 64, 3), half("output_norm.weight", 64)];
  const tied = await layersOf([...around, ...BLOCKS]);
  assert.deepEqual(tied, {
    layers: [
      { weightsBytes: 8_192, activeBytes: 8_192 },
      { weightsBytes: 4_096, activeBytes: 4_096 },
    ],
    inputBytes: 384,
    outputBytes: 128,
    isOutputTied: true,
  });
  const untied = await layersOf([...around, ...BLOCKS, half("output.weight", 64, 3)]);
  assert.equal(untied.isOutputTied, false);
  assert.equal(untied.outputBytes, 512);
});

Deno.test("ggufLayers() counts of experts only those that a token asks", async () => {
  const experts = { "llama.expert_count": 8, "llama.expert_used_count": 2 };
  const tensors = [...BLOCKS, half("blk.1.ffn_up_exps.weight", 64, 64, 8)];
  const { layers } = await layersOf(tensors, experts);
  assert.deepEqual(layers[1], { weightsBytes: 4_096 + 65_536, activeBytes: 4_096 + 16_384 });
  const unsaid = await layersOf(tensors);
  assert.equal(unsaid.layers[1]?.activeBytes, 4_096 + 65_536);
});

Deno.test("ggufLayers() refuses blocks that are missing, strange or billions", async () => {
  const [first, second] = BLOCKS;
  assert(first !== undefined && second !== undefined);
  await assert.rejects(layersOf([first, first]), { message: /block 1 of 2 has no tensors/ });
  await assert.rejects(layersOf([...BLOCKS, half("blk.2.x", 64)]), {
    message: /tensor "blk\.2\.x" is of none of its 2 blocks/,
  });
  await assert.rejects(layersOf(BLOCKS, { "llama.block_count": 4e9 }), {
    message: /it has 4000000000 blocks and 2 tensors/,
  });
});

Deno.test("readGguf() takes a header without weights only where that is enough", async () => {
  const bytes = ggufFile({ metadata: LLAMA_METADATA, tensors: BLOCKS, isHeaderAlone: true });
  await assert.rejects(readGguf(sourceOf(bytes), { arrays: "none" }), {
    message: /the file is cut off: tensor "blk\.0\.attn_q\.weight" ends at byte/,
  });
  const { tensors } = await readGguf(sourceOf(bytes), { arrays: "none", isHeaderEnough: true });
  assert.deepEqual(tensors.map(({ tensorBytes }) => tensorBytes), [8_192, 4_096]);
  const cut = bytes.slice(0, bytes.length - 100);
  await assert.rejects(readGguf(sourceOf(cut), { arrays: "none", isHeaderEnough: true }), {
    message: /the file ends in/,
  });
});
