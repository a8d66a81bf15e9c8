/**
 * Gets a blob in parallel pieces and goes on where it stopped. It never knows where the bytes come from. Start reading in
 * `blob_download.ts`.
 *
 * @module
 */
export { Arrivals } from "./arrivals.ts";
export { RangesRefusedError } from "./blob_download.ts";
export { progressOf, SharedDownloads } from "./shared_downloads.ts";
export { partBytesOf, TRANSFER_LIMITS } from "./transfer_limits.ts";
