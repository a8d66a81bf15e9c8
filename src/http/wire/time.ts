/** The longest span a 64-bit count of nanoseconds can say, about 292 years: what "forever" looks like on the wire. */
export const DURATION_MS_MAX = Math.floor(2 ** 63 / 1e6);

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
