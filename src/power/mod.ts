/**
 * Puts this machine to sleep, wakes others of its network, and tells who else uses it: what a running system says and does. It
 * decides nothing. Start reading in `open_power.ts`.
 *
 * @module
 */
export { openPower } from "./open_power.ts";
