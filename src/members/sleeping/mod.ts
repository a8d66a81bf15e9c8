/**
 * Machines that sleep on purpose, and those that wake them. What may be is decided in `core/sleeping`. Start reading in
 * `sleep_driver.ts`.
 *
 * @module
 */
export { SleepDriver, type SleepDriverParts, type SleepingMember } from "./sleep_driver.ts";
export { WAKE_PURPOSE, WakeDriver, type WakeDriverParts } from "./wake_driver.ts";
export { YieldWatch } from "./yield_watch.ts";
