import { joinBytes } from "../../base/mod.ts";
import type { Exchange } from "../exchange.ts";

/** Bytes of a request that are kept at most; what is longer can't be asked again by another node. */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;

/** Keeps the body while it is read; to be called before that. What is returned gives it; undefined = it is too long. */
export function readRecorded(
  exchange: Pick<Exchange, "recordBody" | "request">,
): () => Uint8Array | undefined {
  // Who says so is believed: parts that are held for a while and let go of stay in memory for longer.
  const declaredBytes = Number(exchange.request.headers.get("content-length") ?? 0);
  if (declaredBytes > REQUEST_BYTES_MAX) return () => undefined;
  const parts: Uint8Array[] = [];
  let byteCount = 0;
  exchange.recordBody((part) => {
    byteCount += part.length;
    if (byteCount <= REQUEST_BYTES_MAX) parts.push(part);
    else parts.length = 0;
  });
  return () => byteCount <= REQUEST_BYTES_MAX ? joinBytes(parts) : undefined;
}
