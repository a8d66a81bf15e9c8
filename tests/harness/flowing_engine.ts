/** An engine whose runners speak the runner's protocol in this process: some answers come at a pace, others as fast as they may. */
import { RunnerModel } from "../../src/inference/engine.ts";
import type { Clock, Engine, LoadedModel } from "../../src/ports/mod.ts";
import type {
  LoadSettings,
  RunnerCommand,
  RunnerReply,
  SequenceEvent,
} from "../../src/protocol/mod.ts";
import { factsOf } from "./scripted_engine.ts";

/** Prompts with it are answered as fast as the node lets the runner, with {@link FLOOD_TOKENS}. */
export const FLOOD = "flood";
export const FLOOD_TOKENS = 200_000;
/** Tokens of any other answer, one each {@link PACE_MS}. */
export const PACED_TOKENS = 200;
export const PACE_MS = 5;
/** Tokens of a flood in one batch. */
const BURST_TOKENS = 500;

interface Run {
  readonly id: number;
  readonly isFlood: boolean;
  made: number;
  /** Tokens that may still be made. */
  left: number;
}

export class FlowingEngine implements Engine {
  readonly #clock: Clock;
  readonly #runs = new Map<number, Run>();
  readonly #stopped = Promise.withResolvers<void>();
  #receive: (reply: RunnerReply) => void = () => {};
  #timer: { cancel(): void } | undefined;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Tokens made of floods so far. */
  floodTokens = 0;

  /** Resolves once a flood may make no more, or is through. */
  get floodStopped(): Promise<void> {
    return this.#stopped.promise;
  }

  load(settings: LoadSettings): Promise<LoadedModel> {
    const exit = Promise.withResolvers<{ expected: boolean; reason: string }>();
    const end = (expected: boolean, reason: string) => {
      this.#isClosed = true;
      this.#timer?.cancel();
      exit.resolve({ expected, reason });
    };
    const model = new RunnerModel(
      {
        processId: 1,
        exited: exit.promise,
        send: (command) => this.#take(command),
        stop: async () => end(true, "stopped"),
        fail: (reason) => end(false, reason),
      },
      { facts: factsOf(settings, { contextTokens: 4096, numericClass: "flowing" }) },
      { clock: this.#clock },
    );
    this.#receive = (reply) => model.receive(reply);
    this.#tick();
    return Promise.resolve(model);
  }

  #take(command: RunnerCommand): void {
    switch (command.kind) {
      case "generate": {
        const { id, request, unreadTokensMax } = command;
        const isFlood = request.prompt.kind === "text" && request.prompt.text.includes(FLOOD);
        this.#runs.set(id, { id, isFlood, made: 0, left: unreadTokensMax });
        this.#say(id, { kind: "started", promptTokens: [1], cachedTokens: 0 });
        return;
      }
      case "taken": {
        const run = this.#runs.get(command.id);
        if (run !== undefined) run.left += command.tokens;
        return;
      }
      case "cancel":
        return this.#finish(command.id, "cancelled");
      case "ping":
        return this.#soon(() => this.#receive({ kind: "pong" }));
    }
  }

  /** One batch of all runs, as one frame. */
  #tick(): void {
    if (this.#isClosed) return;
    const events: { id: number; event: SequenceEvent }[] = [];
    for (const run of this.#runs.values()) {
      const total = run.isFlood ? FLOOD_TOKENS : PACED_TOKENS;
      const count = Math.min(run.isFlood ? BURST_TOKENS : 1, run.left, total - run.made);
      for (let made = 0; made < count; made++) {
        const text = ` word ${run.made++} ${".".repeat(80)}`;
        const token = { token: run.made & 0xff, bytes: new TextEncoder().encode(text) };
        events.push({ id: run.id, event: { kind: "tokens", tokens: [token] } });
      }
      run.left -= count;
      if (run.isFlood) {
        this.floodTokens += count;
        if (run.left === 0 || run.made >= total) this.#stopped.resolve();
      }
      if (run.made >= total) this.#soon(() => this.#finish(run.id, "end"));
    }
    if (events.length > 0) this.#receive({ kind: "events", events });
    this.#timer = this.#clock.after(PACE_MS, () => this.#tick());
  }

  #finish(id: number, reason: "end" | "cancelled"): void {
    if (!this.#runs.delete(id)) return;
    this.#say(id, { kind: "finished", reason, prefillNs: 1, decodeNs: 1 });
  }

  #say(id: number, event: SequenceEvent): void {
    this.#soon(() => this.#receive({ kind: "events", events: [{ id, event }] }));
  }

  #soon(act: () => void): void {
    queueMicrotask(act);
  }
}
