/**
 * Small pure pieces everyone needs. Imports nothing, reads no clock, draws no randomness of its own. Start with
 * `errors.ts` (the five families) and `ids.ts`.
 *
 * @module
 */
export { assert, assertNever } from "./assert.ts";
export { formatGoDuration, parseGoDuration } from "./durations.ts";
export { ERROR_CODES, type ErrorCode } from "./error_codes.ts";
export {
  bugReport,
  type EdgeError,
  errorMessage,
  invalidRequest,
  InvariantError,
  isEdgeError,
  isErrorCommand,
  PeerError,
  RequestError,
  StorageError,
  UnavailableError,
} from "./errors.ts";
export {
  displayWidth,
  formatBinaryBytes,
  formatBytes,
  formatCount,
  formatRelativeTime,
  formatTable,
} from "./format.ts";
export {
  type Branded,
  type Digest,
  type Incarnation,
  isHashHex,
  isTraceparent,
  type NodeId,
  parseDigest,
  parseTraceparent,
  type RequestIds,
  requestIdsOf,
  TRACEPARENT_CHARS,
} from "./ids.ts";
export { LineLimiter } from "./line_limiter.ts";
export { findNearest } from "./nearest.ts";
export { mixSeed, Random } from "./random.ts";
export { equalBytes, hexOf, joinBytes } from "./byte_arrays.ts";
export { sha256, sha256Hex } from "./sha256.ts";
export { printable, printableJson, printableText } from "./printable.ts";
export { BoundedMap } from "./bounded_map.ts";
export { Heartbeat, pause, SilenceWatch } from "./waiting/mod.ts";
export { keepMap, type StateKeeper } from "./state/mod.ts";
export { StrictUtf8 } from "./strict_utf8.ts";
