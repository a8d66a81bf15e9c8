/**
 * Parts of blobs that are not here as a whole, a file each: a cache with a bound. Start reading in `range_store.ts`.
 *
 * @module
 */
export { openRangeStore } from "./range_store.ts";
