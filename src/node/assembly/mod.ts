/**
 * The parts of a node put together: identity, log, transport, group, members, models. It decides nothing. Start reading in
 * `machinery.ts`.
 *
 * @module
 */
export { Cluster } from "./cluster.ts";
export { type Machinery, openMachinery } from "./machinery.ts";
export { openDriver, openModels } from "./node_parts.ts";
export { ownFigures } from "./own_load.ts";
export { SpeedMeter } from "./speed_meter.ts";
