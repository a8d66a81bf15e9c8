/**
 * What a node is put together from: identity, log, transport, group, gossip and how each hears of the others. It decides nothing. Start
 * reading in `machinery.ts`.
 *
 * @module
 */
export { Cluster } from "./cluster.ts";
export { type Machinery, type MachineryOptions, openMachinery } from "./machinery.ts";
export type { NodePorts, StoredModels } from "./ports.ts";
