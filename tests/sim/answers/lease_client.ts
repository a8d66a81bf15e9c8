import { Heartbeat, SilenceWatch } from "../../../src/base/mod.ts";
import { LEASE_BEAT_MS, patienceWith, PEER_DOUBT } from "../../../src/core/answers/mod.ts";
import type { LeaseMessage, StreamEnd } from "./network.ts";
import type { RunEvent } from "./runner.ts";
import type { HeldSlot, SlotAnswer } from "./slots.ts";

/** A slot of another node, through one stream: what happens to the stream happens to the run. */
export class LeaseClient {
  readonly peer: number;
  readonly #end: StreamEnd;
  readonly #isReplaceable: boolean;
  readonly #silence: SilenceWatch;
  readonly #heartbeat: Heartbeat;
  readonly #onOver: (isExpected: boolean) => void;
  #done: ((answer: SlotAnswer) => void) | undefined;
  #say: ((event: RunEvent) => void) | undefined;
  #isOver = false;

  constructor(
    end: StreamEnd,
    parts: {
      readonly peer: number;
      readonly isReplaceable: boolean;
      readonly done: (answer: SlotAnswer) => void;
      /** The stream is over, because it was given back or not. */
      readonly onOver: (isExpected: boolean) => void;
    },
  ) {
    this.peer = parts.peer;
    this.#end = end;
    this.#isReplaceable = parts.isReplaceable;
    this.#done = parts.done;
    this.#onOver = parts.onOver;
    const patience = patienceWith(parts);
    this.#silence = new SilenceWatch(end.process, {
      limitMs: patience.firstWordMs,
      onSilent: () => this.#over({ isExpected: false }),
    });
    this.#heartbeat = new Heartbeat(end.process, {
      everyMs: LEASE_BEAT_MS,
      send: () => end.send({ kind: "beat" }),
    });
    end.onMessage = (message) => {
      this.#silence.bear(patience.silenceMs);
      this.#silence.heard();
      this.#take(message);
    };
  }

  /** Gives the slot back, or wants it no more. */
  close(): void {
    this.#over({ isExpected: true });
  }

  /** Gossip suspects the peer. */
  doubt(): void {
    if (this.#isReplaceable) this.#silence.doubt(PEER_DOUBT);
  }

  /** Gossip says that the peer is gone. */
  giveUp(): void {
    this.#over({ isExpected: false });
  }

  #take(message: LeaseMessage): void {
    switch (message.kind) {
      case "granted": {
        const done = this.#done;
        this.#done = undefined;
        return done?.({ kind: "granted", slot: this.#slot(message.loadNs) });
      }
      case "refused":
        return this.#over({ isExpected: true, code: message.code });
      case "reset":
        return this.#over({ isExpected: false });
      case "event":
        return this.#tell(message.event);
      case "embedded":
      case "failed":
        return this.#tell(message);
    }
  }

  #slot(loadNs: number): HeldSlot {
    return {
      loadNs,
      start: (work, say) => {
        if (this.#isOver) {
          this.#end.process.after(0, () => say({ kind: "failed", code: "runner_lost" }));
          return () => {};
        }
        this.#say = say;
        this.#end.send(work);
        return () => this.#end.send({ kind: "cancel" });
      },
      release: () => this.close(),
      lost: () => this.close(),
    };
  }

  #tell(event: RunEvent): void {
    const say = this.#say;
    if (event.kind !== "started" && event.kind !== "tokens") this.#say = undefined;
    say?.(event);
  }

  #over(how: { readonly isExpected: boolean; readonly code?: string }): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#silence.stop();
    this.#heartbeat.stop();
    this.#end.reset();
    const done = this.#done;
    this.#done = undefined;
    this.#onOver(how.isExpected);
    done?.({ kind: "refused", code: how.code ?? "peer_lost" });
    this.#tell({ kind: "failed", code: "runner_lost" });
  }
}
