import type { SequenceEvent } from "../protocol/mod.ts";

/**
 * Events of one answer between the pipe and whoever reads them. A slow reader makes later tokens join the last waiting
 * event, so that what waits is bounded by the answer itself (`predictTokensMax`) and the pipe is never held up.
 */
export class EventQueue {
  #events: SequenceEvent[] = [];
  #wake: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;

  push(event: SequenceEvent): void {
    const last = this.#events.at(-1);
    if (last?.kind === "tokens" && event.kind === "tokens") {
      const tokens = [...last.tokens, ...event.tokens];
      this.#events[this.#events.length - 1] = { kind: "tokens", tokens };
    } else {
      this.#events.push(event);
    }
    this.#wake?.();
  }

  /** Ends the queue: what waits is still read, then `error` is thrown. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  /** The next event, in order. */
  async next(): Promise<SequenceEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#failure !== undefined) throw this.#failure.error;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }
}
