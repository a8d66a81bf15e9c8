import { errorMessage, invalidRequest, type NodeId, pause } from "../base/mod.ts";
import type { Clock, IncidentWish } from "../ports/mod.ts";
import { decisionsOf } from "./decisions.ts";
import { withoutTexts } from "./masking.ts";
import type { Stretch } from "./recorder.ts";
import { readPlain, writePlain } from "./state_text.ts";

/** Of the file: gzipped lines of JSON. For each node a head, then for each stretch a head and its steps. */
const FORMAT = 1;
/** Steps that are written before others get a turn of the event loop: some 10 ms. */
const STEPS_PER_TURN = 128;
/** Of a file, unpacked. */
const FILE_CHARS_MAX = 512 * 1024 * 1024;

/** Who recorded. */
export interface RecordingNode {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly version: string;
}

/** A step as a file has it. */
export interface RecordedStep {
  readonly atMs: number;
  /** As devalue writes it. */
  readonly input: string;
  readonly decided: readonly string[];
}

/** A stretch as a file has it. */
export interface RecordedStretch {
  readonly node: RecordingNode;
  readonly part: string;
  readonly id: string;
  readonly options: unknown;
  readonly state: string | undefined;
  readonly steps: readonly RecordedStep[];
}

/** A file, read. */
export interface RecordedIncident {
  readonly stretches: readonly RecordedStretch[];
  /** Who recorded. */
  readonly nodes: readonly RecordingNode[];
  /** Members that were alive and told nothing. */
  readonly silent: readonly SilentNode[];
}

/** One whose part is missing. */
export interface SilentNode {
  readonly nodeId: NodeId;
  readonly reason: string;
}

/** What writing takes. */
export interface WritingParts {
  readonly node: RecordingNode;
  readonly clock: Pick<Clock, "after">;
}

/** Of a stretch, on its own line. */
interface StretchHead extends Pick<RecordedStretch, "part" | "id" | "state"> {
  readonly options: string;
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

/**
 * What {@link writeIncident} wrote, of all nodes.
 *
 * @throws RequestError `invalid_request` when it is no such file, or one of another format.
 */
export async function readIncident(bytes: Uint8Array): Promise<RecordedIncident> {
  const stretches: (RecordedStretch & { readonly steps: RecordedStep[] })[] = [];
  const nodes: RecordingNode[] = [];
  const silent: SilentNode[] = [];
  for await (const line of unpackedLines(bytes)) {
    const value = parsed(line);
    if (Array.isArray(value)) {
      const [atMs, input, decided] = value as [number, string, readonly string[]];
      stretches.at(-1)?.steps.push({ atMs, input, decided });
    } else if ("format" in value) {
      if (value.format !== FORMAT) throw otherFormat(value.format);
      const head = value as unknown as { node?: RecordingNode; silent?: SilentNode };
      if (head.node !== undefined) nodes.push(head.node);
      if (head.silent !== undefined) silent.push(head.silent);
    } else {
      const node = nodes.at(-1);
      if (node === undefined) throw invalidRequest("This is no recording of an incident");
      const { part, id, options, state } = value as unknown as StretchHead;
      stretches.push({ node, part, id, options: readPlain(part, options), state, steps: [] });
    }
  }
  if (nodes.length === 0) throw invalidRequest("This is no recording of an incident");
  return { stretches, nodes, silent };
}

function parsed(line: string): Readonly<Record<string, unknown>> | readonly unknown[] {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch { /* Said below. */ }
  throw invalidRequest("This is no recording of an incident: a line of it is not JSON");
}

/** Members of a gzip file follow each other; the runtime reads one. */
async function* unpackedLines(bytes: Uint8Array): AsyncGenerator<string> {
  let chars = 0;
  for (const member of membersOf(bytes)) {
    let rest = "";
    try {
      const unpacked = new Blob([new Uint8Array(member)]).stream()
        .pipeThrough(new DecompressionStream("gzip")).pipeThrough(new TextDecoderStream());
      for await (const chunk of unpacked) {
        chars += chunk.length;
        checkSize(chars);
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        yield* lines;
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw invalidRequest(`This is no recording of an incident: ${errorMessage(error)}`);
    }
  }
}

function checkSize(chars: number): void {
  if (chars <= FILE_CHARS_MAX) return;
  throw invalidRequest(`A recording has ${FILE_CHARS_MAX} characters at most`);
}

const HEAD_BYTES = 4;

/** The nodes' parts, each behind its length. */
function* membersOf(bytes: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length;) {
    const length = bytes.length - at < HEAD_BYTES ? Infinity : view.getUint32(at);
    const end = at + HEAD_BYTES + length;
    if (end > bytes.length) {
      throw invalidRequest("This is no recording of an incident, or not all of it");
    }
    yield bytes.subarray(at + HEAD_BYTES, end);
    at = end;
  }
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

function otherFormat(format: unknown): Error {
  return invalidRequest(
    `A recording has format ${FORMAT} to be read here: this one has ${String(format)}`,
  );
}
