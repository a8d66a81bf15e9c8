import type { Output, Terminal } from "./terminal.ts";

const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const FRAME_MS = 100;

/** Turns on stderr until something is there to show. Nothing on anything but a terminal. */
export class Spinner {
  readonly #output: Output;
  #timer: ReturnType<typeof setInterval> | undefined;
  #frame = 0;

  constructor(terminal: Terminal) {
    this.#output = terminal.err;
    if (!terminal.err.isTerminal || !terminal.out.isTerminal) return;
    this.#timer = setInterval(() => this.#paint(), FRAME_MS);
  }

  /** Stops it and clears its cell; further calls do nothing. */
  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#frame > 0) this.#output.write("\r\x1b[K");
  }

  #paint(): void {
    this.#output.write(`\r${FRAMES[this.#frame++ % FRAMES.length]} `);
  }
}
