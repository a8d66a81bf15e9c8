/**
 * What runners do that compute one model together: one leads, the others are workers of its. Start reading in `sharding.ts`.
 *
 * @module
 */
export {
  connectWorkers,
  serveWorker,
  setShards,
  type ShardDevices,
  withOwnDevice,
} from "./sharding.ts";
