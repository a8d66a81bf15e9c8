import type { NodeId } from "../base/mod.ts";
import {
  type SnapshotDelivery,
  SnapshotReceiver,
  SnapshotSender,
  type TransferLimits,
} from "../core/raft/mod.ts";
import type {
  RaftWireMessage,
  SnapshotChunk,
  SnapshotChunkAck,
  SnapshotRequest,
} from "../protocol/mod.ts";

/** Bytes of a snapshot that is sent or taken: all tables of the catalogue full. */
const SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024;

const LIMITS: TransferLimits = {
  chunkBytesMax: 256 * 1024,
  windowChunks: 8,
  resendTicks: 20,
  resendsMax: 10,
};

/** What transfers need of the group. */
export interface TransfersParts {
  readonly send: (message: RaftWireMessage) => void;
  /** A transfer to a follower ended. */
  readonly ended: (to: NodeId, delivery: SnapshotDelivery) => void;
  /** A whole snapshot arrived. */
  readonly arrived: (request: SnapshotRequest) => void;
  readonly refused: (chunk: SnapshotChunk, reason: string) => void;
}

/** Snapshots on their way to followers, one each, and the one on its way here; always in chunks, however small. */
export class SnapshotTransfers {
  readonly #parts: TransfersParts;
  readonly #senders = new Map<NodeId, SnapshotSender>();
  readonly #receiver = new SnapshotReceiver(SNAPSHOT_BYTES_MAX);

  constructor(parts: TransfersParts) {
    this.#parts = parts;
  }

  /** Starts sending; a transfer to the same follower that is under way gives way. */
  start(request: SnapshotRequest): void {
    const sender = new SnapshotSender(request, LIMITS);
    this.#senders.set(request.to, sender);
    for (const chunk of sender.next()) this.#parts.send(chunk);
  }

  /** A follower has taken a part. */
  onAck(ack: SnapshotChunkAck): void {
    const sender = this.#senders.get(ack.from);
    if (sender === undefined) return;
    sender.acknowledge(ack);
    this.#goOn(ack.from, sender);
  }

  /** A part arrived. */
  onChunk(chunk: SnapshotChunk): void {
    const outcome = this.#receiver.take(chunk);
    if (outcome.kind === "refused") return this.#parts.refused(chunk, outcome.reason);
    this.#parts.send(outcome.ack);
    if (outcome.kind === "complete") this.#parts.arrived(outcome.request);
  }

  /** Whether anything here waits for ticks. */
  get countsTicks(): boolean {
    return this.#senders.size > 0;
  }

  /** One unit of time passed. */
  onTick(): void {
    for (const [to, sender] of this.#senders) {
      sender.tick();
      this.#goOn(to, sender);
    }
  }

  /** This node leads no more: whoever does sends snapshots of its own. */
  stopSending(): void {
    this.#senders.clear();
  }

  #goOn(to: NodeId, sender: SnapshotSender): void {
    if (sender.state === "sending") {
      for (const chunk of sender.next()) this.#parts.send(chunk);
      return;
    }
    this.#senders.delete(to);
    this.#parts.ended(to, sender.state);
  }
}
