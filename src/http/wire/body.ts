import type { Buffer } from "node:buffer";
import { errorMessage, invalidRequest, RequestError } from "../../base/mod.ts";
import { type BodyBounds, BodyText, tooLarge } from "./body_text.ts";
import type { JsonScan } from "./json_scan.ts";

/** Bytes of a zstd body after inflation at most (contract 1.0): a bomb must not fill the memory. */
const INFLATED_BYTES_MAX = 20 * 1024 * 1024;

/** How a JSON body is read. */
export interface BodyRules extends BodyBounds {
  /** Whether `Content-Encoding: zstd` is honoured (the `/v1` endpoints only). */
  readonly zstd: boolean;
  /** Shown each part of the body as it was sent, when it is read. */
  readonly record?: ((part: Uint8Array) => void) | undefined;
  /** What a blank body stands for; without it one is refused. */
  readonly blank?: unknown;
}

/**
 * Reads the first JSON value of a body, whatever its Content-Type says; what follows it is ignored. Memory is taken as
 * bytes come in, whatever length was declared, and what the text is made of is counted before it is parsed.
 *
 * @throws RequestError `invalid_request` (empty or malformed) or `body_too_large`.
 */
export async function readJsonBody(
  request: { readonly headers: Headers; readonly body: AsyncIterable<Uint8Array> | undefined },
  rules: BodyRules,
): Promise<unknown> {
  const bytesMax = rules.bodyBytesMax + rules.mediaBytesMax;
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) {
    throw tooLarge("request body", bytesMax);
  }
  const sent = atMost(bytesMax, request.body ?? [], rules.record);
  const inflate = rules.zstd && request.headers.get("content-encoding") === "zstd";
  const body = new BodyText(rules);
  for await (const part of inflate ? inflateZstd(sent) : sent) body.feed(part);
  return body.withMedia(parseValue(body.text, rules.blank));
}

/**
 * The first JSON value of a text that came in a body.
 *
 * @param scan counts over all such texts of one body.
 * @throws RequestError `invalid_request` (`missing request body` for blank text, else the parser's words) or
 *   `body_too_large`.
 */
export function parseFirstJson(text: string, scan: JsonScan): unknown {
  const bytes = new TextEncoder().encode(text);
  scan.next();
  return parseValue(new TextDecoder().decode(bytes.subarray(0, scan.feed(bytes))));
}

function parseValue(text: string, blank?: unknown): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (text.trim() !== "") {
      throw invalidRequest(`invalid JSON: ${errorMessage(error)}`);
    }
    if (blank !== undefined) return blank;
    throw invalidRequest("missing request body");
  }
}

async function* atMost(
  bytesMax: number,
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  record?: BodyRules["record"],
): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const part of parts) {
    length += part.length;
    if (length > bytesMax) throw tooLarge("request body", bytesMax);
    record?.(part);
    yield part;
  }
}

async function* inflateZstd(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  // Loaded on first use: few clients compress, and start-up must stay short.
  const { createZstdDecompress } = await import("node:zlib");
  const { Readable, pipeline } = await import("node:stream");
  const inflater = createZstdDecompress();
  // What fails in the parts or in the inflater comes out below, where its output is read.
  pipeline(Readable.from(parts), inflater, () => {});
  try {
    yield* atMost(INFLATED_BYTES_MAX, inflater as AsyncIterable<Buffer>);
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw invalidRequest(`invalid zstd body: ${errorMessage(error)}`);
  } finally {
    inflater.destroy();
  }
}
