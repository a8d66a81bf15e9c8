import { type ProgressRow, RateMeter, renderProgress } from "./progress.ts";
import type { Output, Terminal } from "./terminal.ts";

/** One line of a transfer as the API sends it. */
export interface ProgressLine {
  readonly status: string;
  readonly total?: number | undefined;
  readonly completed?: number | undefined;
}

interface Tracked {
  row: ProgressRow;
  readonly meter: RateMeter;
}

const FRAME_MS = 100;
const SYNC_BEGIN = "\x1b[?2026h";
const SYNC_END = "\x1b[?2026l";

/**
 * Shows progress lines on stderr: repainted in place on a terminal, each status once otherwise. Lines with the same
 * status update one row. Call {@link ProgressView.end} in any case, or its timer keeps painting.
 */
export class ProgressView {
  readonly #output: Output;
  readonly #terminal: Terminal;
  readonly #rows = new Map<string, Tracked>();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #frame = 0;
  #paintedLines = 0;

  constructor(terminal: Terminal) {
    this.#output = terminal.err;
    this.#terminal = terminal;
    if (this.#output.isTerminal) this.#timer = setInterval(() => this.#paint(), FRAME_MS);
  }

  /** Takes the next line; every earlier plain status counts as done. */
  show(line: ProgressLine): void {
    const isFirst = !this.#rows.has(line.status);
    if (isFirst) this.#finishStatuses();
    const tracked = this.#rows.get(line.status) ??
      { row: { label: line.status, state: "running" }, meter: new RateMeter() };
    if (line.total !== undefined) {
      const completed = line.completed ?? 0;
      tracked.meter.add(performance.now(), completed);
      const bytesPerSecond = tracked.meter.bytesPerSecond();
      tracked.row = {
        label: line.status,
        total: line.total,
        completed,
        state: completed >= line.total ? "done" : "running",
        ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      };
    }
    this.#rows.set(line.status, tracked);
    if (isFirst && !this.#output.isTerminal) this.#output.write(`${line.status}\n`);
  }

  /** Stops painting; `keep` leaves the last picture, `clear` removes it. */
  end(picture: "keep" | "clear"): void {
    clearInterval(this.#timer);
    if (!this.#output.isTerminal) return;
    this.#finishStatuses();
    if (picture === "keep") this.#paint();
    else this.#output.write(this.#backToStart());
  }

  #finishStatuses(): void {
    for (const tracked of this.#rows.values()) {
      if (tracked.row.total === undefined) tracked.row = { ...tracked.row, state: "done" };
    }
  }

  #paint(): void {
    const rows = [...this.#rows.values()].map(({ row }) => row);
    // What has scrolled out of a terminal can't be repainted: only the last rows stay alive.
    const alive = rows.slice(1 - this.#terminal.rows());
    const columns = this.#terminal.columns() - 1;
    const lines = renderProgress(alive, { columns, frame: this.#frame++ });
    const body = lines.map((line) => `${line}\x1b[K\n`).join("");
    this.#output.write(`${SYNC_BEGIN}${this.#backToStart()}${body}${SYNC_END}`);
    this.#paintedLines = lines.length;
  }

  #backToStart(): string {
    const up = this.#paintedLines === 0 ? "" : `\x1b[${this.#paintedLines}A`;
    return `${up}\r\x1b[J`;
  }
}
