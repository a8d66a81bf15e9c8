import { UnavailableError } from "../../base/mod.ts";
import type { ToldPart } from "./told_parts.ts";

/** Responses that are made here without anybody waiting, at once. */
const RUNNING_MAX = 64;
const RETRY_AFTER_MS = 5_000;

/** One response that is being made, and what was said of it. */
class Making {
  readonly abort = new AbortController();
  /** Resolves once what there is of it is kept. */
  readonly ended = Promise.withResolvers<void>();
  readonly #said: ToldPart[] = [];
  #isOver = false;
  #more = Promise.withResolvers<void>();

  readonly say = (part: ToldPart): void => {
    this.#said.push(part);
    this.#wake();
  };

  end(): void {
    this.#isOver = true;
    this.#wake();
    this.ended.resolve();
  }

  /** From the first word on. */
  async *follow(signal: AbortSignal): AsyncGenerator<ToldPart> {
    const left = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => left.resolve(), { once: true });
    for (let at = 0; !signal.aborted; at++) {
      while (at >= this.#said.length && !this.#isOver && !signal.aborted) {
        await Promise.race([this.#more.promise, left.promise]);
      }
      const part = this.#said[at];
      if (part === undefined) return;
      yield part;
    }
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers<void>();
  }
}

/** What a piece of work is told and tells. */
export interface MakingView {
  readonly signal: AbortSignal;
  /** Shows a part to whoever follows. */
  readonly say: (part: ToldPart) => void;
}

/** Work that goes on after its request was answered, by the id of its response. */
export class Background {
  readonly #running = new Map<string, Making>();

  /** @throws UnavailableError `queue_full` when there is too much of it; `work` must not reject. */
  start(id: string, work: (view: MakingView) => Promise<void>): void {
    if (this.#running.size >= RUNNING_MAX) {
      const message = `${RUNNING_MAX} background responses are being made here already`;
      throw new UnavailableError("queue_full", message, { retryAfterMs: RETRY_AFTER_MS });
    }
    const making = new Making();
    this.#running.set(id, making);
    const { abort: { signal }, say } = making;
    void work({ signal, say }).finally(() => {
      this.#running.delete(id);
      making.end();
    });
  }

  /** Whether it is made here. */
  has(id: string): boolean {
    return this.#running.has(id);
  }

  /** Ends it, and resolves once what there is of it is kept; false when it is not made here. */
  async cancel(id: string): Promise<boolean> {
    const making = this.#running.get(id);
    making?.abort.abort(new DOMException("The response was cancelled", "AbortError"));
    await making?.ended.promise;
    return making !== undefined;
  }

  /** What was said of it and is said until its end; undefined when it is not made here. */
  follow(id: string, signal: AbortSignal): AsyncGenerator<ToldPart> | undefined {
    return this.#running.get(id)?.follow(signal);
  }
}
