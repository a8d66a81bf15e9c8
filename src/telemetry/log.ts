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
export function isLogged(level: LogLevel, lowest: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(lowest);
}

interface LineHead {
  readonly time: string;
  readonly level: LogLevel;
  readonly event: string;
}

/** One line as an object, without its newline. */
export function jsonLine(head: LineHead, values: Record<string, unknown>): string {
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
export function withholdSecrets(
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
