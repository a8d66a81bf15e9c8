import { recordField, type ValueOf } from "../field_codec.ts";
import type { Decoded } from "../bytes.ts";
import { decodeVersioned, encodeVersioned, shownField } from "./versioned_value.ts";

/** Key of {@link NodeFence} among a member's gossip values. */
export const NODE_FENCE_KEY = "fence";

const NODE_FENCE = recordField({
  /** Why the node takes no part in the log's group, in one word; "" = it does. */
  kind: shownField(32),
});

/** Whether a node, though alive, neither votes nor follows. */
export type NodeFence = Readonly<ValueOf<typeof NODE_FENCE>>;

export function encodeNodeFence(fence: NodeFence): Uint8Array<ArrayBuffer> {
  return encodeVersioned(NODE_FENCE, fence);
}

/** Never throws, on any bytes. */
export function decodeNodeFence(bytes: Uint8Array): Decoded<NodeFence> {
  return decodeVersioned(NODE_FENCE, bytes);
}
