import { displayWidth, formatBytes } from "../../base/mod.ts";

/** One line of progress: a plain status, or a transfer with a bar. */
export interface ProgressRow {
  readonly label: string;
  /** Bytes; undefined for a status without a bar. */
  readonly total?: number;
  readonly completed?: number;
  /** Bytes per second lately; undefined while unknown. */
  readonly bytesPerSecond?: number;
  readonly state: "running" | "done";
}

const SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const BAR_CELLS_MAX = 24;
/** Samples older than this no longer count for the rate. */
const RATE_WINDOW_MS = 5_000;

/** The rows as terminal lines, none wider than `columns`; `frame` turns the spinner. */
export function renderProgress(
  rows: readonly ProgressRow[],
  view: { readonly columns: number; readonly frame: number },
): string[] {
  return rows.map((row) => {
    if (row.total === undefined) {
      const spinner = SPINNER[view.frame % SPINNER.length] ?? "";
      return clip(row.state === "done" ? row.label : `${row.label} ${spinner}`, view.columns);
    }
    return renderBar(row, row.total, view.columns);
  });
}

function renderBar(row: ProgressRow, total: number, columns: number): string {
  const completed = row.state === "done" ? total : Math.min(total, row.completed ?? 0);
  const percent = total === 0 ? 100 : Math.floor(completed / total * 100);
  const head = `${row.label}: ${String(percent).padStart(3)}% `;
  const tail = row.state === "done" ? ` ${formatBytes(total)}` : ` ${
    [
      `${formatBytes(completed)}/${formatBytes(total)}`,
      row.bytesPerSecond === undefined ? "" : `${formatBytes(row.bytesPerSecond)}/s`,
      formatEta(total - completed, row.bytesPerSecond),
    ].join("   ").trimEnd()
  }`;
  const room = columns - displayWidth(head) - displayWidth(tail) - 2;
  const cells = Math.max(0, Math.min(BAR_CELLS_MAX, room));
  const filled = total === 0 ? cells : Math.floor(completed / total * cells);
  const bar = cells < 3 ? "" : `▕${"█".repeat(filled)}${" ".repeat(cells - filled)}▏`;
  return clip(`${head}${bar}${tail}`, columns);
}

/** `47s`, `3m5s`, `2h10m`; "" when nothing can be said. */
function formatEta(bytes: number, bytesPerSecond: number | undefined): string {
  if (bytesPerSecond === undefined || bytesPerSecond <= 0) return "";
  const seconds = Math.round(bytes / bytesPerSecond);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${seconds % 60}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 100 ? `${hours}h${minutes % 60}m` : "99h+";
}

function clip(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let kept = "";
  for (const char of text) {
    if (displayWidth(kept + char) > columns - 1) break;
    kept += char;
  }
  return `${kept}…`;
}

/** Bytes per second over the last seconds. */
export class RateMeter {
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** `bytes` is the running total at `atMs`. */
  add(atMs: number, bytes: number): void {
    this.#samples.push({ atMs, bytes });
    const oldestMs = atMs - RATE_WINDOW_MS;
    // One sample older than the window stays, so that a slow transfer still has a span to measure.
    while ((this.#samples[1]?.atMs ?? Infinity) <= oldestMs) this.#samples.shift();
  }

  /** Undefined until two samples lie apart in time. */
  bytesPerSecond(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
    return (last.bytes - first.bytes) / (last.atMs - first.atMs) * 1_000;
  }
}
