/**
 * One node of a membership bench: a process behind its wire, whose lines tell what it believes of the others.
 *
 * @module
 */
import type { Wires } from "./wires.ts";

const END_SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** What one node came to believe of another. */
export interface Verdict {
  readonly observer: number;
  readonly subject: number;
  readonly standing: "alive" | "suspect" | "down";
  /** When its line was read, by this process's clock. */
  readonly atMs: number;
}

/** A program that watches its peers, and how to read it. */
export interface Program {
  readonly name: string;
  /** Before a cluster is started; what it returns is called once node 0 runs and the others are about to. */
  invite?(wires: Wires): Promise<() => Promise<unknown>>;
  /** The command line of node `index`; `joins` holds addresses of others. */
  command(wires: Wires, index: number, joins: readonly number[]): readonly string[];
  /** What a line says, or undefined. */
  read(
    line: string,
  ): { readonly subject: number; readonly standing: Verdict["standing"] } | undefined;
}

/** A cluster of one program. */
export class ProgramCluster implements AsyncDisposable {
  readonly #program: Program;
  readonly #wires: Wires;
  readonly #processes = new Map<number, Deno.ChildProcess>();
  /** By observer and subject. */
  readonly #standings = new Map<string, "alive" | "down">();
  readonly #size: number;
  /** A run that is broken off leaves no processes behind. */
  readonly #onEnd = () => {
    for (const child of this.#processes.values()) child.kill("SIGKILL");
    Deno.exit(130);
  };
  /** Sees each verdict as it is read. */
  onVerdict: (verdict: Verdict) => void = () => {};
  /** Sees each line as it is read. */
  onLine: (observer: number, line: string) => void = () => {};

  constructor(program: Program, wires: Wires, size: number) {
    this.#program = program;
    this.#wires = wires;
    this.#size = size;
    for (const signal of END_SIGNALS) Deno.addSignalListener(signal, this.#onEnd);
  }

  /** Starts one node; it finds the others through node 0, or 1 when it is 0 itself. */
  start(index: number): void {
    const seed = index === 0 ? 1 : 0;
    const joins = this.#processes.has(seed) ? [seed] : [];
    const line = this.#program.command(this.#wires, index, joins);
    const [command = "", ...args] = this.#wires.command(index, line);
    const child = new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    for (let subject = 0; subject < this.#size; subject++) {
      this.#standings.delete(`${index} ${subject}`);
    }
    this.#processes.set(index, child);
    void this.#follow(index, child.stdout);
    void this.#follow(index, child.stderr);
  }

  /** As kill -9; returns when. */
  async kill(index: number): Promise<number> {
    const child = this.#processes.get(index);
    this.#processes.delete(index);
    child?.kill("SIGKILL");
    const atMs = performance.now();
    await child?.status;
    return atMs;
  }

  /** Of a running node. */
  pidOf(index: number): number | undefined {
    return this.#processes.get(index)?.pid;
  }

  /** Each running node holds each of these for alive, whatever it doubts, or for down. */
  holds(subjects: readonly number[], standing: "alive" | "down"): boolean {
    return [...this.#processes.keys()].every((observer) =>
      subjects.every((subject) =>
        observer === subject || this.#standings.get(`${observer} ${subject}`) === standing
      )
    );
  }

  /** Resolves with the time when a condition holds after a verdict; throws after `limitMs`. */
  until(limitMs: number, holds: () => boolean): Promise<number> {
    const done = Promise.withResolvers<number>();
    const look = () => {
      if (holds()) done.resolve(performance.now());
    };
    const timer = setTimeout(() => {
      const reason = `${this.#program.name}: not settled after ${limitMs} ms`;
      done.reject(new Error(reason));
    }, limitMs);
    const before = this.onVerdict;
    this.onVerdict = (verdict) => {
      before(verdict);
      look();
    };
    look();
    return done.promise.finally(() => {
      clearTimeout(timer);
      this.onVerdict = before;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const signal of END_SIGNALS) Deno.removeSignalListener(signal, this.#onEnd);
    for (const index of [...this.#processes.keys()]) await this.kill(index);
  }

  async #follow(observer: number, stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#hear(observer, line);
    }
  }

  #hear(observer: number, line: string): void {
    this.onLine(observer, line);
    const said = this.#program.read(line);
    if (said === undefined) return;
    // A doubt that comes to nothing is not always taken back in so many words.
    if (said.standing !== "suspect") {
      this.#standings.set(`${observer} ${said.subject}`, said.standing);
    }
    this.onVerdict({ observer, ...said, atMs: performance.now() });
  }
}
