import { type NodeId, pause } from "../base/mod.ts";
import type { Clock, IncidentWish } from "../ports/mod.ts";
import { withoutTexts } from "./masking.ts";
import type { Stretch } from "./recorder.ts";
import {
  decisionsOf,
  FORMAT,
  HEAD_BYTES,
  type RecordingNode,
  type SilentNode,
  writePlain,
} from "./replaying/mod.ts";

/** Steps that are written before others get a turn of the event loop: some 10 ms. */
const STEPS_PER_TURN = 128;

/** What writing takes. */
export interface WritingParts {
  readonly node: RecordingNode;
  readonly clock: Pick<Clock, "after">;
}

/** One node's part of a file, gzipped. */
export function writeIncident(
  parts: WritingParts,
  stretches: readonly Stretch[],
  wish: Pick<IncidentWish, "withTexts">,
): Promise<Uint8Array> {
  return gzip(linesOf(parts, stretches, wish));
}

/** In the place of the part of a node that told nothing. */
export function writeSilence(nodeId: NodeId, reason: string): Promise<Uint8Array> {
  const silent: SilentNode = { nodeId, reason };
  return gzip(ReadableStream.from([`${JSON.stringify({ format: FORMAT, silent })}\n`]));
}

async function* linesOf(
  { node, clock }: WritingParts,
  stretches: readonly Stretch[],
  { withTexts }: Pick<IncidentWish, "withTexts">,
): AsyncGenerator<string> {
  yield `${JSON.stringify({ format: FORMAT, withTexts, node })}\n`;
  for (const recorded of stretches) {
    await pause(clock, 0);
    const { part, id, options, state, steps } = withTexts ? recorded : withoutTexts(recorded);
    if (steps.length === 0) continue;
    yield `${JSON.stringify({ part, id, options: writePlain(part, options), state })}\n`;
    for (let from = 0; from < steps.length; from += STEPS_PER_TURN) {
      if (from > 0) await pause(clock, 0);
      const turn = steps.slice(from, from + STEPS_PER_TURN);
      yield turn.map(({ atMs, input, orders }) =>
        JSON.stringify([atMs, writePlain(part, input), decisionsOf(part, orders)]) + "\n"
      ).join("");
    }
  }
}

async function gzip(lines: AsyncIterable<string>): Promise<Uint8Array> {
  const packed = ReadableStream.from(lines).pipeThrough(new TextEncoderStream())
    .pipeThrough(new CompressionStream("gzip"));
  return await new Response(packed).bytes();
}

/** A file of what nodes recorded. */
export function joinIncidents(nodes: readonly Uint8Array[]): Uint8Array {
  const file = new Uint8Array(nodes.reduce((sum, { length }) => sum + HEAD_BYTES + length, 0));
  const view = new DataView(file.buffer);
  let at = 0;
  for (const bytes of nodes) {
    view.setUint32(at, bytes.length);
    file.set(bytes, at + HEAD_BYTES);
    at += HEAD_BYTES + bytes.length;
  }
  return file;
}
