import type { Clock } from "../ports/mod.ts";

/** What `work` comes to, unless the signal comes first: then its reason is thrown and the work goes on unwatched. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Why a {@link StallWatch} aborted. */
export class StalledError extends Error {
  override readonly name = "StalledError";
}

/** Aborts its signal when nothing was reported for a while, and with the signal it was made from. */
export class StallWatch {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #stallMs: number;
  readonly signal: AbortSignal;
  #timer: { cancel(): void };

  constructor(options: {
    readonly stallMs: number;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  }) {
    this.#clock = options.clock;
    this.#stallMs = options.stallMs;
    this.signal = AbortSignal.any([options.signal, this.#controller.signal]);
    this.#timer = this.#arm();
  }

  /** Something moved. */
  report(): void {
    this.#timer.cancel();
    this.#timer = this.#arm();
  }

  end(): void {
    this.#timer.cancel();
  }

  #arm(): { cancel(): void } {
    return this.#clock.after(this.#stallMs, () => {
      this.#controller.abort(new StalledError(`no byte for ${this.#stallMs} ms`));
    });
  }
}

/** Asks again and again whether work has ended, without piling up callbacks on it as racing each time would. */
export class Watched {
  #outcome: { readonly error?: unknown } | undefined;
  #wake: () => void = () => {};

  constructor(work: Promise<void>) {
    const end = (outcome: { readonly error?: unknown }) => {
      this.#outcome = outcome;
      this.#wake();
    };
    work.then(() => end({}), (error) => end({ error }));
  }

  /** True once the work has ended well, false after `delayMs`. @throws the work's failure, or the signal's reason. */
  async endsWithin(
    delayMs: number,
    { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = clock.after(delayMs, resolve);
    const onAbort = () => resolve();
    signal.addEventListener("abort", onAbort);
    if (this.#outcome === undefined && !signal.aborted) await promise;
    signal.removeEventListener("abort", onAbort);
    timer.cancel();
    signal.throwIfAborted();
    if (this.#outcome !== undefined && "error" in this.#outcome) throw this.#outcome.error;
    return this.#outcome !== undefined;
  }
}
