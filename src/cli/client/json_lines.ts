import { printable, RequestError } from "../../base/mod.ts";
import { isJsonObject, type JsonObject } from "./json.ts";

/** A line longer than this is no progress and no token. */
const LINE_CHARS_MAX = 64 * 1024 * 1024;

/**
 * The objects of a newline-delimited JSON stream, however its bytes are cut into chunks.
 *
 * @throws RequestError `request_failed` for a line that is none, or far too long.
 */
export async function* readJsonLines(
  body: ReadableStream<Uint8Array> | null,
): AsyncGenerator<JsonObject> {
  if (body === null) return;
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream() as unknown as TextTransform)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield parseLine(line);
    if (rest.length > LINE_CHARS_MAX) throw badLine(rest);
  }
  if (rest.trim() !== "") yield parseLine(rest);
}

/** TextDecoderStream as fetch's bodies see it. */
interface TextTransform {
  readonly readable: ReadableStream<string>;
  readonly writable: WritableStream<Uint8Array>;
}

function parseLine(line: string): JsonObject {
  try {
    const parsed: unknown = JSON.parse(line);
    if (isJsonObject(parsed)) return parsed;
  } catch (error) {
    throw badLine(line, error);
  }
  throw badLine(line);
}

function badLine(line: string, cause?: unknown): RequestError {
  const text = `The node sent a line that is no JSON object: ${printable(line.slice(0, 80))}`;
  return new RequestError("request_failed", text, { cause });
}
