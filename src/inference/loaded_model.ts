import {
  assertNever,
  type EdgeError,
  ERROR_CODES,
  RequestError,
  UnavailableError,
} from "../base/mod.ts";
import type { Clock, LoadedModel } from "../ports/mod.ts";
import type {
  LoadedFacts,
  RunnerCommand,
  RunnerReply,
  SequenceEvent,
  SequenceRequest,
} from "../protocol/mod.ts";
import { EventQueue } from "./event_queue.ts";
import { Pulse, PULSE_EVERY_MS, SILENT_PULSES_MAX } from "./pulse.ts";
import type { RunnerProcess } from "./runner_process.ts";

/** After so long a runner with work counts as hung. */
const SILENCE_SECONDS = ((SILENT_PULSES_MAX + 1) * PULSE_EVERY_MS) / 1000;

/** A reply to a single question. */
type SingleReply = Extract<RunnerReply, { kind: "embedded" | "tokenized" | "detokenized" }>;

/** Who waits for what of one id. */
interface Waiting {
  readonly onReply: (reply: SingleReply) => void;
  readonly onEvent: (event: SequenceEvent) => void;
  readonly onFailure: (error: unknown) => void;
}

/** What is needed of a runner's process. */
export type RunnerPipe = Pick<RunnerProcess, "processId" | "exited" | "send" | "stop" | "fail">;

/** The engine port's view of one loaded runner: sorts its replies to those who asked. */
export class RunnerModel implements LoadedModel {
  readonly facts: LoadedFacts;
  readonly exited: LoadedModel["exited"];
  readonly #process: RunnerPipe;
  readonly #waiting = new Map<number, Waiting>();
  readonly #pulse: Pulse;
  #idLast = 0;
  #lost: UnavailableError | undefined;

  constructor(process: RunnerPipe, facts: LoadedFacts, clock: Pick<Clock, "after">) {
    this.#process = process;
    this.facts = facts;
    this.#pulse = new Pulse({
      clock,
      ask: () => process.send({ kind: "ping" }),
      onSilent: () => process.fail(`it said nothing for ${SILENCE_SECONDS} s`),
    });
    this.exited = process.exited.then((end) => {
      this.#lost = new UnavailableError("runner_lost", `The runner is gone: ${end.reason}`);
      for (const { onFailure } of this.#waiting.values()) onFailure(this.#lost);
      this.#waiting.clear();
      this.#pulse.stop();
      return end;
    });
  }

  get processId(): number {
    return this.#process.processId;
  }

  /** Takes a reply of the runner; replies to those who left are dropped. */
  receive(reply: RunnerReply): void {
    this.#pulse.heard();
    switch (reply.kind) {
      case "events":
        for (const { id, event } of reply.events) this.#waiting.get(id)?.onEvent(event);
        return;
      case "failed":
        this.#waiting.get(reply.id)?.onFailure(errorOf(reply));
        return;
      case "embedded":
      case "tokenized":
      case "detokenized":
        this.#waiting.get(reply.id)?.onReply(reply);
        return;
      case "loaded":
      case "load_failed":
      case "load_progress":
      case "pong":
        return;
      default:
        assertNever(reply);
    }
  }

  async *generate(request: SequenceRequest, signal: AbortSignal): AsyncGenerator<SequenceEvent> {
    if (signal.aborted) return yield cancelled();
    const queue = new EventQueue();
    const id = this.#register({
      onReply: () => {},
      onEvent: (event) => queue.push(event),
      onFailure: (error) => queue.fail(error),
    });
    const cancel = () => this.#process.send({ kind: "cancel", id });
    signal.addEventListener("abort", cancel);
    let isFinished = false;
    try {
      this.#process.send({ kind: "generate", id, request });
      while (!isFinished) {
        const event = await queue.next();
        isFinished = event.kind === "finished";
        yield event;
      }
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#forget(id);
      // A reader that leaves early frees its slot like one that aborts.
      if (!isFinished) cancel();
    }
  }

  async embed(
    inputs: readonly string[],
    options: { onLongInput: "truncate" | "refuse"; signal: AbortSignal },
  ): Promise<{ readonly vectors: readonly Float32Array[]; readonly promptTokens: number }> {
    options.signal.throwIfAborted();
    const { onLongInput, signal } = options;
    let cancel = () => {};
    const asked = this.#ask((id) => {
      cancel = () => this.#process.send({ kind: "cancel", id });
      return { kind: "embed", id, inputs, onLongInput };
    });
    signal.addEventListener("abort", cancel);
    // The runner answers a cancelled request after its batch, and only then is its slot free.
    const reply = await asked.finally(() => signal.removeEventListener("abort", cancel));
    signal.throwIfAborted();
    if (reply.kind !== "embedded") throw unasked(reply);
    return { vectors: reply.vectors.map(toFloats), promptTokens: reply.promptTokens };
  }

  async tokenize(
    text: string,
    options: { addSpecial: boolean; tokensWanted?: number },
  ): Promise<readonly number[]> {
    const reply = await this.#ask((id) => ({ kind: "tokenize", id, text, ...options }));
    if (reply.kind !== "tokenized") throw unasked(reply);
    return reply.tokens;
  }

  async detokenize(tokens: readonly number[]): Promise<Uint8Array> {
    const reply = await this.#ask((id) => ({ kind: "detokenize", id, tokens }));
    if (reply.kind !== "detokenized") throw unasked(reply);
    return reply.bytes;
  }

  async unload(): Promise<void> {
    await this.#process.stop();
    await this.exited;
  }

  async #ask(
    command: (id: number) => RunnerCommand,
  ): Promise<SingleReply> {
    const { promise, resolve, reject } = Promise.withResolvers<SingleReply>();
    const id = this.#register({ onReply: resolve, onEvent: () => {}, onFailure: reject });
    try {
      this.#process.send(command(id));
      return await promise;
    } finally {
      this.#forget(id);
    }
  }

  #register(waiting: Waiting): number {
    if (this.#lost !== undefined) throw this.#lost;
    const id = ++this.#idLast;
    this.#waiting.set(id, waiting);
    this.#pulse.start();
    return id;
  }

  #forget(id: number): void {
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#pulse.stop();
  }
}

function cancelled(): SequenceEvent {
  return { kind: "finished", reason: "cancelled", prefillNs: 0, decodeNs: 0 };
}

/** The error the runner meant; a code this build doesn't know is the runner's fault. */
function errorOf(reply: { readonly code: string; readonly message: string }): EdgeError {
  switch (reply.code) {
    case "prompt_too_long":
    case "invalid_format":
    case "invalid_request":
    case "unsupported_capability":
      return new RequestError(reply.code, reply.message);
    case "queue_full":
      return new UnavailableError(reply.code, reply.message);
    default:
      return new UnavailableError("runner_lost", `${reply.code}: ${reply.message}`, {
        status: ERROR_CODES.runner_lost.status,
      });
  }
}

function unasked(reply: SingleReply): UnavailableError {
  return new UnavailableError("runner_lost", `The runner answered with ${reply.kind} unasked`);
}

/** Vectors cross the pipe as bytes; both ends are one machine, so that the byte order is theirs. */
function toFloats(vector: Uint8Array | Float32Array): Float32Array {
  return vector instanceof Float32Array ? vector : new Float32Array(vector.slice().buffer);
}
