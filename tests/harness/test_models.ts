import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { editMetadata, type MetadataEdits } from "./gguf.ts";
import type { TestNode } from "./node.ts";

const TINY_PATH = fileURLToPath(
  new URL("../../src/models/embedded/tiny.gguf", import.meta.url),
);

/** The embedded model's file. */
export function readTinyGguf(): Promise<Uint8Array<ArrayBuffer>> {
  return Deno.readFile(TINY_PATH);
}

/** `sha256:<hex>` of some bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Uploads bytes as a blob and returns their digest. */
export async function uploadBlob(
  node: Pick<TestNode, "get">,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const digest = digestOf(bytes);
  const response = await node.get(`/api/blobs/${digest}`, { method: "POST", body: bytes });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`POST /api/blobs/${digest} got ${response.status}`);
  return digest;
}

/** Creates a model from the embedded one's weights with other metadata, as a client would: blob, then create. */
export async function createVariant(
  node: Pick<TestNode, "get" | "ask">,
  model: string,
  edits: MetadataEdits,
): Promise<void> {
  const digest = await uploadBlob(node, editMetadata(await readTinyGguf(), edits));
  await node.ask("/api/create", { model, files: { "model.gguf": digest }, stream: false });
}

/** Pooling by mean makes an embedding model of it (contract 1.6). */
export const EMBEDDING_EDITS: MetadataEdits = { "llama.pooling_type": 1 };
/** Without a chat template it knows no tools. */
export const TEMPLATELESS_EDITS: MetadataEdits = { "tokenizer.chat_template": undefined };
