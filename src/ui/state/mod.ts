/**
 * What every view looks at: how the cluster is, who is asked, and with what key. Start with `feed.ts`.
 *
 * @module
 */
export {
  ApiError,
  ask,
  askJson,
  askLines,
  change,
  findNode,
  jsonLines,
  UnreachableError,
} from "./api.ts";
export { type ClusterEvent, events, keepEvents } from "./events.ts";
export { connection, follow, members, requests, runningHistory, status } from "./feed.ts";
export { followModels, lookAtModels, models } from "./models.ts";
export { apiKey, keyWanted, origin, setKey } from "./session.ts";
export type {
  LoadedCopy,
  Member,
  Model,
  Placement,
  RequestRow,
  Route,
  Score,
  Status,
  Transfer,
} from "./shapes.ts";
