import { printableJson } from "../base/mod.ts";
import type { Clock, Log, LogLevel } from "../ports/mod.ts";

/** Severities, least first. */
const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/** Keys whose values never reach a line, in whatever case and wherever they are nested. */
const SECRET_KEY =
  /^(?:prompt|content|messages|authorization|cookie|password|secret|token|apikey|api_key|privatekey|private_key)$/i;
/** Nesting printed at most; deeper values only say that they are there. */
const DEPTH_MAX = 4;

/** How lines are written. */
export interface LogOptions {
  /** Lines below this level are dropped. */
  readonly level: LogLevel;
  /** `json`: one object per line; `text`: for people. */
  readonly format: "json" | "text";
  readonly clock: Clock;
  /** Takes one whole line with its newline. Default: standard error, at once, so that a crash loses nothing. */
  readonly write?: (line: string) => void;
}

/** A log that filters by level and withholds values under secret keys. */
export function createLog(options: LogOptions): Log {
  const { format, clock, write = writeStderr } = options;
  const shape = format === "json" ? jsonLine : textLine;
  return {
    log(level, event, values = {}) {
      if (!isLogged(level, options.level)) return;
      const time = new Date(clock.nowMs()).toISOString();
      write(`${shape({ time, level, event }, withholdSecrets(values))}\n`);
    },
  };
}

/** Whether a line of `level` passes where `lowest` is the least that does. */
function isLogged(level: LogLevel, lowest: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(lowest);
}

interface LineHead {
  readonly time: string;
  readonly level: LogLevel;
  readonly event: string;
}

/** One line as an object, without its newline. */
function jsonLine(head: LineHead, values: Record<string, unknown>): string {
  // The head goes last so that no value can pose as it.
  return printableJson({ ...head, ...values, ...head });
}

function textLine(head: LineHead, values: Record<string, unknown>): string {
  const shown = Object.entries(values).map(([key, value]) => ` ${key}=${textValue(value)}`);
  return `${head.time} ${head.level.toUpperCase().padEnd(5)} ${head.event}${shown.join("")}`;
}

function textValue(value: unknown): string {
  if (typeof value === "string") return /^[\w./:@+-]+$/.test(value) ? value : printableJson(value);
  return printableJson(value) || "undefined";
}

/** A copy that may be printed: no values under secret keys, nothing nested without end, no bigint. */
function withholdSecrets(
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, loggable(key, value, DEPTH_MAX)]),
  );
}

function loggable(key: string, value: unknown, depthLeft: number): unknown {
  if (SECRET_KEY.test(key)) return "[withheld]";
  if (typeof value === "bigint") return String(value);
  if (value instanceof Error) return value.stack ?? value.message;
  if (typeof value !== "object" || value === null) return value;
  if (depthLeft === 0) return "[nested]";
  if (Array.isArray(value)) return value.map((item) => loggable("", item, depthLeft - 1));
  return Object.fromEntries(
    Object.entries(value).map(([inner, item]) => [inner, loggable(inner, item, depthLeft - 1)]),
  );
}

const encoder = new TextEncoder();

function writeStderr(line: string): void {
  let bytes = encoder.encode(line);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
}

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
