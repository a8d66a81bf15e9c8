import { assertNever, type EdgeError, UnavailableError } from "../../base/mod.ts";
import type { LoadedModel } from "../../ports/mod.ts";
import {
  fromWireError,
  type ModelCommand,
  type ModelReply,
  type SequenceEvent,
  type SequenceRequest,
  vectorFromBytes,
} from "../../protocol/mod.ts";
import { type EventQueue, SequenceRun, UNREAD_TOKENS_MAX } from "./sequence_run.ts";

/** A reply to a single question. */
type SingleReply = Extract<ModelReply, { kind: "embedded" | "tokenized" | "detokenized" }>;

/** Command without its number. */
type Question = {
  readonly [Kind in SingleCommand["kind"]]: Omit<Extract<SingleCommand, { kind: Kind }>, "id">;
}[SingleCommand["kind"]];
type SingleCommand = Extract<ModelCommand, { kind: "embed" | "tokenize" | "detokenize" }>;

/** Who waits for what of one command. */
type Waiting =
  | { readonly kind: "run"; readonly queue: EventQueue }
  | {
    readonly kind: "question";
    readonly onReply: (reply: SingleReply) => void;
    readonly onFailure: (error: unknown) => void;
  };

/** What a channel is told and asked. */
export interface ChannelParts {
  /** Takes a command to the other end; what becomes of it comes back as a reply, or as a failure. */
  readonly send: (command: ModelCommand) => void;
  /** Somebody begins to wait, or nobody waits any more. */
  readonly onBusy?: (isBusy: boolean) => void;
  /** The other end answered what was not asked: it is of no use any more. */
  readonly onNonsense: (reason: string) => void;
}

/**
 * A loaded model at the other end of a channel, be it a runner's pipe or a stream to another node: sorts its replies to
 * those who asked, and keeps it from making more than is read.
 */
export class ModelChannel
  implements Pick<LoadedModel, "generate" | "embed" | "tokenize" | "detokenize"> {
  readonly #parts: ChannelParts;
  readonly #waiting = new Map<number, Waiting>();
  #idLast = 0;
  #lost: EdgeError | undefined;

  constructor(parts: ChannelParts) {
    this.#parts = parts;
  }

  /**
   * Takes a reply; replies to those who left are dropped. Returns a promise when nothing more should be read for now.
   *
   * @throws PeerError `malformed_frame` for vectors that are none.
   */
  receive(reply: ModelReply): Promise<void> | undefined {
    switch (reply.kind) {
      case "event":
        return this.takeEvent(reply.id, reply.event);
      case "failed":
        this.failOne(reply.id, fromWireError(reply.error));
        return undefined;
      case "embedded":
      case "tokenized":
      case "detokenized": {
        const waiting = this.#waiting.get(reply.id);
        if (waiting?.kind === "question") waiting.onReply(reply);
        return undefined;
      }
      default:
        return assertNever(reply);
    }
  }

  /** As {@link receive}, for what comes for each token. */
  takeEvent(id: number, event: SequenceEvent): Promise<void> | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting?.kind !== "run") return undefined;
    waiting.queue.push(event);
    return waiting.queue.room();
  }

  /** A command came to nothing. */
  failOne(id: number, error: unknown): void {
    const waiting = this.#waiting.get(id);
    if (waiting?.kind === "run") waiting.queue.fail(error);
    else waiting?.onFailure(error);
  }

  /** Everything that waits fails, and whatever is asked from now on; the first reason stands. */
  lose(error: EdgeError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    for (const id of [...this.#waiting.keys()]) this.failOne(id, error);
    this.#waiting.clear();
    this.#parts.onBusy?.(false);
  }

  generate(request: SequenceRequest, signal: AbortSignal): AsyncIterableIterator<SequenceEvent> {
    const { send } = this.#parts;
    let id = 0;
    return new SequenceRun({
      start: (queue) => {
        id = this.#register({ kind: "run", queue });
        send({ kind: "generate", id, request, unreadTokensMax: UNREAD_TOKENS_MAX });
      },
      cancel: () => this.#cancel(id),
      taken: (tokens) => {
        if (this.#waiting.has(id)) send({ kind: "taken", id, tokens });
      },
      over: () => this.#forget(id),
    }, signal);
  }

  async embed(
    inputs: readonly string[],
    options: { onLongInput: "truncate" | "refuse"; signal: AbortSignal; query?: string },
  ): Promise<{ readonly vectors: readonly Float32Array[]; readonly promptTokens: number }> {
    const { signal, ...wanted } = options;
    signal.throwIfAborted();
    const asked = this.#ask({ kind: "embed", inputs, ...wanted });
    const cancel = () => this.#cancel(asked.id);
    signal.addEventListener("abort", cancel);
    try {
      // A cancelled request is answered after its batch, and only then is its slot free.
      const reply = await asked.reply;
      signal.throwIfAborted();
      if (reply.kind !== "embedded") throw this.#unasked(reply);
      return { vectors: reply.vectors.map(vectorFromBytes), promptTokens: reply.promptTokens };
    } catch (error) {
      // What a cancelled request failed with is its cancellation.
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  async tokenize(
    text: string,
    options: { addSpecial: boolean; tokensWanted?: number },
  ): Promise<readonly number[]> {
    const reply = await this.#ask({ kind: "tokenize", text, ...options }).reply;
    if (reply.kind !== "tokenized") throw this.#unasked(reply);
    return reply.tokens;
  }

  async detokenize(tokens: readonly number[]): Promise<Uint8Array> {
    const reply = await this.#ask({ kind: "detokenize", tokens }).reply;
    if (reply.kind !== "detokenized") throw this.#unasked(reply);
    return reply.bytes;
  }

  #ask(question: Question): { readonly id: number; readonly reply: Promise<SingleReply> } {
    const { promise, resolve, reject } = Promise.withResolvers<SingleReply>();
    const id = this.#register({ kind: "question", onReply: resolve, onFailure: reject });
    this.#parts.send({ ...question, id });
    return { id, reply: promise.finally(() => this.#forget(id)) };
  }

  #cancel(id: number): void {
    if (this.#lost === undefined) this.#parts.send({ kind: "cancel", id });
  }

  #register(waiting: Waiting): number {
    if (this.#lost !== undefined) throw this.#lost;
    const id = ++this.#idLast;
    this.#waiting.set(id, waiting);
    if (this.#waiting.size === 1) this.#parts.onBusy?.(true);
    return id;
  }

  #forget(id: number): void {
    if (this.#waiting.delete(id) && this.#waiting.size === 0) this.#parts.onBusy?.(false);
  }

  #unasked(reply: SingleReply): UnavailableError {
    const reason = `it answered with ${reply.kind} unasked`;
    this.#parts.onNonsense(reason);
    return new UnavailableError("runner_lost", `The runner is gone: ${reason}`);
  }
}

/** A loaded model that is asked through a channel. */
export abstract class ChannelledModel
  implements Pick<LoadedModel, "generate" | "embed" | "tokenize" | "detokenize"> {
  protected readonly channel: ModelChannel;

  constructor(parts: ChannelParts) {
    this.channel = new ModelChannel(parts);
  }

  generate(request: SequenceRequest, signal: AbortSignal) {
    return this.channel.generate(request, signal);
  }

  embed(...asked: Parameters<LoadedModel["embed"]>) {
    return this.channel.embed(...asked);
  }

  tokenize(...asked: Parameters<LoadedModel["tokenize"]>) {
    return this.channel.tokenize(...asked);
  }

  detokenize(tokens: readonly number[]): Promise<Uint8Array> {
    return this.channel.detokenize(tokens);
  }
}
