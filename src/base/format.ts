/** Text for people: sizes, spans, tables. Wordings and units are the contract's (section 5). */

const DECIMAL_UNITS: readonly (readonly [string, number])[] = [
  ["TB", 1e12],
  ["GB", 1e9],
  ["MB", 1e6],
  ["KB", 1e3],
];
const BINARY_UNITS: readonly (readonly [string, number])[] = [
  ["TiB", 2 ** 40],
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
];
const COUNT_UNITS = [
  { name: "B", size: 1e9, decimals: 1 },
  { name: "M", size: 1e6, decimals: 2 },
  { name: "K", size: 1e3, decimals: 0 },
] as const;

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_HOURS = 24;
const WEEK_HOURS = 7 * DAY_HOURS;
const MONTH_HOURS = 30 * DAY_HOURS;
const YEAR_HOURS = 365 * DAY_HOURS;

/** Spaces between two columns. */
const COLUMN_GAP = "    ";

/** `4.7 GB`, `815 MB`, `12 B`: powers of 1000; from 10 of a unit on whole numbers. Takes bytes >= 0. */
export function formatBytes(bytes: number): string {
  return formatUnits(bytes, DECIMAL_UNITS) ?? `${Math.floor(bytes)} B`;
}

/** `5.6 GiB`: powers of 1024, for memory. Takes bytes >= 0. */
export function formatBinaryBytes(bytes: number): string {
  return formatUnits(bytes, BINARY_UNITS) ?? `${Math.floor(bytes)} B`;
}

/** `70.6B`, `134.52M`, `7B`, `12`: parameters of a model, as `ollama show` prints them. Takes a count >= 0. */
export function formatCount(count: number): string {
  const unit = COUNT_UNITS.find(({ size }) => count >= size);
  if (unit === undefined) return String(count);
  const value = count / unit.size;
  return `${value.toFixed(Number.isInteger(value) ? 0 : unit.decimals)}${unit.name}`;
}

/** `3 minutes`, `About an hour`, `2 weeks`. Takes milliseconds >= 0. */
export function formatSpan(spanMs: number): string {
  const seconds = Math.floor(spanMs / SECOND_MS);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(spanMs / MINUTE_MS);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(spanMs / HOUR_MS);
  if (hours === 1) return "About an hour";
  if (hours < 2 * DAY_HOURS) return `${hours} hours`;
  if (hours < 2 * WEEK_HOURS) return `${Math.floor(hours / DAY_HOURS)} days`;
  if (hours < 2 * MONTH_HOURS) return `${Math.floor(hours / WEEK_HOURS)} weeks`;
  if (hours < 2 * YEAR_HOURS) return `${Math.floor(hours / MONTH_HOURS)} months`;
  return `${Math.floor(hours / YEAR_HOURS)} years`;
}

/** `3 days ago` or `4 minutes from now`. Both in milliseconds of one clock. */
export function formatRelativeTime(
  times: { readonly atMs: number; readonly nowMs: number },
): string {
  const spanMs = times.nowMs - times.atMs;
  return spanMs < 0 ? `${formatSpan(-spanMs)} from now` : `${formatSpan(spanMs)} ago`;
}

/** Left-aligned columns with four spaces between them; short rows are allowed. One line per row, no end of line. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, displayWidth(cell));
    }
  }
  return rows.map((row) =>
    row.map((cell, column) => padEnd(cell, widths[column] ?? 0)).join(COLUMN_GAP).trimEnd()
  );
}

const WIDE =
  /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303f\uff01-\uff60]$/u;
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u;

/** Terminal cells of a text without control characters: 2 for wide letters, 0 for combining ones. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += ZERO_WIDTH.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return width;
}

function padEnd(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - displayWidth(text)));
}

function formatUnits(
  value: number,
  units: readonly (readonly [string, number])[],
): string | undefined {
  const found = units.find(([, size]) => value >= size);
  if (found === undefined) return undefined;
  const [unit, size] = found;
  const amount = value / size;
  const text = amount >= 10 || Number.isInteger(amount)
    ? String(Math.floor(amount))
    : amount.toFixed(1);
  return `${text} ${unit}`;
}
