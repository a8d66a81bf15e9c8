import {
  type ModelNeed,
  Scheduler,
  type SchedulerEffect,
  type SchedulerEvent,
} from "../../../src/core/scheduler/mod.ts";
import { Heartbeat, SilenceWatch } from "../../../src/base/mod.ts";
import type { VirtualTime } from "../raft/virtual_time.ts";
import type { Watch } from "./checkers/mod.ts";
import type { ProcessClock } from "./process_clock.ts";
import { type RunEvent, SimulatedRunner, type Work } from "./runner.ts";

/** A slot that is held, here or elsewhere. Exactly one of `release` and `lost` ends it. */
export interface HeldSlot {
  readonly loadNs: number;
  /** Starts a run; call what is returned to cut it. */
  start(work: Work, say: (event: RunEvent) => void): () => void;
  release(): void;
  /** The runner died under it. */
  lost(): void;
}

/** What came of asking for a slot. */
export type SlotAnswer =
  | { readonly kind: "granted"; readonly slot: HeldSlot }
  | { readonly kind: "refused"; readonly code: string };

/** How one node's slots are made. */
export interface SlotsOptions {
  readonly name: string;
  readonly slots: number;
  readonly queueRequestsMax: number;
  readonly loadMs: number;
  readonly batchMs: number;
}

interface Instance {
  readonly runner: SimulatedRunner;
  readonly watch: RunnerWatch;
}

/** As over a runner's pipe: it is asked every five seconds while it has work, and hangs when it says nothing for twenty. */
class RunnerWatch {
  readonly #clock: ProcessClock;
  readonly #silence: SilenceWatch;
  readonly #ask: () => void;
  #heartbeat: Heartbeat | undefined;
  #runs = 0;

  constructor(clock: ProcessClock, does: { readonly ask: () => void; readonly end: () => void }) {
    this.#clock = clock;
    this.#ask = does.ask;
    this.#silence = new SilenceWatch(clock, { limitMs: 20_000, onSilent: does.end });
    this.#silence.pause();
  }

  heard(): void {
    this.#silence.heard();
  }

  began(): void {
    if (this.#runs++ > 0) return;
    this.#silence.resume();
    this.#heartbeat = new Heartbeat(this.#clock, { everyMs: 5_000, send: this.#ask });
  }

  ended(): void {
    if (--this.#runs === 0) this.stop();
  }

  stop(): void {
    this.#heartbeat?.stop();
    this.#silence.pause();
  }
}

export const MODEL_KEY = "m";

/** Drives the shipped scheduler of one node over simulated runners. */
export class SimulatedSlots {
  readonly scheduler: Scheduler;
  /** The next loads fail. */
  failingLoads = 0;
  readonly #options: SlotsOptions;
  readonly #clock: ProcessClock;
  readonly #time: VirtualTime;
  readonly #watch: Watch;
  readonly #instances = new Map<number, Instance>();
  readonly #pending = new Map<string, (answer: SlotAnswer) => void>();
  readonly #need: ModelNeed;
  #asked = 0;

  constructor(
    options: SlotsOptions,
    parts: { readonly clock: ProcessClock; readonly time: VirtualTime; readonly watch: Watch },
  ) {
    this.#options = options;
    this.#clock = parts.clock;
    this.#time = parts.time;
    this.#watch = parts.watch;
    const { slots, queueRequestsMax } = options;
    this.#need = {
      modelKey: MODEL_KEY,
      settingsKey: "",
      displayName: MODEL_KEY,
      memoryBytes: 1,
      slots,
      contextTokens: 64,
      keepAliveMs: undefined,
    };
    this.scheduler = new Scheduler({
      loadedModelsMax: 1,
      queueRequestsMax,
      keepAliveMs: 5_000,
      reserveBytes: 0,
      cores: 1,
      threads: 1,
    });
  }

  /** Living runners. */
  get runners(): readonly SimulatedRunner[] {
    return [...this.#instances.values()].map(({ runner }) => runner);
  }

  /** Asks for a slot; call what is returned when nobody wants it any more. */
  acquire(
    asked: { readonly requestId: string; readonly standing: "fresh" | "resumed" },
    done: (answer: SlotAnswer) => void,
  ): () => void {
    const { standing } = asked;
    // A request that left its slot may come again before the runner says that it is free.
    const requestId = `${asked.requestId}/${++this.#asked}`;
    this.#pending.set(requestId, done);
    this.#step({ kind: "request_arrived", requestId, need: this.#need, standing });
    return () => {
      if (this.#pending.delete(requestId)) this.#step({ kind: "request_ended", requestId });
    };
  }

  stopAdmitting(): void {
    this.#step({ kind: "stop_requested" });
  }

  /** The machine is gone, and its runners with it. */
  destroy(): void {
    for (const { runner, watch } of this.#instances.values()) {
      watch.stop();
      runner.kill();
    }
  }

  #step(event: SchedulerEvent): void {
    const seen = { nowMs: this.#clock.monotonicMs(), availableBytes: 10 };
    for (const effect of this.scheduler.step(event, seen)) this.#obey(effect);
  }

  #obey(effect: SchedulerEffect): void {
    switch (effect.kind) {
      case "load_model":
        this.#clock.after(this.#options.loadMs, () => this.#load(effect.instanceId));
        return;
      case "unload_model":
        return this.#instances.get(effect.instanceId)?.runner.kill();
      case "grant_slot":
        return this.#grant(effect.requestId, effect.instanceId);
      case "refuse_request": {
        const done = this.#pending.get(effect.requestId);
        this.#pending.delete(effect.requestId);
        const code = effect.refusal.kind === "does_not_fit"
          ? "model_too_large"
          : effect.refusal.kind;
        done?.({ kind: "refused", code });
        return;
      }
      case "wake_at":
        this.#clock.after(
          effect.atMs - this.#clock.monotonicMs(),
          () => this.#step({ kind: "time_elapsed" }),
        );
    }
  }

  #load(instanceId: number): void {
    if (this.failingLoads > 0) {
      this.failingLoads--;
      this.#watch.ends.loadsFailed++;
      return this.#step({ kind: "load_failed", instanceId, message: "by order" });
    }
    const { name, slots, batchMs } = this.#options;
    const runner = new SimulatedRunner({
      name: `${name}/${instanceId}`,
      slots,
      batchMs,
      time: this.#time,
      watch: this.#watch,
      onExit: () => this.#clock.whenAwake(() => this.#exited(instanceId)),
    });
    const watch: RunnerWatch = new RunnerWatch(this.#clock, {
      ask: () => runner.ping(() => this.#clock.whenAwake(() => watch.heard())),
      end: () => runner.kill(),
    });
    this.#instances.set(instanceId, { runner, watch });
    this.#step({ kind: "model_loaded", instanceId, memoryBytes: 1, slots });
  }

  #exited(instanceId: number): void {
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) return;
    this.#instances.delete(instanceId);
    instance.watch.stop();
    this.#step({ kind: "runner_exited", instanceId });
  }

  #grant(requestId: string, instanceId: number): void {
    const done = this.#pending.get(requestId);
    const instance = this.#instances.get(instanceId);
    this.#pending.delete(requestId);
    if (done === undefined || instance === undefined) {
      this.#clock.after(0, () => this.#step({ kind: "request_ended", requestId }));
      return;
    }
    let isOver = false;
    const end = (before: () => void = () => {}) => {
      if (isOver) return;
      isOver = true;
      before();
      this.#step({ kind: "request_ended", requestId });
    };
    const slot: HeldSlot = {
      loadNs: 0,
      start: (work, say) => this.#run(instance, work, say),
      release: () => end(),
      // First the exit, so that the scheduler does not hand the dead runner to the next in line.
      lost: () => end(() => this.#exited(instanceId)),
    };
    done({ kind: "granted", slot });
  }

  /** A run that is watched while it lasts. */
  #run(instance: Instance, work: Work, say: (event: RunEvent) => void): () => void {
    instance.watch.began();
    return instance.runner.start(work, (event) =>
      this.#clock.whenAwake(() => {
        instance.watch.heard();
        const isLast = event.kind !== "started" && event.kind !== "tokens";
        if (isLast) instance.watch.ended();
        say(event);
      }));
  }
}
