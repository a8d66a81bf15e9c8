import { Heartbeat, SilenceWatch } from "../../../src/base/mod.ts";
import { ASKER_SILENCE_MS, LEASE_BEAT_MS } from "../../../src/core/answers/mod.ts";
import type { LeaseMessage, StreamEnd } from "./network.ts";
import type { RunEvent } from "./runner.ts";
import type { HeldSlot, SimulatedSlots } from "./slots.ts";

/** Lends one slot over a stream, for as long as the stream lives and a run goes on. */
export class LeaseServer {
  readonly asker: number;
  readonly #end: StreamEnd;
  readonly #silence: SilenceWatch;
  readonly #heartbeat: Heartbeat;
  #withdraw: () => void;
  #slot: HeldSlot | undefined;
  #cancel: (() => void) | undefined;
  #isOver = false;
  #isLost = false;

  constructor(
    end: StreamEnd,
    parts: {
      readonly asker: number;
      readonly slots: SimulatedSlots;
      readonly requestId: string;
      readonly standing: "fresh" | "resumed";
    },
  ) {
    this.asker = parts.asker;
    this.#end = end;
    this.#silence = new SilenceWatch(end.process, {
      limitMs: ASKER_SILENCE_MS,
      onSilent: () => this.abandon(),
    });
    this.#heartbeat = new Heartbeat(end.process, {
      everyMs: LEASE_BEAT_MS,
      send: () => end.send({ kind: "beat" }),
    });
    end.onMessage = (message) => this.#take(message);
    end.send({ kind: "beat" });
    this.#withdraw = () => {};
    this.#withdraw = parts.slots.acquire(parts, (answer) => {
      if (answer.kind === "refused") return end.send(answer);
      this.#slot = answer.slot;
      if (this.#isOver) return this.#free();
      end.send({ kind: "granted", loadNs: answer.slot.loadNs });
    });
  }

  get isFree(): boolean {
    return this.#isOver && this.#slot === undefined;
  }

  /** Ends the stream and what runs for it; the slot is free once the runner says so. */
  abandon(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#silence.stop();
    this.#heartbeat.stop();
    this.#end.reset();
    this.#withdraw();
    if (this.#cancel === undefined) this.#free();
    else this.#cancel();
  }

  #take(message: LeaseMessage): void {
    this.#silence.heard();
    switch (message.kind) {
      case "generate":
      case "embed":
        this.#cancel = this.#slot?.start(message, (event) => this.#said(event));
        return;
      case "cancel":
        return this.#cancel?.();
      case "reset":
        return this.abandon();
    }
  }

  #said(event: RunEvent): void {
    if (event.kind !== "started" && event.kind !== "tokens") this.#cancel = undefined;
    if (event.kind === "failed") {
      this.#isLost ||= event.code === "runner_lost";
      this.#end.send(event);
    } else if (event.kind === "embedded") this.#end.send(event);
    else this.#end.send({ kind: "event", event });
    if (this.#isLost || (this.#isOver && this.#cancel === undefined)) this.#free();
  }

  #free(): void {
    const slot = this.#slot;
    this.#slot = undefined;
    if (this.#isLost) slot?.lost();
    else slot?.release();
  }
}
