/** Two ends of a stream between nodes, in memory, for tests of what is said over one. */
import { type NodeId, UnavailableError } from "../../src/base/mod.ts";
import type { PeerStream } from "../../src/ports/mod.ts";

/** Frames in one direction; a writer waits while more are unread. */
class Pipe {
  readonly #frames: Uint8Array[] = [];
  readonly #framesMax: number;
  #changed = Promise.withResolvers<void>();
  #isEnded = false;
  isReset = false;

  constructor(framesMax: number) {
    this.#framesMax = framesMax;
  }

  get unread(): number {
    return this.#frames.length;
  }

  async write(frame: Uint8Array): Promise<void> {
    while (!this.isReset && this.#frames.length >= this.#framesMax) await this.#changed.promise;
    this.#check();
    this.#frames.push(frame.slice());
    this.#notify();
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      this.#check();
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        this.#notify();
        return frame;
      }
      if (this.#isEnded) return undefined;
      await this.#changed.promise;
    }
  }

  end(): void {
    this.#isEnded = true;
    this.#notify();
  }

  reset(): void {
    this.isReset = true;
    this.#notify();
  }

  #check(): void {
    if (this.isReset) throw new UnavailableError("peer_lost", "the stream was reset");
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

/** A stream as two nodes hold it. */
export interface StreamPair {
  /** The end of the node that opened it; its `peer` is the other. */
  readonly near: PeerStream;
  readonly far: PeerStream;
  /** Frames written by the far end that the near end has not read. */
  unreadByNear(): number;
  isReset(): boolean;
}

/** A stream from `nearId` to `farId`; each direction holds `framesMax` frames. */
export function streamPair(nearId: NodeId, farId: NodeId, framesMax = 16): StreamPair {
  const out = new Pipe(framesMax);
  const back = new Pipe(framesMax);
  const end = (peer: NodeId, writes: Pipe, reads: Pipe): PeerStream => ({
    peer,
    write: (frame) => writes.write(frame),
    read: () => reads.read(),
    end: async () => writes.end(),
    reset: () => {
      out.reset();
      back.reset();
    },
  });
  return {
    near: end(farId, out, back),
    far: end(nearId, back, out),
    unreadByNear: () => back.unread,
    isReset: () => out.isReset,
  };
}
