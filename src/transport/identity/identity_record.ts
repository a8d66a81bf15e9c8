import type { NodeId } from "../../base/mod.ts";
import {
  choiceShape,
  type Decoded,
  integerShape,
  nullableShape,
  objectShape,
  readShape,
  textOfShape,
  textShape,
} from "../../protocol/mod.ts";

/** What a node keeps of itself in `identity.json`; the last file written of any change, and so what decides after a crash. */
export interface IdentityRecord {
  /** Null while the node is being made anew: what lies beside the record is then of no worth. */
  readonly nodeId: NodeId | null;
  /** How the node became a member; null before. */
  readonly cluster: { readonly clusterId: string; readonly origin: ClusterOrigin } | null;
  readonly name: string;
  /** Raised at each start; never falls. */
  readonly bootEpoch: number;
  readonly incarnation: number;
}

/** Whether a node began its cluster or was let into one. */
export type ClusterOrigin = "founded" | "joined";

const FORMAT = 1;
const ID_PATTERN = /^[0-9a-f]{16}$/;
const NAME_CHARACTERS_MAX = 256;

const recordShape = objectShape({
  format: integerShape(FORMAT, FORMAT),
  nodeId: nullableShape(textOfShape<NodeId>(16, (text) => ID_PATTERN.test(text))),
  cluster: nullableShape(objectShape({
    clusterId: textOfShape(16, (text) => ID_PATTERN.test(text)),
    origin: choiceShape(["founded", "joined"]),
  })),
  name: textShape(NAME_CHARACTERS_MAX),
  bootEpoch: integerShape(0),
  incarnation: integerShape(0),
});

/** For people too: one field a line. */
export function encodeIdentityRecord(record: IdentityRecord): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify({ format: FORMAT, ...record }, undefined, 2);
  return new TextEncoder().encode(`${text}\n`);
}

/** Reads the file; never throws. */
export function decodeIdentityRecord(bytes: Uint8Array): Decoded<IdentityRecord> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return { kind: "malformed", reason: "it is no JSON" }; // The parser's only way to say so.
  }
  return readShape(recordShape, value);
}
