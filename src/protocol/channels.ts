/** Purposes that have one persistent, ordered stream of frames to each peer. */
export type FrameChannel = "raft" | "membership";

/** Bytes of one frame on a channel: the largest append with its envelope. */
export const CHANNEL_FRAME_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of one frame on a stream of its own. */
export const STREAM_FRAME_BYTES_MAX = 16 * 1024 * 1024;
