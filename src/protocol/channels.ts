/** Purposes that have one persistent, ordered stream of frames to each peer. */
export type FrameChannel = "raft" | "membership";

/** Bytes of one frame on a channel: the largest append with its envelope. */
export const CHANNEL_FRAME_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of one frame on a stream of its own. */
export const STREAM_FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** Version of everything between members below the frames: stream headers, frame lengths, the preamble. */
const WIRE_VERSION = 1;
/** Bytes of a stream's header. */
export const STREAM_HEADER_BYTES = 2;
/** Bytes of the length before each frame. */
export const FRAME_LENGTH_BYTES = 4;
/**
 * Instead of a length: the sender has ended the stream. QUIC's own end can't say so, because the runtime ends a stream
 * that is dropped or reset in the same way.
 */
export const STREAM_END_LENGTH = 0xffff_ffff;
/** Bytes of the number a node draws when it starts, by which its peers tell its lives apart. */
export const LIFE_BYTES = 8;

/** What a stream between two members is for. */
export type StreamKind = "hello" | FrameChannel | "stream";

// The order is the wire number: only ever appended to.
const KINDS: readonly StreamKind[] = ["hello", "raft", "membership", "stream"];

/** What a listener says last before a connection is used. */
export type Verdict = "keep" | "duplicate";

/** First bytes of every stream, from whoever opens it. */
export function encodeStreamHeader(kind: StreamKind): Uint8Array<ArrayBuffer> {
  return new Uint8Array([WIRE_VERSION, KINDS.indexOf(kind)]);
}

/** Reads {@link STREAM_HEADER_BYTES} bytes. */
export function decodeStreamHeader(
  bytes: Uint8Array,
): { readonly kind: StreamKind } | { readonly fault: "unknown_version" | "unknown_kind" } {
  if (bytes[0] !== WIRE_VERSION) return { fault: "unknown_version" };
  const kind = KINDS[bytes[1] ?? KINDS.length];
  return kind === undefined ? { fault: "unknown_kind" } : { kind };
}

/** The frame behind the hello: whether the connection is used, and which life of the listener it leads to. */
export function encodeVerdict(verdict: Verdict, life: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(1 + LIFE_BYTES);
  bytes[0] = verdict === "keep" ? 0 : 1;
  bytes.set(life, 1);
  return bytes;
}

/** Reads what {@link encodeVerdict} wrote; undefined for anything else. */
export function decodeVerdict(
  bytes: Uint8Array,
): { readonly verdict: Verdict; readonly life: Uint8Array } | undefined {
  const [mark = 2] = bytes;
  if (bytes.length !== 1 + LIFE_BYTES || mark > 1) return undefined;
  return { verdict: mark === 0 ? "keep" : "duplicate", life: bytes.subarray(1) };
}
