import { displayWidth } from "../../base/mod.ts";

/**
 * Breaks streamed text at words instead of at the terminal's edge. What was already written of a word that turns out
 * too long for its line is taken back and written again on the next one.
 */
export class WordWrap {
  readonly #columns: number;
  /** Cells used on the current line. Invariant: < columns. */
  #column = 0;
  /** The unfinished word at the line's end, as written so far. */
  #word = "";

  /** `columns` is the terminal's width, >= 20; lines end short of it so that the terminal never wraps by itself. */
  constructor(columns: number) {
    this.#columns = columns - 1;
  }

  /** What to write for the next piece of the answer. */
  push(text: string): string {
    let written = "";
    for (const char of text) written += this.#pushChar(char);
    return written;
  }

  #pushChar(char: string): string {
    if (char === "\n") {
      this.#column = 0;
      this.#word = "";
      return char;
    }
    const cells = char === "\t" ? 8 - this.#column % 8 : displayWidth(char);
    const isSpace = char === " " || char === "\t";
    const fits = this.#column + cells < this.#columns;
    if (fits) {
      this.#column += cells;
      this.#word = isSpace ? "" : this.#word + char;
      return char;
    }
    // A space at the edge becomes the line break itself.
    if (isSpace) return this.#breakLine("");
    return this.#breakLine(char);
  }

  #breakLine(char: string): string {
    const moved = this.#word;
    const movedCells = displayWidth(moved);
    const isWholeLine = movedCells >= this.#column;
    // A word longer than a line has nowhere to go: it is cut where the line ends.
    const carried = char === "" || isWholeLine ? "" : moved;
    this.#word = carried + char;
    this.#column = displayWidth(this.#word);
    const takeBack = carried === "" ? "" : `\x1b[${movedCells}D\x1b[K`;
    return `${takeBack}\n${carried}${char}`;
  }
}
