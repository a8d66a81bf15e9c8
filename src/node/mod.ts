/**
 * One running node: the only place where core and shell meet. Turns effects of the core into I/O and what happens into
 * its events; decides nothing itself. Start with `node.ts` (how it begins and ends), then `open_node.ts` (what is
 * wired) and `system_ports.ts` (over what).
 *
 * @module
 */
export { type Restored, restoreSnapshot } from "./foundation.ts";
export { type NodeOptions, type RunningNode, startNode } from "./node.ts";
