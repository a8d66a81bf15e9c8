/**
 * The page's second script, `main.ts`, steps the program's own core through a saved incident, beside the page. This is what it
 * says.
 *
 * @module
 */
export type { IncidentRow, ReplayerMessage, ReplayWish } from "./messages.ts";
