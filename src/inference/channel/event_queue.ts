import type { AnswerToken, SequenceEvent } from "../../protocol/mod.ts";

/** Events of one answer between the channel they come over and whoever reads them. What waits is never copied again. */
export class EventQueue {
  readonly #events: SequenceEvent[] = [];
  /** Of the last waiting event, when it is the queue's own. */
  #gathering: AnswerToken[] | undefined;
  #waitingTokens = 0;
  #wake: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  readonly #tokensMax: number;

  /** More waiting tokens than `tokensMax` leave no {@link room}. */
  constructor(tokensMax: number) {
    this.#tokensMax = tokensMax;
  }

  /** Tokens that wait. */
  get waitingTokens(): number {
    return this.#waitingTokens;
  }

  /** After {@link fail} nothing is taken any more. */
  push(event: SequenceEvent): void {
    if (this.#failure !== undefined) return;
    if (event.kind === "tokens") this.#gather(event.tokens);
    else {
      this.#gathering = undefined;
      this.#events.push(event);
    }
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
    if (this.#waitingTokens <= this.#tokensMax || this.#failure !== undefined) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** The next event, in order; all tokens that wait come as one. One reader at a time. */
  async next(): Promise<SequenceEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) {
        if (event.kind === "tokens") this.#taken(event.tokens.length);
        return event;
      }
      if (this.#failure !== undefined) throw this.#failure.error;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }

  #gather(tokens: readonly AnswerToken[]): void {
    this.#waitingTokens += tokens.length;
    if (this.#gathering === undefined) {
      const last = this.#events.at(-1);
      if (last?.kind !== "tokens") {
        this.#events.push({ kind: "tokens", tokens });
        return;
      }
      // Copied once, into a list that grows from then on.
      this.#gathering = [...last.tokens];
      this.#events[this.#events.length - 1] = { kind: "tokens", tokens: this.#gathering };
    }
    for (const token of tokens) this.#gathering.push(token);
  }

  #taken(count: number): void {
    this.#waitingTokens -= count;
    if (this.#events.length === 0) this.#gathering = undefined;
    if (this.#waitingTokens > this.#tokensMax) return;
    this.#room?.resolve();
    this.#room = undefined;
  }
}
