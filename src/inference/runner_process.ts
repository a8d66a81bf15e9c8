import { errorMessage, PeerError } from "../base/mod.ts";
import { launchEnvironment } from "../confinement/mod.ts";
import type { RunnerCommand, RunnerReply } from "../protocol/mod.ts";
import { encodeFrame, FrameReader } from "./frames.ts";
import { failureLines, TextTail } from "./text_tail.ts";

/** What llama.cpp says while it loads is some 20 KiB; the reason of an end stands in the last lines. */
const STDERR_BYTES_KEPT = 32 * 1024;

/** A failed assertion would start a debugger otherwise, which writes to standard output, between the frames. */
const QUIET_DEATH = { GGML_NO_BACKTRACE: "1" };

/** How a runner is started. */
export interface RunnerStart {
  /** Program and arguments that become a runner. */
  readonly command: readonly string[];
  /** Added to what of this process's environment a child may know. */
  readonly env: Readonly<Record<string, string>>;
}

/** A child process and its frames. Knows nothing of what they mean. */
export class RunnerProcess {
  readonly processId: number;
  /**
   * Resolves once the process is gone and everything it said was read, with the reason as far as known; after
   * {@link stop} with `expected`.
   */
  readonly exited: Promise<{ readonly expected: boolean; readonly reason: string }>;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stderr = new TextTail(STDERR_BYTES_KEPT);
  #isStopping = false;
  #failure: string | undefined;

  /** `onReply` is called for each reply in order, and never after {@link exited} has resolved. */
  constructor(start: RunnerStart, onReply: (reply: RunnerReply) => void) {
    const [program = "", ...args] = start.command;
    this.#child = new Deno.Command(program, {
      args,
      clearEnv: true,
      env: launchEnvironment(Deno.env.toObject(), { ...QUIET_DEATH, ...start.env }),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.processId = this.#child.pid;
    this.#input = this.#child.stdin.getWriter();
    const read = Promise.all([this.#readReplies(onReply), this.#readStderr()]);
    this.exited = read.then(() => this.#child.status).then((status) => ({
      expected: this.#isStopping,
      reason: this.#isStopping ? "stopped" : this.#reason(status),
    }));
  }

  /** Lines of standard error that speak of failure; "" when there are none. */
  failureText(): string {
    return failureLines(this.#stderr.text());
  }

  /** Sends a command; resolves when the pipe took it. A runner that is gone loses it silently: {@link exited} tells. */
  send(command: RunnerCommand): Promise<void> {
    return this.#input.write(encodeFrame(command)).catch(() => {});
  }

  /** Ends the process at once: nothing in it is worth waiting for. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#kill();
    await this.exited;
  }

  /** Ends a process that is of no use any more; {@link exited} gives `reason`, unexpected. */
  fail(reason: string): void {
    this.#failure = reason;
    this.#kill();
  }

  async #readReplies(onReply: (reply: RunnerReply) => void): Promise<void> {
    const reader = new FrameReader();
    try {
      for await (const chunk of this.#child.stdout) {
        // Both ends come from one build, so that the cast holds; a stray byte on the pipe fails the decoding.
        for (const value of reader.push(chunk)) onReply(value as RunnerReply);
      }
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.fail(errorMessage(error));
    }
  }

  async #readStderr(): Promise<void> {
    for await (const chunk of this.#child.stderr) this.#stderr.push(chunk);
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It ended by itself meanwhile, which is what was wanted.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  #reason(status: Deno.CommandStatus): string {
    const end = status.signal === null ? `exit code ${status.code}` : `signal ${status.signal}`;
    const words = [this.#failure, this.failureText()].filter((text) => text);
    return [`the runner ended with ${end}`, ...words].join(": ");
  }
}
