import { BoundedMap } from "../../base/mod.ts";
import { childEnvironment } from "../../confinement/mod.ts";
import { LineReader, type WorkerReply } from "./messages.ts";
import { COMPILED_MAX, REPLY_CHARS_MAX, WORKER_HEAP_MIB } from "./worker_limits.ts";

/** Linux counts in hundredths of a second, whatever its kernel does. */
const TICK_MS = 10;

const encoder = new TextEncoder();

/** Questions that a worker has not answered yet. */
interface Asked {
  readonly count: number;
  readonly replies: WorkerReply[];
  readonly done: PromiseWithResolvers<readonly WorkerReply[] | undefined>;
}

/** A child process that compiles and runs templates. Knows no limits but its memory's. */
export class WorkerProcess {
  /** Names of the templates that it has answered for, and so most likely still has. */
  readonly told = new BoundedMap<string, true>(COMPILED_MAX);
  /** Resolves with true once it takes questions, with false when it ended before. */
  readonly ready: Promise<boolean>;
  /** Resolves once the process is gone. */
  readonly exited: Promise<unknown>;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #started = Promise.withResolvers<boolean>();
  #waiting: Asked | undefined;
  #isGone = false;
  #isEndedByUs = false;

  /** `command`: program and arguments that become a worker. */
  constructor(command: readonly string[]) {
    const [program = "", ...args] = command;
    this.#child = new Deno.Command(program, {
      args,
      clearEnv: true,
      // A command line can't say it to a compiled program, the environment can.
      env: childEnvironment(Deno.env.toObject(), {
        DENO_V8_FLAGS: `--max-heap-size=${WORKER_HEAP_MIB}`,
      }),
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#input.closed.catch(() => {});
    this.ready = this.#started.promise;
    this.exited = Promise.all([this.#read(), this.#child.status]);
  }

  /**
   * Resolves with the replies, in the order of the questions, or with undefined when the process ended before all came.
   * Nothing else may be asked meanwhile.
   */
  ask(questions: readonly string[]): Promise<readonly WorkerReply[] | undefined> {
    const done = Promise.withResolvers<readonly WorkerReply[] | undefined>();
    if (this.#isGone) done.resolve(undefined);
    else {
      this.#waiting = { count: questions.length, replies: [], done };
      // A process that is gone loses it silently: the end of its output tells.
      this.#input.write(encoder.encode(`${questions.join("\n")}\n`)).catch(() => {});
    }
    return done.promise;
  }

  /**
   * Processor time it has used, milliseconds; undefined where the system doesn't say. A program reads it for us: a process
   * without all permissions may not.
   */
  async processorMs(): Promise<number | undefined> {
    try {
      const file = `/proc/${this.#child.pid}/stat`;
      const { stdout } = await new Deno.Command("cat", { args: [file], stderr: "null" }).output();
      const text = new TextDecoder().decode(stdout);
      // Behind the name, which may hold anything: user and system time are the 12th and 13th field.
      const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
      const ticks = Number(fields[11]) + Number(fields[12]);
      return Number.isNaN(ticks) ? undefined : ticks * TICK_MS;
    } catch {
      return undefined;
    }
  }

  /**
   * Once it is gone: whether somebody else ended it, an operator or a system that ran out of memory. A heap that is full ends
   * a process in another way.
   */
  async wasEndedByOthers(): Promise<boolean> {
    const { signal } = await this.#child.status;
    return !this.#isEndedByUs && (signal === "SIGKILL" || signal === "SIGTERM");
  }

  /** Ends the process at once. */
  kill(): void {
    this.#isEndedByUs ||= !this.#isGone;
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It ended by itself meanwhile, which is what was wanted.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  async #read(): Promise<void> {
    const lines = new LineReader(REPLY_CHARS_MAX);
    try {
      for await (const chunk of this.#child.stdout) {
        // Both ends come from one build, so that the cast holds.
        for (const line of lines.push(chunk)) this.#take(JSON.parse(line) as WorkerReply);
      }
    } catch {
      // A line without end, or none that it was made to write: whatever runs there is of no use.
      this.kill();
    }
    this.#isGone = true;
    this.#started.resolve(false);
    this.#waiting?.done.resolve(undefined);
  }

  #take(reply: WorkerReply): void {
    if (reply.kind === "ready") return this.#started.resolve(true);
    const asked = this.#waiting;
    if (asked === undefined || asked.replies.push(reply) < asked.count) return;
    this.#waiting = undefined;
    asked.done.resolve(asked.replies);
  }
}
