/**
 * What the core was told and what it decided, recorded on each node, collected into one file, and stepped through again. It
 * never decides anything itself. Start with `recorder.ts`, then `replay.ts`; `core_parts.ts` says which parts there are.
 *
 * @module
 */
export { openIncidents } from "./collecting.ts";
export { isTelling } from "./decisions.ts";
export { readIncident, type SilentNode } from "./incident_file.ts";
export { IncidentRecorder } from "./recorder.ts";
export { type ReplayedStep, replayIncident } from "./replay.ts";
