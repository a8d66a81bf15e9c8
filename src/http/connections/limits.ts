/** How long a connection may keep a place without using it, and how many there are. */
export interface ConnectionLimits {
  /** Connections of all clients together. */
  readonly connectionsMax: number;
  /** Connections of one other machine (of one network, where addresses are IPv6). */
  readonly connectionsPerAddressMax: number;
  /** From a request's first byte to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** While the rest of a body is waited for, without a byte of it. */
  readonly bodyStallMs: number;
  /** Without a request. */
  readonly idleTimeoutMs: number;
  /** While a client takes nothing of its answer. */
  readonly readerStallMs: number;
  /** For the rest of a body that was answered without being read. */
  readonly discardMs: number;
}

/** Times that any client on any network keeps, and that nobody who holds places for nothing does. */
export const CONNECTION_TIMES = {
  headersTimeoutMs: 10_000,
  bodyStallMs: 30_000,
  idleTimeoutMs: 60_000,
  readerStallMs: 60_000,
  discardMs: 5_000,
} as const satisfies Partial<ConnectionLimits>;
