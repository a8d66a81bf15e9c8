import { createHash } from "node:crypto";
import type { NodeClient } from "../client/mod.ts";
import type { ProgressLine } from "../terminal/mod.ts";
import type { ModelFile } from "./model_files.ts";

/** Names of files with the digests the node knows them by, as the API wants them. */
export type UploadedFiles = Readonly<Record<string, string>>;

/** Makes sure that the node holds each file; what it holds already is not sent again. */
export async function uploadFiles(
  client: NodeClient,
  files: readonly ModelFile[],
  show: (line: ProgressLine) => void,
): Promise<UploadedFiles> {
  const digests: Record<string, string> = {};
  for (const file of files) {
    const digest = await digestOf(file.path);
    digests[file.name] = digest;
    const total = (await Deno.stat(file.path)).size;
    const status = `copying file ${digest}`;
    if (!await client.hasBlob(digest)) {
      await client.uploadBlob(
        digest,
        await openCounted(file.path, (completed) => show({ status, total, completed })),
      );
    }
    show({ status, total, completed: total });
  }
  return digests;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return `sha256:${hash.digest("hex")}`;
}

/** The file's bytes; `onBytes` hears how many have been read. */
async function openCounted(
  path: string,
  onBytes: (completed: number) => void,
): Promise<ReadableStream<Uint8Array>> {
  const file = await Deno.open(path);
  let completed = 0;
  return file.readable.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        completed += chunk.length;
        onBytes(completed);
        controller.enqueue(chunk);
      },
    }),
  );
}
