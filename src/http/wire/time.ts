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

/** The longest span a 64-bit count of nanoseconds can say, about 292 years: what "forever" looks like on the wire. */
export const DURATION_MS_MAX = Math.floor(2 ** 63 / 1e6);

/** Milliseconds of a Go duration such as `1h30m` or `300ms` (negative with a leading `-`), or undefined. */
export function parseGoDuration(text: string): number | undefined {
  if (text === "0" || text === "-0" || text === "+0") return 0;
  if (!DURATION_PATTERN.test(text)) return undefined;
  let totalNs = 0;
  for (const [, amount, unit] of text.matchAll(PART_PATTERN)) {
    totalNs += Number(amount) * (UNIT_NS[unit ?? ""] ?? 0);
  }
  const totalMs = totalNs / 1e6;
  return text.startsWith("-") ? -totalMs : totalMs;
}

/** RFC 3339 in UTC with milliseconds, for `created_at`. `timeMs` counts from the Unix epoch. */
export function utcTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** RFC 3339 in the machine's own zone, for `modified_at` and `expires_at`. */
export function localTime(timeMs: number): string {
  const offsetMinutes = -new Date(timeMs).getTimezoneOffset();
  const shifted = new Date(timeMs + offsetMinutes * 60_000).toISOString().slice(0, -1);
  if (offsetMinutes === 0) return `${shifted}Z`;
  const sign = offsetMinutes < 0 ? "-" : "+";
  const size = Math.abs(offsetMinutes);
  return `${shifted}${sign}${twoDigits(Math.floor(size / 60))}:${twoDigits(size % 60)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
