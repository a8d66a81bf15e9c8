/**
 * Machines that sleep on purpose, and those that wake them. What may be is decided in `core/sleeping`. Start reading in
 * `open_sleeping.ts`.
 *
 * @module
 */
export { openSleeping, openWaking, type Sleeping } from "./open_sleeping.ts";
export type { WakeDriver } from "./wake_driver.ts";
