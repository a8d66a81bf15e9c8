/**
 * Waits on a clock that the caller gives: a pause, and how both ends of a channel know that the other one lives. It has no
 * time of its own. Start reading in `liveness.ts`.
 *
 * @module
 */
export { Heartbeat, SilenceWatch } from "./liveness.ts";
export { pause } from "./pause.ts";
