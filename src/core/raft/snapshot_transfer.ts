import { assert, joinBytes } from "../../base/mod.ts";
import type {
  EntryId,
  Snapshot,
  SnapshotChunk,
  SnapshotChunkAck,
  SnapshotRequest,
} from "../../protocol/mod.ts";

/** Bounds of sending one snapshot. */
export interface TransferLimits {
  /** Data bytes of one chunk, >= 1. */
  readonly chunkBytesMax: number;
  /** Chunks on the way at a time, >= 1. */
  readonly windowChunks: number;
  /** Ticks without progress after which everything not acknowledged is sent again, >= 1. */
  readonly resendTicks: number;
  /** Resends in a row without progress before the transfer counts as failed, >= 1. */
  readonly resendsMax: number;
}

/** Tell `RaftNode.reportSnapshot` of the two that end a transfer. */
export type TransferState = "sending" | "delivered" | "failed";

/**
 * Sends one snapshot in chunks. The driver makes one of each `snapshot_request` that is too large for a message, sends
 * what {@link next} returns, and feeds it acknowledgements and ticks.
 */
export class SnapshotSender {
  readonly #request: SnapshotRequest;
  readonly #limits: TransferLimits;
  #acknowledged = 0;
  #sent = 0;
  /** A snapshot without data is one empty chunk, and that must go out too. */
  #started = false;
  #idleTicks = 0;
  #resends = 0;
  #state: TransferState = "sending";

  constructor(request: SnapshotRequest, limits: TransferLimits) {
    assert(limits.chunkBytesMax >= 1 && limits.windowChunks >= 1, "A transfer needs room to move");
    this.#request = request;
    this.#limits = limits;
  }

  get state(): TransferState {
    return this.#state;
  }

  /** The chunks that may leave now; empty while the window is full or when the transfer has ended. */
  next(): readonly SnapshotChunk[] {
    if (this.#state !== "sending") return [];
    const { chunkBytesMax, windowChunks } = this.#limits;
    const { data } = this.#request.snapshot;
    const end = Math.min(data.length, this.#acknowledged + chunkBytesMax * windowChunks);
    const chunks: SnapshotChunk[] = [];
    while (this.#sent < end || !this.#started) {
      this.#started = true;
      const bytes = data.subarray(this.#sent, Math.min(this.#sent + chunkBytesMax, end));
      chunks.push(this.#chunk(this.#sent, bytes));
      this.#sent += bytes.length;
    }
    return chunks;
  }

  /** Takes an acknowledgement; one of another snapshot or of another term is ignored. */
  acknowledge(ack: SnapshotChunkAck): void {
    const { snapshot, term, to } = this.#request;
    if (this.#state !== "sending" || ack.term !== term || ack.from !== to) return;
    if (!sameId(ack.id, snapshot.id) || ack.offset > snapshot.data.length) return;
    if (ack.offset > this.#acknowledged) {
      this.#acknowledged = ack.offset;
      this.#sent = Math.max(this.#sent, ack.offset);
      this.#idleTicks = 0;
      this.#resends = 0;
    } else if (ack.offset === 0 && this.#acknowledged > 0) {
      // The receiver restarted and has nothing any more. Not counted as progress: it may restart for ever.
      this.#acknowledged = 0;
      this.#sent = 0;
      this.#started = false;
    }
    if (this.#started && this.#acknowledged === snapshot.data.length) this.#state = "delivered";
  }

  /** One unit of time passed. */
  tick(): void {
    if (this.#state !== "sending") return;
    this.#idleTicks++;
    if (this.#idleTicks < this.#limits.resendTicks) return;
    this.#idleTicks = 0;
    this.#resends++;
    if (this.#resends > this.#limits.resendsMax) {
      this.#state = "failed";
      return;
    }
    this.#sent = this.#acknowledged;
    this.#started = false;
  }

  #chunk(offset: number, bytes: Uint8Array): SnapshotChunk {
    const { from, to, term, snapshot } = this.#request;
    const { id, configuration, data } = snapshot;
    const dataBytes = data.length;
    return { kind: "snapshot_chunk", from, to, term, id, configuration, dataBytes, offset, bytes };
  }
}

/** What became of a chunk. An acknowledgement is sent in each case that has one. */
export type ChunkOutcome =
  | { readonly kind: "continues"; readonly ack: SnapshotChunkAck }
  | {
    readonly kind: "complete";
    readonly ack: SnapshotChunkAck;
    /** To be stepped like any message. */
    readonly request: SnapshotRequest;
  }
  | { readonly kind: "refused"; readonly reason: "malformed" | "too_large" | "outdated" };

interface Assembly {
  /** The first chunk: what all others must agree with. */
  readonly head: SnapshotChunk;
  readonly parts: Uint8Array[];
  bytes: number;
}

/**
 * Puts one snapshot together again. Holds at most one that is unfinished, and no more bytes of it than arrived: the
 * announced size is only believed as far as it is filled.
 */
export class SnapshotReceiver {
  readonly #dataBytesMax: number;
  #assembly: Assembly | undefined;
  /** The last one completed: when its last acknowledgement is lost, chunks of it come once more. */
  #completed: SnapshotChunk | undefined;

  /** `dataBytesMax`: larger snapshots are refused. */
  constructor(dataBytesMax: number) {
    this.#dataBytesMax = dataBytesMax;
  }

  /** Takes a chunk in whatever order they come; only the next one is kept, the acknowledgement says which that is. */
  take(chunk: SnapshotChunk): ChunkOutcome {
    const { offset, bytes, dataBytes } = chunk;
    if (dataBytes > this.#dataBytesMax) return { kind: "refused", reason: "too_large" };
    if (offset < 0 || dataBytes < 0 || offset + bytes.length > dataBytes) {
      return { kind: "refused", reason: "malformed" };
    }
    if (this.#completed !== undefined && isSameSnapshot(chunk, this.#completed)) {
      return { kind: "continues", ack: ackOf(chunk, dataBytes) };
    }
    const current = this.#assembly;
    if (current !== undefined && isOlder(chunk, current.head)) {
      return { kind: "refused", reason: "outdated" };
    }
    if (current === undefined || !isSameSnapshot(chunk, current.head)) {
      // Only a snapshot's beginning starts a transfer: the middle of an unknown one is answered with "from 0, please".
      if (offset > 0) return { kind: "continues", ack: ackOf(chunk, 0) };
      this.#assembly = { head: chunk, parts: [], bytes: 0 };
    }
    return this.#append(chunk);
  }

  #append(chunk: SnapshotChunk): ChunkOutcome {
    const assembly = this.#assembly;
    assert(assembly !== undefined, "A chunk is appended to something");
    if (chunk.offset === assembly.bytes && chunk.bytes.length > 0) {
      assembly.parts.push(chunk.bytes.slice());
      assembly.bytes += chunk.bytes.length;
    }
    const { bytes, head: { dataBytes } } = assembly;
    assert(bytes <= dataBytes, "A snapshot grows to its own size", { bytes, dataBytes });
    const ack = ackOf(chunk, assembly.bytes);
    if (assembly.bytes < chunk.dataBytes) return { kind: "continues", ack };
    this.#assembly = undefined;
    this.#completed = { ...assembly.head, bytes: new Uint8Array() };
    return { kind: "complete", ack, request: requestOf(assembly) };
  }
}

function requestOf({ head, parts }: Assembly): SnapshotRequest {
  const { from, to, term, id, configuration } = head;
  const snapshot: Snapshot = { id, configuration, data: joinBytes(parts) };
  return { kind: "snapshot_request", from, to, term, snapshot };
}

function ackOf(chunk: SnapshotChunk, offset: number): SnapshotChunkAck {
  const { from: to, to: from, term, id } = chunk;
  return { kind: "snapshot_chunk_ack", from, to, term, id, offset };
}

function isOlder(chunk: SnapshotChunk, head: SnapshotChunk): boolean {
  return chunk.term < head.term || (chunk.term === head.term && chunk.id.index < head.id.index);
}

function isSameSnapshot(chunk: SnapshotChunk, head: SnapshotChunk): boolean {
  return chunk.term === head.term && chunk.from === head.from && sameId(chunk.id, head.id) &&
    chunk.dataBytes === head.dataBytes;
}

function sameId(left: EntryId, right: EntryId): boolean {
  return left.term === right.term && left.index === right.index;
}
