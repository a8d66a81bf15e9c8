import { ggufFacts, isFactArray } from "./gguf_facts.ts";
import { ggufLayers } from "./gguf_layers.ts";
import type { GgufSource } from "./gguf_cursor.ts";
import { readGguf } from "./read_gguf.ts";

/**
 * Reads what a GGUF file's header tells to those who divide its layers, and where each tensor lies in it, by its name. The
 * weights need not be there.
 *
 * @throws RequestError `invalid_gguf`; the system's error where the file can't be read.
 */
export async function readModelLayers(path: string) {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  const gguf = await readGguf(sourceOf(file, size), { arrays: isFactArray, isHeaderEnough: true });
  const tensors = new Map(gguf.tensors.map((tensor) => [tensor.name, tensor]));
  return { facts: ggufFacts(gguf), layers: () => ggufLayers(gguf), tensors, fileBytes: size };
}

function sourceOf(file: Deno.FsFile, blobBytes: number): GgufSource {
  const read = async (offset: number, length: number) => {
    await file.seek(offset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(Math.min(length, Math.max(0, blobBytes - offset)));
    let count = 0;
    while (count < bytes.length) {
      const more = await file.read(bytes.subarray(count));
      if (more === null) break;
      count += more;
    }
    return bytes.subarray(0, count);
  };
  return { blobBytes, read };
}
