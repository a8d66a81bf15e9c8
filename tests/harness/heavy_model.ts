/**
 * Models that weigh as much as a test asks: complete for whoever stores and copies them, and never loaded.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { ggufFile, LLAMA_METADATA } from "./gguf_file.ts";
import type { ClusterNode } from "./cluster_node.ts";

/** Bytes of a row of the one tensor: 64 elements of F32. */
const ROW_BYTES = 256;
const BLOCK_BYTES = 8 * 2 ** 20;

/** Gives a node a model of at least `weightBytes` bytes that nothing can shorten. */
export async function giveHeavyModel(
  node: ClusterNode,
  model: string,
  weightBytes: number,
): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    const digest = await writeHeavyFile(path, weightBytes);
    using file = await Deno.open(path);
    const init = { method: "POST", body: file.readable };
    const response = await node.fetch(`/api/blobs/${digest}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`The upload got ${response.status}: ${text}`);
    await node.ask("POST", "/api/create", {
      model,
      files: { "model.gguf": digest },
      stream: false,
    });
  } finally {
    await Deno.remove(path);
  }
}

async function writeHeavyFile(path: string, weightBytes: number): Promise<string> {
  const rows = Math.ceil(weightBytes / ROW_BYTES);
  const header = ggufFile({
    metadata: LLAMA_METADATA,
    isHeaderAlone: true,
    tensors: [{
      name: "token_embd.weight",
      shape: [ROW_BYTES / 4, rows],
      type: 0,
      tensorBytes: rows * ROW_BYTES,
    }],
  });
  const hash = createHash("sha256");
  using file = await Deno.open(path, { write: true });
  const add = (bytes: Uint8Array) => {
    hash.update(bytes);
    for (let from = 0; from < bytes.length;) from += file.writeSync(bytes.subarray(from));
  };
  add(header);
  const block = new Uint8Array(BLOCK_BYTES);
  for (let from = 0; from < BLOCK_BYTES; from += 65_536) {
    crypto.getRandomValues(block.subarray(from, from + 65_536));
  }
  for (let left = rows * ROW_BYTES; left > 0; left -= BLOCK_BYTES) {
    // No two blocks are alike.
    crypto.getRandomValues(block.subarray(0, 64));
    add(block.subarray(0, Math.min(left, BLOCK_BYTES)));
  }
  return `sha256:${hash.digest("hex")}`;
}
