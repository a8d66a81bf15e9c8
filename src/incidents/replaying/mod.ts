/**
 * Reads a saved incident and steps this program's core through it. It knows no node, file or clock, so that the page does it as
 * well as the command line. Start with `replay.ts`; `core_parts.ts` says which parts there are.
 *
 * @module
 */
export { makePart, stepPart } from "./core_parts.ts";
export { decisionsOf, isTelling } from "./decisions.ts";
export {
  FORMAT,
  HEAD_BYTES,
  readIncident,
  type RecordingNode,
  type SilentNode,
} from "./read_incident.ts";
export { type ReplayedStep, replayIncident } from "./replay.ts";
export { writePlain, writeState } from "./state_text.ts";
export { differenceLines, type Moment, momentOf, timelineText } from "./timeline.ts";
