import { dirname } from "node:path";

/** Lines kept between runs. */
const LINES_MAX = 1_000;

/**
 * What was typed before, newest first. A history that can't be read or written is no reason to stop a conversation, so
 * both end quietly without one.
 */
export class History {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Newest first, as line editors want it. */
  load(): string[] {
    try {
      const lines = Deno.readTextFileSync(this.#path).split("\n").filter((line) => line !== "");
      return lines.slice(-LINES_MAX).reverse();
    } catch {
      return []; // The first run, or a folder that may not be read.
    }
  }

  /** Keeps `lines`, newest first, readable by nobody else: prompts are private. */
  save(lines: readonly string[]): void {
    const text = lines.slice(0, LINES_MAX).toReversed().map((line) => `${line}\n`).join("");
    const partial = `${this.#path}.partial`;
    try {
      Deno.mkdirSync(dirname(this.#path), { recursive: true });
      Deno.writeTextFileSync(partial, text, { mode: 0o600 });
      Deno.renameSync(partial, this.#path);
    } catch {
      return; // A read-only home: nothing is kept.
    }
  }
}
