import type { Decoded } from "../bytes.ts";
import { recordField, type ValueOf } from "../field_codec.ts";
import { countField, decodeVersioned, encodeVersioned, shownField } from "./versioned_value.ts";

/** Key of {@link NodeHttp} among a member's gossip values. */
export const NODE_HTTP_KEY = "http";

const NODE_HTTP = recordField({
  /** What the HTTP API is bound to, an address or a name. */
  hostname: shownField(128),
  port: countField(65_535),
});

/** Where a node serves HTTP, as it is bound: whether others reach it there is theirs to judge. */
export type NodeHttp = Readonly<ValueOf<typeof NODE_HTTP>>;

export function encodeNodeHttp(told: NodeHttp): Uint8Array<ArrayBuffer> {
  return encodeVersioned(NODE_HTTP, told);
}

/** Never throws, on any bytes. */
export function decodeNodeHttp(bytes: Uint8Array): Decoded<NodeHttp> {
  return decodeVersioned(NODE_HTTP, bytes);
}
