/**
 * A stream of frames between two nodes of a simulated network.
 *
 * @module
 */
import { type NodeId, PeerError } from "../../src/base/mod.ts";
import type { PeerStream } from "../../src/ports/mod.ts";
import { STREAM_FRAME_BYTES_MAX } from "../../src/protocol/mod.ts";
import { lostPeer } from "./simulated_transport.ts";

/** What a pair of ends needs of its connection. */
interface StreamParts {
  /** Whom the opener's end talks to, and whom the other. */
  readonly peers: readonly [NodeId, NodeId];
  /** Bytes sent and not read before a writer waits. */
  readonly windowBytes: number;
  /** Carries something from end 0 or 1 to the other one, in order. */
  readonly send: (from: 0 | 1, bytes: number, deliver: () => void) => void;
  /** Both directions are done. */
  readonly ended: () => void;
}

/** One end of it. */
export class SimulatedStream implements PeerStream {
  readonly peer: NodeId;
  readonly #parts: StreamParts;
  readonly #index: 0 | 1;
  #other: SimulatedStream = this;
  readonly #inbox: Uint8Array[] = [];
  #unreadBytes = 0;
  #state: "open" | "ended" | "broken" = "open";
  #otherEnded = false;
  readonly #changed = new Set<() => void>();

  private constructor(parts: StreamParts, index: 0 | 1) {
    this.#parts = parts;
    this.#index = index;
    this.peer = parts.peers[index];
  }

  /** Both ends, the opener's first. */
  static pair(parts: StreamParts): readonly [SimulatedStream, SimulatedStream] {
    const ends = [new SimulatedStream(parts, 0), new SimulatedStream(parts, 1)] as const;
    ends[0].#other = ends[1];
    ends[1].#other = ends[0];
    return ends;
  }

  async write(frame: Uint8Array): Promise<void> {
    if (frame.length > STREAM_FRAME_BYTES_MAX) {
      throw new PeerError("malformed_frame", "Cannot write frame: it is too long");
    }
    if (this.#state !== "open") throw lostPeer(this.peer);
    const copy = frame.slice();
    const other = this.#other;
    other.#unreadBytes += copy.length;
    this.#parts.send(this.#index, copy.length, () => {
      other.#inbox.push(copy);
      other.#change();
    });
    while (other.#unreadBytes > this.#parts.windowBytes) {
      await this.#wait();
      if (this.#isBroken()) throw lostPeer(this.peer);
    }
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#isBroken()) throw lostPeer(this.peer);
      const frame = this.#inbox.shift();
      if (frame !== undefined) {
        this.#unreadBytes -= frame.length;
        this.#other.#change();
        return frame;
      }
      if (this.#otherEnded) return undefined;
      await this.#wait();
    }
  }

  end(): Promise<void> {
    if (this.#state !== "open") return Promise.resolve();
    this.#state = "ended";
    const other = this.#other;
    this.#parts.send(this.#index, 0, () => {
      other.#otherEnded = true;
      if (other.#state !== "open") this.#parts.ended();
      other.#change();
    });
    return Promise.resolve();
  }

  reset(): void {
    if (this.#isBroken()) return;
    const other = this.#other;
    this.#parts.send(this.#index, 0, () => other.breakOff());
    this.breakOff();
  }

  /** Both directions of this end are gone. */
  breakOff(): void {
    this.#state = "broken";
    this.#inbox.length = 0;
    if (this.#other.#isBroken()) this.#parts.ended();
    this.#change();
  }

  // A function, because a check of the field would be taken to hold across an await.
  #isBroken(): boolean {
    return this.#state === "broken";
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => this.#changed.add(resolve));
  }

  #change(): void {
    for (const wake of [...this.#changed]) wake();
    this.#changed.clear();
  }
}
