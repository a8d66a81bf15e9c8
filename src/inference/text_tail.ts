/** Keeps the end of a byte stream: what a process said last. */
export class TextTail {
  readonly #bytesMax: number;
  #bytes = new Uint8Array(0);

  /** `bytesMax`: bytes kept. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Uint8Array): void {
    const joined = new Uint8Array(this.#bytes.length + chunk.length);
    joined.set(this.#bytes);
    joined.set(chunk, this.#bytes.length);
    this.#bytes = joined.slice(-this.#bytesMax);
  }

  text(): string {
    return new TextDecoder().decode(this.#bytes);
  }
}

/** Words llama.cpp and the system use when something went wrong. */
const FAILURE =
  /error|fail|invalid|\babort|assert|unable|cannot|not (found|within|enough)|out of memory|corrupt|unexpected/i;
/** Lines with such words that every good load has as well. */
const HARMLESS = /cannot be used with preferred buffer type/;
const LINES_SHOWN_MAX = 3;

/** Folders in front of a file's name: whoever reads the lines may be on another machine. */
const FOLDERS = /(?<![\w.])(?:[A-Za-z]:)?[\\/](?:[^\\/\s'"]+[\\/])+(?=[^\\/\s'"])/g;

/** The lines that say why a process ended: the last ones that speak of failure, else nothing. Files are named without folders. */
export function failureLines(text: string): string {
  const lines = text.split("\n").map((line) => line.trim())
    .filter((line) => FAILURE.test(line) && !HARMLESS.test(line));
  return [...new Set(lines)].slice(-LINES_SHOWN_MAX).join("; ").replaceAll(FOLDERS, "");
}
