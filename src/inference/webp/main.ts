/**
 * The way into the worker that decodes one WebP image. `decode_webp.ts` starts it, and ends it.
 *
 * @module
 */
import decode, { init } from "@jsquash/webp/decode.js";
import decoder from "@jsquash/webp/codec/dec/webp_dec.wasm" with { type: "bytes" };

/** What is said of a file, once. */
export type WebpReply =
  /** `pixels`: three bytes each, red, green, blue, from the top left line by line. */
  | {
    readonly kind: "decoded";
    readonly width: number;
    readonly height: number;
    readonly pixels: Uint8Array<ArrayBuffer>;
  }
  | { readonly kind: "broken" };

globalThis.addEventListener("message", (event) => {
  // Both ends come from one build, so that the cast holds.
  void answer((event as MessageEvent<Uint8Array<ArrayBuffer>>).data);
});

async function answer(file: Uint8Array<ArrayBuffer>): Promise<void> {
  try {
    await init(await WebAssembly.compile(decoder));
    const { width, height, data } = await decode(file.buffer);
    const pixels = new Uint8Array(data.buffer, 0, withoutAlpha(data)).slice();
    say({ kind: "decoded", width, height, pixels }, [pixels.buffer]);
  } catch {
    say({ kind: "broken" }, []);
  }
}

/** In place, since there may be many; returns how many bytes are left. */
function withoutAlpha(data: ImageData["data"]): number {
  let end = 0;
  for (let at = 0; at < data.length; at += 4) {
    for (let colour = 0; colour < 3; colour++) data[end++] = data[at + colour] ?? 0;
  }
  return end;
}

function say(reply: WebpReply, moved: Transferable[]): void {
  (globalThis as unknown as Worker).postMessage(reply, moved);
}
