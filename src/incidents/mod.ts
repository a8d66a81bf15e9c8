/**
 * What the core was told and what it decided, recorded on each node, collected into one file, and stepped through again. It
 * never decides anything itself. Start with `recorder.ts`, then `replaying/`.
 *
 * @module
 */
export { openIncidents } from "./collecting.ts";
export { IncidentRecorder } from "./recorder.ts";
export {
  differenceLines,
  isTelling,
  momentOf,
  readIncident,
  type ReplayedStep,
  replayIncident,
  type SilentNode,
  timelineText,
} from "./replaying/mod.ts";
