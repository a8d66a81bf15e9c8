import { errorMessage, invalidRequest, type NodeId } from "../../base/mod.ts";
import { readPlain } from "./state_text.ts";

/** Of the file: gzipped lines of JSON. For each node a head, then for each stretch a head and its steps. */
export const FORMAT = 1;
/** Of a file, unpacked. */
const FILE_CHARS_MAX = 512 * 1024 * 1024;
/** Each node's part stands behind its length. */
export const HEAD_BYTES = 4;

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

/** Of a stretch, on its own line. */
interface StretchHead extends Pick<RecordedStretch, "part" | "id" | "state"> {
  readonly options: string;
}

/**
 * What was saved of all nodes.
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

function otherFormat(format: unknown): Error {
  return invalidRequest(
    `A recording has format ${FORMAT} to be read here: this one has ${String(format)}`,
  );
}
