import { type Style, styleFor } from "./style.ts";

/** One stream that people or programs read. */
export interface Output {
  /** Writes all of it before it returns; quietly stops the process when the reader is gone. */
  write(text: string): void;
  readonly isTerminal: boolean;
  readonly style: Style;
}

/** What a command reads. */
export interface Input {
  readonly isTerminal: boolean;
  /** Everything up to the end of input, as UTF-8. */
  readText(): Promise<string>;
  /** The next bytes, or null at the end of input. At most one call at a time. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Raw: keys arrive as they are pressed, Ctrl-C among them. Only on a terminal. */
  setRaw(on: boolean): void;
}

/** The three streams of a command, and how large the terminal is. */
export interface Terminal {
  readonly out: Output;
  readonly err: Output;
  readonly input: Input;
  /** Columns right now, >= 20; 80 where nobody says. */
  columns(): number;
  /** Lines right now, >= 2; 24 where nobody says. */
  rows(): number;
}

const COLUMNS_DEFAULT = 80;
const COLUMNS_MIN = 20;
const ROWS_DEFAULT = 24;
const ROWS_MIN = 2;

/** The process's own streams. `env` decides on colours: NO_COLOR and TERM=dumb turn them off. */
export function openTerminal(env: Readonly<Record<string, string>>): Terminal {
  return {
    out: openOutput(Deno.stdout, env),
    err: openOutput(Deno.stderr, env),
    input: {
      isTerminal: Deno.stdin.isTerminal(),
      // Standard input, not an answer.
      // deno-lint-ignore odist-cli/printable
      readText: () => new Response(Deno.stdin.readable).text(),
      read: (buffer) => Deno.stdin.read(buffer),
      setRaw: (on) => Deno.stdin.setRaw(on),
    },
    columns: () => Math.max(COLUMNS_MIN, findSize()?.columns ?? COLUMNS_DEFAULT),
    rows: () => Math.max(ROWS_MIN, findSize()?.rows ?? ROWS_DEFAULT),
  };
}

function findSize(): { readonly columns: number; readonly rows: number } | undefined {
  try {
    return Deno.consoleSize();
  } catch {
    return undefined; // No stream of this process is a terminal.
  }
}

function openOutput(
  stream: { writeSync(bytes: Uint8Array): number; isTerminal(): boolean },
  env: Readonly<Record<string, string>>,
): Output {
  const encoder = new TextEncoder();
  const isTerminal = stream.isTerminal();
  return {
    isTerminal,
    style: styleFor(isTerminal && !env.NO_COLOR && env.TERM !== "dumb" ? "colours" : "plain"),
    write(text) {
      let bytes = encoder.encode(text);
      try {
        while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
      } catch (error) {
        // `odist list | head -1`: the reader has what it wanted.
        if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
        throw error;
      }
    },
  };
}
