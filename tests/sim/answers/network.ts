import type { Random } from "../../../src/base/mod.ts";
import type { SequenceEvent, SequenceRequest } from "../../../src/protocol/mod.ts";
import type { VirtualTime } from "../raft/virtual_time.ts";
import type { ProcessClock } from "./process_clock.ts";

/** What is said over one lease, as far as failover goes. */
export type LeaseMessage =
  | { readonly kind: "beat" }
  | { readonly kind: "generate"; readonly request: SequenceRequest }
  | { readonly kind: "embed"; readonly input: number }
  | { readonly kind: "cancel" }
  | { readonly kind: "granted"; readonly loadNs: number }
  | { readonly kind: "refused"; readonly code: string }
  | { readonly kind: "event"; readonly event: SequenceEvent }
  | { readonly kind: "embedded"; readonly value: number }
  | { readonly kind: "failed"; readonly code: string }
  /** The stream is over. */
  | { readonly kind: "reset" };

/** One end of a stream between two processes. */
export class StreamEnd {
  readonly process: ProcessClock;
  onMessage: (message: LeaseMessage) => void = () => {};
  isClosed = false;
  readonly #carry: (message: LeaseMessage) => void;

  constructor(process: ProcessClock, carry: (message: LeaseMessage) => void) {
    this.process = process;
    this.#carry = carry;
  }

  send(message: LeaseMessage): void {
    if (!this.isClosed) this.#carry(message);
  }

  reset(): void {
    this.send({ kind: "reset" });
    this.isClosed = true;
  }
}

/** Where a stream begins or ends. */
export interface Place {
  readonly index: number;
  readonly process: ProcessClock;
}

/** Directed links, each in order. What is sent over a cut one arrives when it heals, as QUIC would send it again. */
export class SimulatedNetwork {
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #cut = new Set<string>();
  #parked: { readonly link: string; readonly deliver: () => void }[] = [];
  delayMsMax = 5;

  constructor(time: VirtualTime, random: Random) {
    this.#time = time;
    this.#random = random;
  }

  isCut(from: number, to: number): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  cut(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
    const parked = this.#parked;
    this.#parked = [];
    for (const { deliver } of parked) deliver();
  }

  /** Both ends of a stream from one place to another. */
  open(from: Place, to: Place): readonly [StreamEnd, StreamEnd] {
    const near: StreamEnd = new StreamEnd(from.process, this.#carrier(from, to, () => far));
    const far: StreamEnd = new StreamEnd(to.process, this.#carrier(to, from, () => near));
    return [near, far];
  }

  #carrier(from: Place, to: Place, receiver: () => StreamEnd): (message: LeaseMessage) => void {
    const link = `${from.index}>${to.index}`;
    let freeAtMs = 0;
    return (message) => {
      const dueMs = Math.max(freeAtMs, this.#time.nowMs + this.#random.between(1, this.delayMsMax));
      freeAtMs = dueMs;
      const deliver = () => {
        if (this.#cut.has(link)) {
          this.#parked.push({ link, deliver });
          return;
        }
        const end = receiver();
        end.process.whenAwake(() => {
          if (!end.isClosed) end.onMessage(message);
        });
      };
      this.#time.after(dueMs - this.#time.nowMs, deliver);
    };
  }
}
