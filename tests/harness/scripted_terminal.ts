/**
 * A terminal for tests: takes keys, keeps what was written.
 *
 * @module
 */
import { styleFor } from "../../src/cli/terminal/style.ts";
import type { Output, Terminal } from "../../src/cli/terminal/terminal.ts";

/** What a terminal begins with. */
interface ScriptedTerminalOptions {
  /** Whether all three streams are a terminal. */
  readonly isTerminal?: boolean;
  /** What is piped in. */
  readonly piped?: string;
  readonly columns?: number;
  readonly rows?: number;
}

/** Keeps everything that was written; keys are pressed by the test. */
export class ScriptedTerminal implements Terminal {
  readonly out: Output;
  readonly err: Output;
  readonly input: Terminal["input"];
  outText = "";
  errText = "";
  readonly #columns: number;
  readonly #rows: number;
  readonly #keys: string[] = [];
  readonly #watchers = new Set<() => void>();
  #pending: ((text: string | null) => void) | undefined;

  constructor(options: ScriptedTerminalOptions = {}) {
    const isTerminal = options.isTerminal ?? false;
    const style = styleFor("plain");
    this.#columns = options.columns ?? 80;
    this.#rows = options.rows ?? 24;
    this.out = { isTerminal, style, write: (text) => this.#note(() => this.outText += text) };
    this.err = { isTerminal, style, write: (text) => this.#note(() => this.errText += text) };
    this.input = {
      isTerminal,
      readText: () => Promise.resolve(options.piped ?? ""),
      read: (buffer) => this.#read(buffer),
      setRaw: () => {},
    };
  }

  columns(): number {
    return this.#columns;
  }

  rows(): number {
    return this.#rows;
  }

  /** Types; the program reads it when it asks for it. */
  press(keys: string): void {
    if (this.#pending === undefined) this.#keys.push(keys);
    else this.#pending(keys);
  }

  /** Resolves as soon as standard output holds `text`; `since` skips what was there before. */
  async shows(text: string, since = 0): Promise<void> {
    while (!this.outText.slice(since).includes(text)) {
      const changed = Promise.withResolvers<void>();
      this.#watchers.add(changed.resolve);
      await changed.promise;
      this.#watchers.delete(changed.resolve);
    }
  }

  async #read(buffer: Uint8Array): Promise<number | null> {
    const { promise, resolve } = Promise.withResolvers<string | null>();
    const ready = this.#keys.shift();
    if (ready === undefined) this.#pending = resolve;
    else resolve(ready);
    const text = await promise;
    this.#pending = undefined;
    if (text === null) return null;
    return new TextEncoder().encodeInto(text, buffer).written;
  }

  #note(change: () => void): void {
    change();
    for (const watch of this.#watchers) watch();
  }
}
