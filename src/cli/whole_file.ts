import { errorMessage, printableText, RequestError } from "../base/mod.ts";
import { isThere } from "./installed/mod.ts";

/** Such files name keys, token hashes and clients of the cluster. */
const FILE_MODE = 0o600;

/** @throws RequestError `bad_usage` where it can't be read. */
export async function readWhole(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    const reason = printableText(errorMessage(cause));
    throw new RequestError("bad_usage", `Cannot read ${path}: ${reason}`, { cause });
  }
}

/** Nothing is left behind under the name unless all of it is on disk. @returns Its bytes. */
export async function writeWhole(path: string, bytes: ReadableStream<Uint8Array>): Promise<number> {
  const partial = `${path}.partial`;
  if (isThere(path)) {
    await bytes.cancel();
    throw new RequestError("bad_usage", `Cannot write ${path}: there is such a file already`);
  }
  try {
    using file = await Deno.open(partial, {
      write: true,
      create: true,
      truncate: true,
      mode: FILE_MODE,
    });
    let size = 0;
    for await (const chunk of bytes) {
      for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await file.write(rest));
      size += chunk.length;
    }
    await file.sync();
    await Deno.rename(partial, path);
    return size;
  } catch (error) {
    await Deno.remove(partial).catch(() => {}); // It may not even have been made.
    throw error;
  }
}
