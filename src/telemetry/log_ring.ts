import type { Clock, Log, LogLevel } from "../ports/mod.ts";
import { isLogged, jsonLine, withholdSecrets } from "./log.ts";

/** Lines kept: hours of a quiet node, minutes of a busy one. */
const LINES_MAX = 2_000;
/** A longer line is kept without its values, so that all of them together stay within 16 MB. */
const LINE_CHARS_MAX = 8 * 1024;

/** What a ring is made of. */
export interface LogRingParts {
  /** Every line is passed on to it, whatever its level. */
  readonly next: Log;
  /** Lines below this level are not kept. */
  readonly level: LogLevel;
  readonly clock: Clock;
}

/** A log that remembers its last lines, secrets withheld, for whoever asks the node over the network. */
export class LogRing implements Log {
  readonly #parts: LogRingParts;
  /** Invariant: holds the lines `#written - #lines.length` up to, without, `#written`. */
  readonly #lines: string[] = [];
  #written = 0;
  /** Resolves when the next line is written; there only while somebody waits. */
  #more: PromiseWithResolvers<void> | undefined;

  constructor(parts: LogRingParts) {
    this.#parts = parts;
  }

  log(level: LogLevel, event: string, values: Readonly<Record<string, unknown>> = {}): void {
    const { next, level: lowest, clock } = this.#parts;
    next.log(level, event, values);
    if (!isLogged(level, lowest)) return;
    const head = { time: new Date(clock.nowMs()).toISOString(), level, event };
    const whole = jsonLine(head, withholdSecrets(values));
    this.#lines.push(whole.length <= LINE_CHARS_MAX ? whole : jsonLine(head, { shortened: true }));
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
    this.#written++;
    this.#wake();
  }

  /**
   * The last `lines` lines, oldest first. With `follow`, goes on with each new line until the signal; a reader too slow
   * for the ring gets a line `log_lines_skipped` with their `count` in the place of those it missed.
   */
  async *read(
    wanted: { readonly lines: number; readonly follow: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<Readonly<Record<string, unknown>>> {
    let position = Math.max(this.#oldest(), this.#written - wanted.lines);
    const end = wanted.follow ? Infinity : this.#written;
    // Wakes the other readers too, who find nothing and wait again: a race against the signal would gather one waiter per line.
    const onAbort = () => this.#wake();
    signal.addEventListener("abort", onAbort);
    try {
      while (position < end && !signal.aborted) {
        if (position === this.#written) {
          this.#more ??= Promise.withResolvers<void>();
          await this.#more.promise;
          continue;
        }
        const skipped = this.#oldest() - position;
        if (skipped > 0) {
          position += skipped;
          yield { event: "log_lines_skipped", count: skipped };
        } else yield JSON.parse(this.#lines[position++ - this.#oldest()] ?? "{}");
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #wake(): void {
    this.#more?.resolve();
    this.#more = undefined;
  }

  #oldest(): number {
    return this.#written - this.#lines.length;
  }
}
