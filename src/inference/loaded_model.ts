import { Heartbeat, SilenceWatch, UnavailableError } from "../base/mod.ts";
import type { Clock, LoadedModel } from "../ports/mod.ts";
import type { LoadedFacts, RunnerReply, SequenceRequest } from "../protocol/mod.ts";
import { ModelChannel } from "./channel/mod.ts";
import type { RunnerProcess } from "./runner_process.ts";

/** How often a runner with work is asked whether it is there. Milliseconds. */
const PING_EVERY_MS = 5_000;
/**
 * A runner with work that says nothing for longer hangs. Milliseconds. Between two batches a runner answers at once, and
 * batches are decoded beside its event loop, so that even a slow model answers.
 */
const SILENCE_MS_MAX = 20_000;

/** What is needed of a runner's process. */
export type RunnerPipe = Pick<RunnerProcess, "processId" | "exited" | "send" | "stop" | "fail">;

/** The engine port's view of one loaded runner: its channel, and a watch over it while somebody waits. */
export class RunnerModel implements LoadedModel {
  readonly facts: LoadedFacts;
  readonly exited: LoadedModel["exited"];
  readonly #process: RunnerPipe;
  readonly #clock: Pick<Clock, "after" | "monotonicMs">;
  readonly #channel: ModelChannel;
  readonly #silence: SilenceWatch;
  #heartbeat: Heartbeat | undefined;

  constructor(
    process: RunnerPipe,
    facts: LoadedFacts,
    clock: Pick<Clock, "after" | "monotonicMs">,
  ) {
    this.#process = process;
    this.facts = facts;
    this.#clock = clock;
    this.#channel = new ModelChannel({
      send: (command) => process.send(command),
      onBusy: (isBusy) => this.#watch(isBusy),
      onNonsense: (reason) => process.fail(reason),
    });
    // A stopped or hung process closes no pipe, so that nobody else would notice.
    this.#silence = new SilenceWatch(clock, {
      limitMs: SILENCE_MS_MAX,
      onSilent: () => process.fail(`it said nothing for ${SILENCE_MS_MAX / 1000} s`),
    });
    this.#silence.pause();
    this.exited = process.exited.then((end) => {
      this.#silence.stop();
      this.#channel.lose(
        new UnavailableError("runner_lost", `The runner is gone: ${end.reason}`),
      );
      return end;
    });
  }

  get processId(): number {
    return this.#process.processId;
  }

  /** Takes a reply of the runner; replies to those who left are dropped. */
  receive(reply: RunnerReply): void {
    this.#silence.heard();
    switch (reply.kind) {
      case "events":
        // What is not read waits in the runner, so that the pipe goes on for others.
        for (const { id, event } of reply.events) void this.#channel.takeEvent(id, event);
        return;
      case "loaded":
      case "load_failed":
      case "load_progress":
      case "pong":
        return;
      default:
        void this.#channel.receive(reply);
    }
  }

  generate(request: SequenceRequest, signal: AbortSignal) {
    return this.#channel.generate(request, signal);
  }

  embed(...asked: Parameters<LoadedModel["embed"]>) {
    return this.#channel.embed(...asked);
  }

  tokenize(...asked: Parameters<LoadedModel["tokenize"]>) {
    return this.#channel.tokenize(...asked);
  }

  detokenize(tokens: readonly number[]): Promise<Uint8Array> {
    return this.#channel.detokenize(tokens);
  }

  async unload(): Promise<void> {
    await this.#process.stop();
    await this.exited;
  }

  #watch(isBusy: boolean): void {
    this.#heartbeat?.stop();
    this.#heartbeat = undefined;
    if (!isBusy) return this.#silence.pause();
    this.#silence.resume();
    const send = () => this.#process.send({ kind: "ping" });
    this.#heartbeat = new Heartbeat(this.#clock, { everyMs: PING_EVERY_MS, send });
  }
}
