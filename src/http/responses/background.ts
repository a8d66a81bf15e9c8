import { UnavailableError } from "../../base/mod.ts";

/** Responses that are made here without anybody waiting, at once. */
const RUNNING_MAX = 64;
const RETRY_AFTER_MS = 5_000;

/** Work that goes on after its request was answered, by the id of its response. */
export class Background {
  readonly #running = new Map<string, AbortController>();

  /** @throws UnavailableError `queue_full` when there is too much of it; `work` must not reject. */
  start(id: string, work: (signal: AbortSignal) => Promise<void>): void {
    if (this.#running.size >= RUNNING_MAX) {
      const message = `${RUNNING_MAX} background responses are being made here already`;
      throw new UnavailableError("queue_full", message, { retryAfterMs: RETRY_AFTER_MS });
    }
    const abort = new AbortController();
    this.#running.set(id, abort);
    void work(abort.signal).finally(() => this.#running.delete(id));
  }

  /** Ends it; false when there is none. */
  cancel(id: string): boolean {
    const abort = this.#running.get(id);
    this.#running.delete(id);
    abort?.abort(new DOMException("The response was cancelled", "AbortError"));
    return abort !== undefined;
  }
}
