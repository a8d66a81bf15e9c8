import { recordField, type ValueOf } from "../field_codec.ts";
import type { Decoded } from "../bytes.ts";
import { decodeVersioned, encodeVersioned, shownField } from "./versioned_value.ts";

/** Key of {@link NodeYield} among a member's gossip values. */
export const NODE_YIELD_KEY = "yield";

const NODE_YIELD = recordField({
  /** To whom the node leaves its machine, in one word; "" = to nobody. */
  to: shownField(32),
});

/** Whether a node takes nothing new because others use its machine. */
export type NodeYield = Readonly<ValueOf<typeof NODE_YIELD>>;

export function encodeNodeYield(told: NodeYield): Uint8Array<ArrayBuffer> {
  return encodeVersioned(NODE_YIELD, told);
}

/** Never throws, on any bytes. */
export function decodeNodeYield(bytes: Uint8Array): Decoded<NodeYield> {
  return decodeVersioned(NODE_YIELD, bytes);
}
