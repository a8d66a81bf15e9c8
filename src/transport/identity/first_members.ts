import type { NodeId } from "../../base/mod.ts";
import {
  arrayShape,
  type Decoded,
  JOIN_MEMBERS_MAX,
  nodeIdOf,
  objectShape,
  readShape,
  textShape,
} from "../../protocol/mod.ts";

/** A member as the one that let this node in named it. */
export interface FirstMember {
  readonly nodeId: NodeId;
  /** SPKI. */
  readonly publicKey: Uint8Array;
}

const KEY_CHARACTERS_MAX = 2_048;
const listShape = arrayShape(
  objectShape({ publicKey: textShape(KEY_CHARACTERS_MAX) }),
  JOIN_MEMBERS_MAX,
);

/** For a file: ids follow from the keys. */
export function encodeFirstMembers(members: readonly FirstMember[]): Uint8Array<ArrayBuffer> {
  const rows = members.map(({ publicKey }) => ({ publicKey: publicKey.toBase64() }));
  return new TextEncoder().encode(`${JSON.stringify(rows, undefined, 2)}\n`);
}

/** Reads the file; never throws. */
export function decodeFirstMembers(bytes: Uint8Array): Decoded<readonly FirstMember[]> {
  try {
    const read = readShape(listShape, JSON.parse(new TextDecoder().decode(bytes)));
    if (read.kind === "malformed") return read;
    const value = read.value.map((row) => {
      const publicKey = Uint8Array.fromBase64(row.publicKey);
      return { nodeId: nodeIdOf(publicKey), publicKey };
    });
    return { kind: "decoded", value };
  } catch {
    return { kind: "malformed", reason: "it is no JSON with keys in base64" }; // The parsers' one way to say so.
  }
}
