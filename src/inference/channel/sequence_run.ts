import type { AnswerToken, SequenceEvent } from "../../protocol/mod.ts";

/** Tokens that wait for a slow reader; above, the other end is kept from making more. */
export const UNREAD_TOKENS_MAX = 1024;
/** Tokens read after which the other end is told: a word for each would cost more than it says. */
const TOLD_EVERY_TOKENS = UNREAD_TOKENS_MAX / 4;

/** What a run says to the other end of its channel. */
export interface RunVoice {
  /** Begins the run; its events come to the queue. @throws what every call fails with once the channel is lost. */
  start(queue: EventQueue): void;
  /** Cut it; its `finished` still comes. */
  cancel(): void;
  /** The reader took so many tokens since it was last told. */
  taken(tokens: number): void;
  /** Nothing of it is wanted any more. */
  over(): void;
}

/**
 * One answer over a channel, read event by event. Begins with the first `next()`; aborting the signal cuts it, and so does
 * a reader that leaves.
 */
export class SequenceRun implements AsyncIterableIterator<SequenceEvent> {
  readonly #queue = new EventQueue(UNREAD_TOKENS_MAX);
  readonly #voice: RunVoice;
  readonly #signal: AbortSignal;
  readonly #cancel: () => void;
  #state: "new" | "running" | "over" = "new";
  #untold = 0;

  constructor(voice: RunVoice, signal: AbortSignal) {
    this.#voice = voice;
    this.#signal = signal;
    this.#cancel = () => voice.cancel();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<SequenceEvent, undefined>> {
    if (this.#state === "over") return OVER;
    if (this.#state === "new") {
      if (this.#signal.aborted) {
        this.#state = "over";
        return { value: CANCELLED, done: false };
      }
      this.#state = "running";
      this.#signal.addEventListener("abort", this.#cancel);
      try {
        this.#voice.start(this.#queue);
      } catch (error) {
        this.#end();
        throw error;
      }
    }
    try {
      const value = await this.#queue.next();
      if (value.kind === "tokens") this.#tell(value.tokens.length);
      if (value.kind === "finished") this.#end();
      return { value, done: false };
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  /** The reader leaves: its slot is freed as by an abort. */
  return(): Promise<IteratorResult<SequenceEvent, undefined>> {
    if (this.#state === "running") {
      this.#end();
      this.#voice.cancel();
    }
    this.#state = "over";
    return Promise.resolve(OVER);
  }

  #tell(tokens: number): void {
    this.#untold += tokens;
    if (this.#untold < TOLD_EVERY_TOKENS) return;
    this.#voice.taken(this.#untold);
    this.#untold = 0;
  }

  #end(): void {
    this.#state = "over";
    this.#signal.removeEventListener("abort", this.#cancel);
    // Whoever left unread tokens behind must not hold up the channel.
    this.#queue.fail(undefined);
    this.#voice.over();
  }
}

const OVER: IteratorResult<SequenceEvent, undefined> = { value: undefined, done: true };
const CANCELLED: SequenceEvent = {
  kind: "finished",
  reason: "cancelled",
  prefillNs: 0,
  decodeNs: 0,
};

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
