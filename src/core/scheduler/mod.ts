/**
 * Decides which model is loaded, which is evicted, who gets a slot and who waits, and whether a request whose runner
 * died goes on. Never touches a process or a clock: facts in, orders out. Start with `events.ts`, then `scheduler.ts`.
 *
 * @module
 */
export type {
  InstanceId,
  InstanceView,
  ModelNeed,
  Observation,
  Refusal,
  SchedulerEffect,
  SchedulerEvent,
  SchedulerView,
  UnloadReason,
} from "./events.ts";
export { estimateMemoryBytes, type MemoryShape } from "./memory.ts";
export { decideResume, type LostRunner } from "./resume.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler.ts";
