import type { Decoded } from "../bytes.ts";
import { recordField, type ValueOf } from "../field_codec.ts";
import { countField, decodeVersioned, encodeVersioned } from "./versioned_value.ts";

/** Key of {@link NodeDisk} among a member's gossip values. */
export const NODE_DISK_KEY = "disk";

const NODE_DISK = recordField({
  /** Free where the node keeps blobs. */
  freeBytes: countField(),
});

/** What room a node has for models. Apart from the load, because it hardly ever changes. */
export type NodeDisk = Readonly<ValueOf<typeof NODE_DISK>>;

/** Numbers are cut to whole ones in range: the result always decodes. */
export function encodeNodeDisk(disk: NodeDisk): Uint8Array<ArrayBuffer> {
  return encodeVersioned(NODE_DISK, disk);
}

/** Never throws, on any bytes. */
export function decodeNodeDisk(bytes: Uint8Array): Decoded<NodeDisk> {
  return decodeVersioned(NODE_DISK, bytes);
}
