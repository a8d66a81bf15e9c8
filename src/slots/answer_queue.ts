import type { SequenceEvent } from "../protocol/mod.ts";

/** Tokens that wait for a slow reader; above, the stream is not read on, and the serving node comes to wait. */
const WAITING_TOKENS_MAX = 1024;

/** Events of one answer between the stream from another node and whoever reads them. */
export class AnswerQueue {
  readonly #events: SequenceEvent[] = [];
  #waitingTokens = 0;
  #wake: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  push(event: SequenceEvent): void {
    if (event.kind === "tokens") this.#waitingTokens += event.tokens.length;
    this.#events.push(event);
    this.#wake?.();
  }

  /** Ends the queue: what waits is still read, then `error` is thrown. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
    this.#room?.resolve();
  }

  /** A promise only when there is no room now. */
  room(): Promise<void> | undefined {
    if (this.#waitingTokens <= WAITING_TOKENS_MAX || this.#failure !== undefined) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** The next event, in order; all tokens that wait come as one. */
  async next(): Promise<SequenceEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event.kind === "tokens" ? this.#withMore(event) : event;
      if (this.#failure !== undefined) throw this.#failure.error;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }

  #withMore(first: Extract<SequenceEvent, { kind: "tokens" }>): SequenceEvent {
    const tokens = [...first.tokens];
    for (let next = this.#events[0]; next?.kind === "tokens"; next = this.#events[0]) {
      for (const token of next.tokens) tokens.push(token);
      this.#events.shift();
    }
    this.#waitingTokens = 0;
    this.#room?.resolve();
    this.#room = undefined;
    return { kind: "tokens", tokens };
  }
}
