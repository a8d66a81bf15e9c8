/** Whole frames both ways over one stream: what a hello and a join are spoken over. */
export interface FramePipe {
  /**
   * Resolves when the frame is on its way.
   *
   * @throws UnavailableError `peer_lost` when the connection is gone.
   */
  write(frame: Uint8Array): Promise<void>;
  /**
   * The next frame, or undefined after the other side ended.
   *
   * @throws UnavailableError `peer_lost` when the connection is gone; PeerError `malformed_frame` or `unknown_version`.
   */
  read(): Promise<Uint8Array<ArrayBuffer> | undefined>;
}

/** Bytes of one frame of a join: an answer carries certificates and the authority, never the catalogue. */
export const JOIN_FRAME_BYTES_MAX = 64 * 1024;

/**
 * Talks to a stranger that wants to join. The connection is closed when the promise settles, or after
 * `TransportLimits.joinTimeoutMs`; a rejection is a fault of the stranger and counted as such.
 */
export type JoinHandler = (pipe: FramePipe, remoteAddress: string) => Promise<void>;
