/**
 * Gives a model file to a running odist, through the API.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** A model to measure with, and what to call it: a valid model name. */
export interface BenchModel {
  readonly name: string;
  readonly path: string;
}

/** Creates `model.name` from the file unless the node has it; throws Error when the node refuses. */
export async function createModel(origin: string, model: BenchModel): Promise<void> {
  const shown = await post(`${origin}/api/show`, { model: model.name });
  await shown.body?.cancel();
  if (shown.ok) return;
  const digest = await uploadModel(origin, model.path);
  const created = await post(`${origin}/api/create`, {
    model: model.name,
    files: { "model.gguf": digest },
    stream: false,
  });
  await expectOk(created);
}

/** Gives a node the file alone, and returns its digest. */
export async function uploadModel(origin: string, path: string): Promise<string> {
  const bytes = await Deno.readFile(path);
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const uploaded = await fetch(`${origin}/api/blobs/${digest}`, { method: "POST", body: bytes });
  await expectOk(uploaded);
  return digest;
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function expectOk(response: Response): Promise<void> {
  const text = await response.text();
  if (!response.ok || text.includes('"error"')) {
    throw new Error(`odist answered ${response.status}: ${text}`);
  }
}
