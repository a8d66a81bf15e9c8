/** Bounds of one transport. Every queue, wait and count that a peer can influence is here. */
export interface TransportLimits {
  /** Frames waiting per peer and channel; more are dropped and reported. */
  readonly channelQueueFramesMax: number;
  /** Bytes of those frames. One frame always fits into an empty queue. */
  readonly channelQueueBytesMax: number;
  /** Datagrams waiting per peer. */
  readonly datagramQueueMax: number;
  /** Streams a peer may have open here at once, channels included: its leases (`LEASES_PER_PEER_MAX`), and 64 for all else. */
  readonly streamsPerPeerMax: number;
  /** From a connection's first packet to a verified hello. */
  readonly helloTimeoutMs: number;
  /** How long the rest of a frame, or of a stream's header, may stay away with nothing else of it arriving. */
  readonly frameStallMs: number;
  /** What a stranger that joins may take altogether. */
  readonly joinTimeoutMs: number;
  /**
   * Accepted connections whose hello is not verified yet, and as many again from members' addresses. When there are more, the
   * address that has most of them loses its oldest.
   */
  readonly unauthenticatedMax: number;
  /** Sessions of clients that showed a key; further ones are refused. */
  readonly clientSessionsMax: number;
  /** Of these, with the same key. */
  readonly clientSessionsPerKeyMax: number;
  /** Requests of one client under way; further ones wait unread. */
  readonly clientRequestsMax: number;
  /** How long a peer may take to accept a connection. */
  readonly dialTimeoutMs: number;
  /** First and longest pause after a dial that failed; doubled each time. */
  readonly dialBackoffMs: { readonly first: number; readonly max: number };
  /** Silence after which QUIC itself gives a connection up. Only a hint: members' own probes decide. */
  readonly idleMs: number;
  /** Between packets that keep an unused connection open. */
  readonly keepAliveMs: number;
}

/** What a node uses. */
export const TRANSPORT_LIMITS: TransportLimits = {
  channelQueueFramesMax: 4096,
  channelQueueBytesMax: 32 * 1024 * 1024,
  datagramQueueMax: 256,
  streamsPerPeerMax: 576,
  helloTimeoutMs: 5_000,
  frameStallMs: 15_000,
  joinTimeoutMs: 30_000,
  unauthenticatedMax: 64,
  clientSessionsMax: 128,
  clientSessionsPerKeyMax: 64,
  clientRequestsMax: 64,
  dialTimeoutMs: 2_000,
  dialBackoffMs: { first: 50, max: 1_000 },
  idleMs: 10_000,
  keepAliveMs: 2_000,
};
