/**
 * What a node tells of itself by gossip: its load, loaded models, disk and inventory. It never says who is alive. Start reading in
 * `versioned_value.ts`.
 *
 * @module
 */
export { decodeNodeDisk, encodeNodeDisk, NODE_DISK_KEY, type NodeDisk } from "./disk_value.ts";
export { decodeNodeFence, encodeNodeFence, NODE_FENCE_KEY, type NodeFence } from "./fence_value.ts";
export {
  decodeInventory,
  encodeInventory,
  type Inventory,
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
  decodeNodeFacts,
  decodeNodeLoad,
  encodeNodeFacts,
  encodeNodeLoad,
  NODE_FACTS_KEY,
  NODE_LOAD_KEY,
  type NodeFacts,
  type NodeLoad,
} from "./node_value.ts";
