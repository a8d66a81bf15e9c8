import { PassThrough, Writable } from "node:stream";
import { createInterface, type Interface } from "node:readline";
import type { Terminal } from "../terminal/mod.ts";
import type { History } from "./history.ts";
import { type KeyToken, KeyTokenizer } from "./key_tokens.ts";
import type { LineEnding } from "./line_assembler.ts";

/** What the conversation does with what is typed. */
export interface LineEvents {
  /** A line was typed. Until the returned promise settles, further input waits, but for Ctrl-C. */
  line(text: string, ending: LineEnding): Promise<"again" | "leave">;
  /** Ctrl-C while a line is being worked on. */
  interrupt(): void;
  /** Ctrl-C at the prompt: the line was cleared already. */
  clear(): void;
  /** Ctrl-G: takes the line so far, returns what an editor made of it. */
  edit(text: string): Promise<string>;
  complete(text: string): readonly string[];
}

/** What the prompt shows. */
export interface Prompt {
  readonly text: string;
  /** Grey, and gone with the first key; "" for none. */
  readonly placeholder: string;
}

const PASTE_ON = "\x1b[?2004h";
const PASTE_OFF = "\x1b[?2004l";

/**
 * Reads lines from a terminal in raw mode. The editing itself (cursor, words, history) is node:readline's; this class
 * stands between keyboard and readline, because Ctrl-C must reach a running answer, Ctrl-J and pasted text must not send,
 * and what is typed ahead must wait its turn.
 */
export class LineEditor {
  readonly #terminal: Terminal;
  readonly #events: LineEvents;
  readonly #prompt: () => Prompt;
  readonly #keys = new PassThrough();
  readonly #readline: Interface;
  readonly #tokenizer = new KeyTokenizer();
  #waiting: KeyToken[] = [];
  #ending: LineEnding = "enter";
  #mode: "editing" | "working" | "closed" = "editing";
  #placeholderShown = false;
  #history: readonly string[];

  constructor(
    terminal: Terminal,
    options: {
      readonly events: LineEvents;
      readonly prompt: () => Prompt;
      readonly history: History;
    },
  ) {
    this.#terminal = terminal;
    this.#events = options.events;
    this.#prompt = options.prompt;
    this.#history = options.history.load();
    this.#readline = createInterface({
      input: this.#keys,
      output: outputFor(terminal),
      terminal: true,
      history: [...this.#history],
      historySize: 1_000,
      removeHistoryDuplicates: true,
      completer: (text: string) => [[...this.#events.complete(text)], text],
    });
    this.#readline.on("history", (lines: string[]) => this.#history = [...lines]);
    this.#readline.on("line", (text: string) => this.#onLine(text));
  }

  /** What was typed in all, newest first. */
  get history(): readonly string[] {
    return this.#history;
  }

  /** Reads until a line says to leave, or the input ends. */
  async run(): Promise<void> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(64 * 1024);
    this.#setRaw(true);
    const onResize = () => this.#readline.emit("resize");
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGWINCH", onResize);
    try {
      this.#showPrompt();
      while (this.#mode !== "closed") {
        const count = await this.#read(buffer);
        if (count === null) break;
        const text = decoder.decode(buffer.subarray(0, count), { stream: true });
        for (const token of this.#tokenizer.push(text)) this.#take(token);
        await this.#drain("reading");
      }
    } finally {
      if (Deno.build.os !== "windows") Deno.removeSignalListener("SIGWINCH", onResize);
      this.#readline.close();
      this.#setRaw(false);
    }
  }

  #closed = Promise.withResolvers<null>();

  /** A line may end the conversation while a read is under way; that read is then nobody's. */
  #read(buffer: Uint8Array): Promise<number | null> {
    return Promise.race([this.#terminal.input.read(buffer), this.#closed.promise]);
  }

  #take(token: KeyToken): void {
    if (token.kind === "interrupt" && this.#mode === "working") {
      // Whoever stops an answer does not want what was typed ahead of it either.
      this.#waiting = [];
      this.#events.interrupt();
    } else this.#waiting.push(token);
  }

  /** `reading`: nobody else reads the keyboard right now, so that an editor may. */
  async #drain(caller: "reading" | "elsewhere"): Promise<void> {
    while (this.#mode === "editing") {
      const token = this.#waiting.shift();
      if (token === undefined) return;
      this.#hidePlaceholder();
      if (token.kind === "editor") {
        if (caller === "reading") await this.#edit();
      } else this.#obey(token);
    }
  }

  #obey(token: Exclude<KeyToken, { kind: "editor" }>): void {
    switch (token.kind) {
      case "keys":
        return this.#feed(token.text);
      case "enter":
      case "soft_enter":
        this.#ending = token.kind === "enter" ? "enter" : "soft";
        return this.#feed("\r");
      case "interrupt":
        this.#clearLine();
        this.#events.clear();
        if (this.#readline.line === "") this.#terminal.out.write("\r\x1b[K");
        return this.#showPrompt();
      case "end":
        // Within a line Ctrl-D deletes the letter under the cursor, as in every shell.
        return this.#readline.line === "" ? this.#close() : this.#feed("\x04");
      case "suspend":
        return this.#suspend();
    }
  }

  #onLine(text: string): void {
    this.#mode = "working";
    this.#events.line(text, this.#ending).then((next) => {
      if (next === "leave") return this.#close();
      this.#mode = "editing";
      this.#showPrompt();
      return this.#drain("elsewhere");
    }, (error) => {
      this.#mode = "closed";
      this.#closed.reject(error);
    });
  }

  #close(): void {
    this.#mode = "closed";
    this.#closed.resolve(null);
  }

  async #edit(): Promise<void> {
    const before = this.#readline.line;
    this.#setRaw(false);
    const text = await this.#events.edit(before);
    this.#setRaw(true);
    this.#clearLine();
    this.#showPrompt();
    const lines = text.replace(/\n+$/, "").split("\n");
    for (const [index, line] of lines.entries()) {
      this.#waiting.push({ kind: "keys", text: line });
      if (index < lines.length - 1) this.#waiting.push({ kind: "soft_enter" });
    }
  }

  #suspend(): void {
    if (Deno.build.os === "windows") return;
    const onContinue = () => {
      Deno.removeSignalListener("SIGCONT", onContinue);
      this.#setRaw(true);
      this.#readline.prompt(true);
    };
    Deno.addSignalListener("SIGCONT", onContinue);
    this.#setRaw(false);
    Deno.kill(Deno.pid, "SIGTSTP");
  }

  #clearLine(): void {
    this.#readline.write(null, { ctrl: true, name: "e" });
    this.#readline.write(null, { ctrl: true, name: "u" });
  }

  /** Readline takes keys from a stream's "data"; emitting it is the one way that is done when the call returns. */
  #feed(text: string): void {
    this.#keys.emit("data", new TextEncoder().encode(text));
  }

  #showPrompt(): void {
    const { text, placeholder } = this.#prompt();
    this.#readline.setPrompt(text);
    this.#readline.prompt();
    if (placeholder === "" || this.#waiting.length > 0) return;
    const { out } = this.#terminal;
    out.write(`${out.style.grey(placeholder)}\x1b[${placeholder.length}D`);
    this.#placeholderShown = true;
  }

  #hidePlaceholder(): void {
    if (this.#placeholderShown) this.#terminal.out.write("\x1b[K");
    this.#placeholderShown = false;
  }

  #setRaw(on: boolean): void {
    this.#terminal.input.setRaw(on);
    this.#terminal.out.write(on ? PASTE_ON : PASTE_OFF);
  }
}

/** The terminal as readline wants its output: a stream that knows how wide it is. */
function outputFor(terminal: Terminal): Writable {
  const output = new Writable({
    decodeStrings: false,
    write(chunk: string | Uint8Array, _encoding, done) {
      terminal.out.write(typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk));
      done();
    },
  });
  Object.defineProperty(output, "columns", { get: () => terminal.columns() });
  return output;
}
