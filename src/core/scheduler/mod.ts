/**
 * Decides which model is loaded, which is evicted, who gets a slot and who waits, and which node of a cluster it goes to. Never touches a process or a clock: facts in, orders out. Start with
 * `events.ts`, then `scheduler.ts`; `routing.ts` stands alone, and so does `shard_plan.ts`, which divides a model's layers among nodes.
 *
 * @module
 */
export type {
  Asking,
  InstanceId,
  InstanceView,
  ModelNeed,
  Observation,
  QueuePlace,
  Refusal,
  SchedulerEffect,
  SchedulerEvent,
  SchedulerView,
  UnloadReason,
} from "./events.ts";
export type { TenantView } from "../queue/mod.ts";
export type { DevicePlan, DeviceRoom, DeviceWish } from "./device_plan.ts";
export { estimateMemoryBytes, kvTokenBytes, type MemoryShape } from "./memory.ts";
export {
  type CandidateLoad,
  chooseRoute,
  type ExcludedRoute,
  type RouteCandidate,
  type RouteDecision,
  type RouteOptions,
  type RouteRank,
  type RouteRequest,
  type ScoredRoute,
} from "./routing.ts";
export { linkBytesPerToken } from "./link_bytes.ts";
export {
  planShards,
  type Shard,
  SHARD_LAYERS_MAX,
  type ShardCluster,
  type ShardedPlan,
  type ShardPlan,
  type ShardRefusal,
} from "./shard_plan.ts";
export {
  type NodeMemory,
  outputActiveBytes,
  type ShardModel,
  type ShardNode,
} from "./shard_places.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler.ts";
