import { invalidRequest } from "../../base/mod.ts";
import type { WebpReply } from "./main.ts";

/** The largest image that is taken is decoded in a second or two. Milliseconds. */
const DECODE_TIMEOUT_MS = 20_000;
/** Where the worker begins: in a bundle this module lies anywhere, and the ways in lie where they lay. */
const ENTRY = import.meta.url.endsWith(".ts")
  ? import.meta.resolve("./main.ts")
  : new URL("../webp/main.js", Deno.mainModule).href;

/** An image as libmtmd wants it: three bytes a pixel, red, green, blue, from the top left line by line. */
export type Pixels = Omit<Extract<WebpReply, { kind: "decoded" }>, "kind">;

/**
 * Decodes a WebP image whose header was found to be within the limits. A worker does it, by libwebp as WebAssembly, which reaches
 * nothing but its own memory: it holds up nobody, and is ended when it takes too long.
 *
 * @throws RequestError `invalid_request` with the reason.
 */
export async function decodeWebp(
  file: Uint8Array<ArrayBuffer>,
  timeoutMs: number = DECODE_TIMEOUT_MS,
): Promise<Pixels> {
  const worker = new Worker(ENTRY, { type: "module" });
  const timer = Promise.withResolvers<never>();
  const late = setTimeout(
    () => timer.reject(invalidRequest(`an image takes more than ${timeoutMs} ms to decode`)),
    timeoutMs,
  );
  try {
    const { kind, ...pixels } = await Promise.race([timer.promise, ask(worker, file)]);
    if (kind === "decoded") return pixels as Pixels;
    throw invalidRequest("an image is broken: it can't be decoded");
  } finally {
    clearTimeout(late);
    worker.terminate();
  }
}

function ask(worker: Worker, file: Uint8Array<ArrayBuffer>): Promise<WebpReply> {
  return new Promise((resolve) => {
    worker.addEventListener("message", ({ data }: MessageEvent<WebpReply>) => resolve(data));
    worker.addEventListener("error", (event) => {
      // One that has no memory left, for example, and is no reason for this process to end.
      event.preventDefault();
      resolve({ kind: "broken" });
    });
    // A copy, so that it is nobody else's buffer.
    const own = file.slice();
    worker.postMessage(own, [own.buffer]);
  });
}
