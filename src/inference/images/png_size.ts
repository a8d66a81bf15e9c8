import { readImageHeader } from "../../protocol/mod.ts";

/** Bytes of compressed data that are inflated at once: a thousand times as many may come of them. */
const STEP_BYTES = 4 * 1024;

/**
 * Whether the data of a PNG inflate to more than its own size allows. Its decoder inflates all there is, whatever size was
 * told, and a megabyte may become a gigabyte.
 */
export async function inflatesTooFar(png: Uint8Array): Promise<boolean> {
  const read = readImageHeader(png);
  const bytesMax = read.kind === "image" ? read.header.inflatedBytesMax : undefined;
  if (bytesMax === undefined) return false;
  const inflating = new DecompressionStream("deflate");
  const writer = inflating.writable.getWriter();
  const feeding = feed(writer, dataOf(png));
  const reader = inflating.readable.getReader();
  let seen = 0;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return false;
      seen += value.length;
      if (seen > bytesMax) return true;
    }
  } catch {
    return false; // Broken data are the decoder's to refuse, at the same place.
  } finally {
    await Promise.allSettled([reader.cancel(), writer.abort(), feeding]);
  }
}

async function feed(
  writer: WritableStreamDefaultWriter<BufferSource>,
  chunks: Iterable<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += STEP_BYTES) {
      await writer.write(chunk.subarray(at, at + STEP_BYTES));
    }
  }
  await writer.close();
}

/** The contents of the chunks `IDAT`. */
function* dataOf(png: Uint8Array): Iterable<Uint8Array<ArrayBuffer>> {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let at = 8; at + 8 <= png.length;) {
    const length = view.getUint32(at);
    if (view.getUint32(at + 4) === 0x49444154) yield png.slice(at + 8, at + 8 + length);
    at += 12 + length;
  }
}
