/** Nanoseconds per unit of a Go duration. */
const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "µs": 1e3,
  "μs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const DURATION_PATTERN = /^[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const PART_PATTERN = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/** Milliseconds of a Go duration such as `1h30m` or `300ms` (negative with a leading `-`), or undefined. */
export function parseGoDuration(text: string): number | undefined {
  if (/^[-+]?0$/.test(text)) return 0;
  if (!DURATION_PATTERN.test(text)) return undefined;
  let totalNs = 0;
  for (const [, amount, unit] of text.matchAll(PART_PATTERN)) {
    totalNs += Number(amount) * (UNIT_NS[unit ?? ""] ?? 0);
  }
  return (text.startsWith("-") ? -totalNs : totalNs) / 1e6;
}

const SHOWN_UNITS: readonly (readonly [string, number])[] = [["h", 3_600_000], ["m", 60_000]];

/** The shortest text that {@link parseGoDuration} reads back: `5m`, `1h30m`, `1.5s`, `300ms`. Takes milliseconds >= 0. */
export function formatGoDuration(durationMs: number): string {
  if (durationMs > 0 && durationMs < 1_000) return `${durationMs}ms`;
  let restMs = durationMs;
  let text = "";
  for (const [unit, unitMs] of SHOWN_UNITS) {
    const count = Math.floor(restMs / unitMs);
    if (count > 0) text += `${count}${unit}`;
    restMs -= count * unitMs;
  }
  return restMs > 0 || text === "" ? `${text}${Number((restMs / 1_000).toFixed(3))}s` : text;
}
