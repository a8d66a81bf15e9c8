import type { NodeId } from "../base/mod.ts";
import type { FrameChannel } from "../protocol/mod.ts";

/**
 * Where to reach a node: the transport connects to `address` (`host:port`, or several with commas between them: then to whichever
 * answers first) and must find `nodeId` there. With address "" only a connection that is open already will do, or an address
 * that the transport knows by itself.
 */
export interface PeerAddress {
  readonly nodeId: NodeId;
  readonly address: string;
}

/**
 * What a transport tells its owner. Calls come one after another, never from within a call to the transport, and none
 * comes after its close.
 */
export interface TransportHandlers {
  /** `from` is authenticated. At most DATAGRAM_BYTES_MAX bytes. */
  onDatagram(from: NodeId, bytes: Uint8Array): void;
  /** In the order sent, as long as the connection lives; after a lost connection frames may be missing. */
  onFrame(from: NodeId, channel: FrameChannel, bytes: Uint8Array): void;
  /** A peer opened a stream; whoever takes it ends it. */
  onStream(stream: PeerStream): void;
  /** Something handed to {@link Transport.sendDatagram} or {@link Transport.sendFrame} can't have arrived. */
  onSendFailed(to: NodeId, what: "datagram" | FrameChannel): void;
  /** The last connection to a peer ended: a hint, nothing more. */
  onConnectionLost(peer: NodeId): void;
}

/** A bidirectional stream of frames. Dies with its connection. */
export interface PeerStream {
  readonly peer: NodeId;
  /**
   * Resolves when the frame is on its way; waits while the other side does not read.
   *
   * @throws UnavailableError `peer_lost` when the stream or its connection is gone; PeerError `malformed_frame` when the
   *   frame is longer than STREAM_FRAME_BYTES_MAX.
   */
  write(frame: Uint8Array): Promise<void>;
  /**
   * The next frame, or undefined after the other side ended.
   *
   * @param into memory that the frame may take where it is long enough, such as that of one that is done with; the stream's
   *   from then on.
   * @throws UnavailableError `peer_lost`.
   */
  read(into?: ArrayBuffer): Promise<Uint8Array | undefined>;
  /** No more frames from here; what was written still arrives. */
  end(): Promise<void>;
  /** Ends both directions at once; what is on the way may be lost. Safe to repeat. */
  reset(): void;
}

/** One row of {@link Transport.connections}. */
export interface ConnectionView {
  readonly peer: NodeId;
  readonly remoteAddress: string;
  readonly direction: "dialed" | "accepted";
  /** The version of the wire that both sides speak on it. */
  readonly wire: number;
  readonly openStreams: number;
  /** Frames waiting to be written, all channels. */
  readonly queuedFrames: number;
  /** How long words take there and back, both programs' part included; absent where it was not measured. */
  readonly roundTripMs?: number | undefined;
}

/**
 * Authenticated, encrypted messages between the members of one cluster. Connects by itself when something is to be sent,
 * keeps at most one connection per peer in use (when both dial at once, both sides keep the same one), and closes what no
 * longer belongs. Never blocks and never throws from the two send calls: each peer has bounded queues, and what does not
 * fit is dropped and reported as failed. Connecting is retried with a back-off per peer.
 */
export interface Transport {
  /** Where this node listens, as bound. */
  readonly address: string;
  /** Unreliable and unordered. Longer than DATAGRAM_BYTES_MAX is a fault of the caller. */
  sendDatagram(to: PeerAddress, bytes: Uint8Array): void;
  /** Ordered per peer and channel. Longer than CHANNEL_FRAME_BYTES_MAX is a fault of the caller. */
  sendFrame(
    to: PeerAddress,
    frame: { readonly channel: FrameChannel; readonly bytes: Uint8Array },
  ): void;
  /**
   * Opens a stream, connecting first where needed. The peer may learn of it with its first frame only, or with its end: who opens
   * speaks first.
   *
   * @throws UnavailableError `peer_lost` when the peer can't be reached, `queue_full` when too many streams to it are
   *   open; the signal's reason.
   */
  openStream(to: PeerAddress, signal: AbortSignal): Promise<PeerStream>;
  /** Closes what is open to a peer; both sides are told that the connection was lost. */
  disconnect(peer: NodeId): void;
  /** By peer. */
  connections(): readonly ConnectionView[];
  /**
   * Says goodbye to all peers; nothing reaches this node any more. The port may stay bound until the process ends. What is
   * sent afterwards is dropped without a word.
   */
  close(): Promise<void>;
}

/**
 * Who may connect. Asked at every hello; when an answer changes, the owner has the connections judged again. `unknown` is
 * a node that nobody told this one of who is a member: it gets nothing but a join.
 */
export interface PeerDirectory {
  judge(
    nodeId: NodeId,
    publicKey: Uint8Array,
  ): "admitted" | "unknown" | "revoked" | "key_mismatch";
  /**
   * The key (SPKI) a node was admitted with; undefined when nobody told this node: then it is not dialed. Who dials asks for
   * that very key, because who holds the authority's could stand in for any other node. A directory without this takes
   * the authority's word.
   */
  findKey?(nodeId: NodeId): Uint8Array | undefined;
}
