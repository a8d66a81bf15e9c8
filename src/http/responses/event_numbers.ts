import { joinBytes } from "../../base/mod.ts";

/** What ends an event, and where its number stands: as {@link ResponseAnswer} writes them. */
const [LINE_END, LINES_PER_EVENT] = [10, 3];
const NUMBER = /^event: [^\n]*\ndata: \{"type":"[^"]*","sequence_number":(\d+)/;
/** Characters of an event that its number lies within. */
const HEAD_BYTES = 256;

/** Of a stream of events in pieces cut anywhere, those behind number `after`. */
export async function* eventsBehind(
  pieces: AsyncIterable<Uint8Array>,
  after: number,
): AsyncGenerator<Uint8Array> {
  let isBehind = after < 0;
  let held: Uint8Array[] = [];
  for await (const piece of pieces) {
    if (isBehind) {
      yield piece;
      continue;
    }
    held.push(piece);
    if (!piece.includes(LINE_END)) continue;
    const bytes = joinBytes(held);
    const from = startBehind(bytes, after);
    held = [bytes.subarray(from.at)];
    if (!from.isFound) continue;
    isBehind = true;
    yield bytes.subarray(from.at);
  }
}

/** Where the first event behind `after` begins, or else what is not whole yet. */
function startBehind(
  bytes: Uint8Array,
  after: number,
): { readonly at: number; readonly isFound: boolean } {
  for (let at = 0;;) {
    const end = endOfEvent(bytes, at);
    if (end < 0) return { at, isFound: false };
    const head = new TextDecoder().decode(bytes.subarray(at, Math.min(end, at + HEAD_BYTES)));
    const number = Number(NUMBER.exec(head)?.[1]);
    if (number > after) return { at, isFound: true };
    at = end;
  }
}

/** An event is two lines and an empty one; -1 = it is not whole. */
function endOfEvent(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let line = 0; line < LINES_PER_EVENT; line++) {
    const end = bytes.indexOf(LINE_END, at);
    if (end < 0) return -1;
    at = end + 1;
  }
  return at;
}

const FIRST_EVENT = /^event: [^\n]*\ndata: (\{[^\n]*\})\n/;

/** The response in the first of a stream's events, in pieces cut anywhere; undefined = it has none. */
export async function firstResponse(
  pieces: AsyncIterable<Uint8Array>,
): Promise<Record<string, unknown> | undefined> {
  const held: Uint8Array[] = [];
  for await (const piece of pieces) {
    held.push(piece);
    if (!piece.includes(LINE_END)) continue;
    const [, json] = FIRST_EVENT.exec(new TextDecoder().decode(joinBytes(held))) ?? [];
    if (json === undefined) continue;
    const { response } = JSON.parse(json);
    return typeof response === "object" && response !== null ? response : undefined;
  }
  return undefined;
}
