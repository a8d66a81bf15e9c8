/**
 * Drives this node's part in the Raft group: proposals, reads, snapshots and the log's disk, in the order the core asks for. It never
 * decides what the catalogue means. Start reading in `driver.ts`.
 *
 * @module
 */
export {
  type CatalogueGroup,
  CHANGE_TIMEOUT_MS,
  READ_TIMEOUT_MS,
  refusedChange,
  rewordNoQuorum,
  STALE_AFTER_MS,
} from "./catalogue_group.ts";
export { DiskRoom } from "./disk_room.ts";
export type { AppliedNews, Fence, Group, GroupParts } from "./group.ts";
export { openGroup } from "./open_group.ts";
export { RequestsGroup } from "./requests_group.ts";
export type { Reading } from "./quorum_watch.ts";
export { GROUP_TIMING } from "./timing.ts";
