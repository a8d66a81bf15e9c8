import type { SequenceEvent, SequenceRequest } from "../../../src/protocol/mod.ts";
import type { VirtualTime } from "../raft/virtual_time.ts";
import type { Watch } from "./checkers/mod.ts";
import { CONTEXT_TOKENS, promptTokensOf, scriptOf } from "./script.ts";

/** What a runner says of one run. */
export type RunEvent =
  | SequenceEvent
  | { readonly kind: "embedded"; readonly value: number }
  | { readonly kind: "failed"; readonly code: string };

/** What a runner is asked for. */
export type Work =
  | { readonly kind: "generate"; readonly request: SequenceRequest }
  | { readonly kind: "embed"; readonly input: number };

interface Run {
  readonly say: (event: RunEvent) => void;
  readonly script: ReturnType<typeof scriptOf>;
  position: number;
  /** Its prompt is computed. */
  isStarted: boolean;
  isCancelled: boolean;
}

/** What is embedded becomes this. */
export function vectorOf(input: number): number {
  return input * 7 + 1;
}

/** A runner's process: writes a token per batch for each of its runs. */
export class SimulatedRunner {
  readonly name: string;
  readonly slots: number;
  readonly #time: VirtualTime;
  readonly #batchMs: number;
  readonly #watch: Watch;
  readonly #onExit: () => void;
  readonly #runs = new Map<number, Run>();
  #isTicking = false;
  #isHung = false;
  #isDead = false;
  #runLast = 0;

  constructor(
    parts: {
      readonly name: string;
      readonly slots: number;
      readonly time: VirtualTime;
      readonly batchMs: number;
      readonly watch: Watch;
      /** The node notices that the process is gone. */
      readonly onExit: () => void;
    },
  ) {
    this.name = parts.name;
    this.slots = parts.slots;
    this.#time = parts.time;
    this.#batchMs = parts.batchMs;
    this.#watch = parts.watch;
    this.#onExit = parts.onExit;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Starts a run; call what is returned to cut it. */
  start(work: Work, say: (event: RunEvent) => void): () => void {
    const fail = (code: string) => this.#time.after(1, () => say({ kind: "failed", code }));
    if (this.#isDead) {
      fail("runner_lost");
      return () => {};
    }
    this.#watch.slots.started(this, this.#runs.size);
    const id = ++this.#runLast;
    if (work.kind === "embed") {
      const value = vectorOf(work.input);
      this.#runs.set(id, { say, script: [], position: 0, isStarted: false, isCancelled: false });
      this.#time.after(this.#batchMs * 3, () => this.#embedded(id, value));
      return () => this.#cancel(id);
    }
    const { prompt, grammar, emittedTokens, onLongPrompt } = work.request;
    const promptTokens = promptTokensOf(prompt);
    if (promptTokens.length > CONTEXT_TOKENS && onLongPrompt === "refuse") {
      fail("prompt_too_long");
      return () => {};
    }
    const script = scriptOf(promptTokens, grammar);
    this.#watch.bytes.resumed(script, emittedTokens);
    this.#runs.set(id, {
      ...{ say, script, isStarted: false, isCancelled: false },
      position: emittedTokens.length,
    });
    this.#time.after(this.#batchMs, () => {
      const run = this.#runs.get(id);
      if (this.#isDead || this.#isHung || run === undefined) return;
      run.isStarted = true;
      say({ kind: "started", promptTokens, cachedTokens: 0 });
      this.#tickSoon();
    });
    return () => this.#cancel(id);
  }

  /** Answers at once unless it hangs. */
  ping(pong: () => void): void {
    if (!this.#isHung && !this.#isDead) this.#time.after(1, pong);
  }

  /** The process stands still, and closes no pipe. */
  hang(): void {
    this.#isHung = true;
  }

  kill(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    const runs = [...this.#runs.values()];
    this.#runs.clear();
    // Which of the two is noticed first is chance: here the calls fail first, then the process is seen to be gone.
    for (const { say } of runs) say({ kind: "failed", code: "runner_lost" });
    this.#onExit();
  }

  #cancel(id: number): void {
    const run = this.#runs.get(id);
    if (run === undefined) return;
    run.isCancelled = true;
    this.#tickSoon();
  }

  #embedded(id: number, value: number): void {
    const run = this.#runs.get(id);
    if (run === undefined || this.#isDead || this.#isHung) return;
    this.#runs.delete(id);
    run.say({ kind: "embedded", value });
  }

  #tickSoon(): void {
    if (this.#isTicking || this.#isHung || this.#isDead) return;
    this.#isTicking = true;
    this.#time.after(this.#batchMs, () => {
      this.#isTicking = false;
      this.#tick();
    });
  }

  #tick(): void {
    if (this.#isHung || this.#isDead) return;
    for (const [id, run] of [...this.#runs]) {
      if (!run.isStarted && !run.isCancelled) continue;
      const token = run.script[run.position];
      if (run.isCancelled || token === undefined) {
        this.#runs.delete(id);
        const reason = run.isCancelled ? "cancelled" : "end";
        run.say({ kind: "finished", reason, prefillNs: 1, decodeNs: 1 });
      } else {
        run.position++;
        run.say({ kind: "tokens", tokens: [token] });
      }
    }
    if ([...this.#runs.values()].some(({ isStarted }) => isStarted)) this.#tickSoon();
  }
}
