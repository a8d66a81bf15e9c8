import type { FrameChannel } from "../protocol/mod.ts";
import type { TransportLimits } from "./limits.ts";

/** Between members. */
export const MEMBER_PROTOCOL = "odist/1";
/** A stranger that wants to become one. */
export const JOIN_PROTOCOL = "odist-join/1";

/** A client that shows a key instead of being a member. */
export const CLIENT_PROTOCOL = "odist-client/1";
/** The same from a browser, or from whatever else speaks WebTransport. */
export const WEB_TRANSPORT_PROTOCOL = "h3";

/** Every channel of frames; each is one unidirectional stream per direction. */
export const FRAME_CHANNELS: readonly FrameChannel[] = ["raft", "membership"];

/**
 * Streams beyond those that are counted: the hello's, and those that ended here while the peer has not yet learned that
 * it may open others instead.
 */
const SPARE_STREAMS = 9;

/** HTTP/3 has three of its own, and browsers hang up where fewer are granted. */
const HTTP3_STREAMS = 3;

/** What both sides of every connection grant the peer, and how they notice that it is gone. */
export function quicSettings(limits: TransportLimits): Deno.QuicTransportOptions {
  return {
    maxIdleTimeout: limits.idleMs,
    keepAliveInterval: limits.keepAliveMs,
    // After a cut it is new packets that bring a connection back, since the pauses between repeated ones double. This
    // control leaves room for them: with 100 byte frames every 50 ms, cuts of 6 and 8.5 s were over 30 to 50 ms after
    // healing, where the default took 1.4 to 4.3 s (5 s idle time would do as well, but cost every stream). Bulk on a busy
    // loopback is about a quarter slower.
    congestionControl: "low-latency",
    maxConcurrentBidirectionalStreams: limits.streamsPerPeerMax + SPARE_STREAMS,
    maxConcurrentUnidirectionalStreams: Math.max(FRAME_CHANNELS.length, HTTP3_STREAMS),
  };
}
