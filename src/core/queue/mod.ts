/**
 * Who waits, who is next, and for how long: a queue that is fair by the slot time that each key got. Start with `fair_queue.ts`.
 *
 * @module
 */
export { FairQueue, type Priority, type TenantView, type Waiter } from "./fair_queue.ts";
export {
  KEY_LIMIT_RANGES,
  type KeyLimits,
  KeyMeter,
  type KeyStanding,
  limitsKey,
  type LimitState,
  NO_LIMITS,
  readKeyLimits,
  writeKeyLimits,
} from "./key_limits.ts";
export { remainingMs, SlotTimes, type WorkSize } from "./slot_times.ts";
export { waitMs } from "./waits.ts";
