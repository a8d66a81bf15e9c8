import type { Buffer } from "node:buffer";
import { errorMessage, joinBytes, RequestError } from "../../base/mod.ts";

/** Bytes of a zstd body after inflation at most (contract 1.0): a bomb must not fill the memory. */
const INFLATED_BYTES_MAX = 20 * 1024 * 1024;

/** How a JSON body is read. */
export interface BodyRules {
  /** Bytes on the wire at most; more is refused with 413. */
  readonly bodyBytesMax: number;
  /** Whether `Content-Encoding: zstd` is honoured (the `/v1` endpoints only). */
  readonly zstd: boolean;
  /** What a blank body stands for; without it one is refused. */
  readonly blank?: unknown;
}

/**
 * Reads the first JSON value of a body, whatever its Content-Type says; what follows it is ignored.
 *
 * @throws RequestError `invalid_request` (empty or malformed) or `body_too_large`.
 */
export async function readJsonBody(request: Request, rules: BodyRules): Promise<unknown> {
  const bytes = await readBytes(request, rules.bodyBytesMax);
  const inflate = rules.zstd && request.headers.get("content-encoding") === "zstd";
  const text = new TextDecoder().decode(inflate ? await inflateZstd(bytes) : bytes);
  if (rules.blank !== undefined && text.trim() === "") return rules.blank;
  return parseFirstJson(text);
}

/**
 * The first JSON value of a text.
 *
 * @throws RequestError `invalid_request`: `missing request body` for blank text, else the parser's words.
 */
export function parseFirstJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (text.trim() === "") throw new RequestError("invalid_request", "missing request body");
    const end = firstValueEnd(text);
    if (end === undefined || end === text.length) throw malformed(error);
    try {
      return JSON.parse(text.slice(0, end));
    } catch (inner) {
      throw malformed(inner);
    }
  }
}

function malformed(error: unknown): RequestError {
  return new RequestError("invalid_request", `invalid JSON: ${errorMessage(error)}`);
}

/** Index after the bracket that closes the first object or list, or undefined when it stays open. */
function firstValueEnd(text: string): number | undefined {
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const char = text[index];
    if (quoted) {
      if (char === "\\") index++;
      else if (char === '"') quoted = false;
    } else if (char === '"') {
      quoted = true;
    } else if (char === "{" || char === "[") {
      depth++;
    } else if (char === "}" || char === "]") {
      depth--;
      if (depth <= 0) return index + 1;
    }
  }
  return undefined;
}

async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > bytesMax) throw tooLarge(bytesMax);
  // The server enforces a declared length, so only a body without one must be counted while it comes in.
  if (declared !== null || request.body === null) return await request.bytes();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body) {
    length += part.byteLength;
    if (length > bytesMax) throw tooLarge(bytesMax);
    parts.push(part);
  }
  return joinBytes(parts);
}

async function inflateZstd(bytes: Uint8Array): Promise<Uint8Array> {
  // Loaded on first use: few clients compress, and start-up must stay short.
  const { createZstdDecompress } = await import("node:zlib");
  const inflater = createZstdDecompress();
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    inflater.end(bytes);
    for await (const part of inflater as AsyncIterable<Buffer>) {
      length += part.byteLength;
      if (length > INFLATED_BYTES_MAX) throw tooLarge(INFLATED_BYTES_MAX);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw new RequestError("invalid_request", `invalid zstd body: ${errorMessage(error)}`);
  } finally {
    inflater.destroy();
  }
  return joinBytes(parts);
}

function tooLarge(bytesMax: number): RequestError {
  return new RequestError(
    "body_too_large",
    `request body too large: at most ${bytesMax} bytes are accepted`,
  );
}
