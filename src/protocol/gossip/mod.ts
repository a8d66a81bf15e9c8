/**
 * What a node tells of itself by gossip: its load, loaded models, disk and inventory. It never says who is alive. Start reading in
 * `versioned_value.ts`.
 *
 * @module
 */
export {
  decodeNodeDisk,
  decodeNodeFacts,
  decodeNodeFence,
  decodeNodeLoad,
  encodeNodeDisk,
  encodeNodeFacts,
  encodeNodeFence,
  encodeNodeLoad,
  NODE_DISK_KEY,
  NODE_FACTS_KEY,
  NODE_FENCE_KEY,
  NODE_LOAD_KEY,
  type NodeDisk,
  type NodeFacts,
  type NodeFence,
  type NodeLoad,
} from "./node_value.ts";
export { decodeNodeHttp, encodeNodeHttp, NODE_HTTP_KEY, type NodeHttp } from "./http_value.ts";
export { decodeNodeYield, encodeNodeYield, NODE_YIELD_KEY, type NodeYield } from "./yield_value.ts";
export {
  decodeExactCopies,
  encodeExactCopies,
  EXACT_COPIES_KEY,
  type ExactCopy,
  NUMERIC_CLASS_CHARS,
} from "./exact_value.ts";
export {
  COMPUTED_PREFIXES_KEY,
  type ComputedPrefixes,
  decodeComputedPrefixes,
  encodeComputedPrefixes,
  PREFIX_MARKS_MAX,
} from "./prefixes_value.ts";
export {
  decodeInventory,
  encodeInventory,
  type Inventory,
  INVENTORY_KEYS,
  type ManifestPrefix,
  manifestPrefixOf,
} from "./inventory_value.ts";
export {
  decodeLoadedCopies,
  encodeLoadedCopies,
  LOADED_COPIES_KEY,
  type LoadedCopies,
  type LoadedCopy,
} from "./loaded_value.ts";
export {
  decodeKeyUses,
  encodeKeyUses,
  KEY_USES_KEY,
  KEY_USES_MAX,
  type KeyUse,
  type KeyUses,
} from "./key_uses_value.ts";
export { decodeNodeSplit, encodeNodeSplit, NODE_SPLIT_KEY, type NodeSplit } from "./split_value.ts";
export {
  decodeNodeDevices,
  type DeviceFacts,
  encodeNodeDevices,
  NODE_DEVICES_KEY,
  type NodeDevices,
} from "./devices_value.ts";
export {
  decodeModelSpeeds,
  encodeModelSpeeds,
  MODEL_SPEEDS_KEY,
  MODEL_SPEEDS_MAX,
  type ModelSpeed,
} from "./speeds_value.ts";
