import {
  assertNever,
  type EdgeError,
  errorMessage,
  isEdgeError,
  PeerError,
  UnavailableError,
} from "../base/mod.ts";
import { type Patience, PEER_DOUBT } from "../core/answers/mod.ts";
import type { Clock, LoadedModel, PeerStream } from "../ports/mod.ts";
import type { LoadedFacts, SequenceEvent, SequenceRequest } from "../protocol/mod.ts";
import {
  fromWireError,
  Heartbeat,
  type LeaseCommand,
  type LeaseReply,
  MessageStream,
  readReply,
  SilenceWatch,
  vectorFromBytes,
} from "../calls/mod.ts";
import { AnswerQueue } from "./answer_queue.ts";

type Granted = Extract<LeaseReply, { kind: "granted" }>;
type SingleReply = Extract<LeaseReply, { kind: "embedded" | "tokenized" | "detokenized" }>;

/** Who waits for what of one command. */
interface Waiting {
  readonly onReply: (reply: SingleReply) => void;
  readonly onEvent: (event: SequenceEvent) => Promise<void> | undefined;
  readonly onFailure: (error: unknown) => void;
}

/** Command without its number. */
type Question = {
  readonly [Kind in SingleCommand["kind"]]: Omit<Extract<SingleCommand, { kind: Kind }>, "id">;
}[
  SingleCommand["kind"]
];
type SingleCommand = Extract<LeaseCommand, { kind: "embed" | "tokenize" | "detokenize" }>;

/**
 * A model on another node, through the stream of one lease. However the stream ends, every call fails with `runner_lost`
 * from then on, and its request goes on elsewhere.
 */
export class RemoteModel implements LoadedModel {
  readonly exited: LoadedModel["exited"];
  /** Resolves when the slot is held; rejects with why it is not. */
  readonly granted: Promise<Granted>;
  readonly #messages: MessageStream;
  readonly #silence: SilenceWatch;
  readonly #heartbeat: Heartbeat;
  readonly #waiting = new Map<number, Waiting>();
  readonly #grant = Promise.withResolvers<Granted>();
  readonly #exit = Promise.withResolvers<{ readonly expected: boolean; readonly reason: string }>();
  #held: Granted | undefined;
  #idLast = 0;
  #lost: UnavailableError | undefined;

  constructor(stream: PeerStream, parts: { readonly clock: Clock; readonly patience: Patience }) {
    const { clock, patience } = parts;
    this.#messages = new MessageStream(stream, () => {
      this.#silence.relax(patience.silenceMs);
      this.#silence.heard();
    });
    this.granted = this.#grant.promise;
    // It may fail before anyone waits for it.
    this.granted.catch(() => {});
    this.exited = this.#exit.promise;
    this.#silence = new SilenceWatch(clock, {
      limitMs: patience.firstWordMs,
      onSilent: () => this.#end(lost(`node ${stream.peer} said nothing for too long`)),
    });
    this.#heartbeat = new Heartbeat(clock, () => {
      if (this.#messages.writesWaiting === 0) this.#send({ kind: "beat" });
    });
    void this.#readAll();
  }

  /** Of the runner on its node. */
  get processId(): number {
    return this.#holding().processId;
  }

  get facts(): LoadedFacts {
    return this.#holding().facts;
  }

  async *generate(request: SequenceRequest, signal: AbortSignal): AsyncGenerator<SequenceEvent> {
    if (signal.aborted) return yield CANCELLED;
    const queue = new AnswerQueue();
    const id = this.#register({
      onReply: () => {},
      onEvent: (event) => {
        queue.push(event);
        return queue.room();
      },
      onFailure: (error) => queue.fail(error),
    });
    const cancel = () => this.#send({ kind: "cancel", id });
    signal.addEventListener("abort", cancel);
    let isFinished = false;
    try {
      this.#send({ kind: "generate", id, request });
      while (!isFinished) {
        const event = await queue.next();
        isFinished = event.kind === "finished";
        yield event;
      }
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#waiting.delete(id);
      // Whoever left unread tokens behind must not hold up the stream.
      queue.fail(CANCELLED);
      // A reader that leaves early frees its slot like one that aborts.
      if (!isFinished) cancel();
    }
  }

  async embed(
    inputs: readonly string[],
    options: { onLongInput: "truncate" | "refuse"; signal: AbortSignal },
  ): Promise<{ readonly vectors: readonly Float32Array[]; readonly promptTokens: number }> {
    const { onLongInput, signal } = options;
    signal.throwIfAborted();
    const asked = this.#ask({ kind: "embed", inputs, onLongInput });
    const cancel = () => this.#send({ kind: "cancel", id: asked.id });
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

  /** Gives the slot back; the runner belongs to its node and stays. */
  async unload(): Promise<void> {
    this.close();
    await this.exited;
  }

  /** Gives the slot back: what still runs for it is cut. */
  close(): void {
    this.#end(lost("its slot was given back"), { expected: true });
  }

  /**
   * The node is doubted by those who watch it. What it says here speaks louder: probes are missed on slow networks and busy
   * machines, and moving an answer for each would cost more than it saves, or never end.
   */
  doubt(): void {
    this.#silence.doubt(PEER_DOUBT);
  }

  /** The node is gone. */
  giveUp(): void {
    this.#end(lost("its node does not answer other members"));
  }

  #ask(question: Question): { readonly id: number; readonly reply: Promise<SingleReply> } {
    const answer = Promise.withResolvers<SingleReply>();
    const id = this.#register({
      onReply: answer.resolve,
      onEvent: () => undefined,
      onFailure: answer.reject,
    });
    this.#send({ ...question, id });
    return { id, reply: answer.promise.finally(() => this.#waiting.delete(id)) };
  }

  #register(waiting: Waiting): number {
    if (this.#lost !== undefined) throw this.#lost;
    const id = ++this.#idLast;
    this.#waiting.set(id, waiting);
    return id;
  }

  #send(command: LeaseCommand): void {
    if (this.#lost !== undefined) return;
    this.#heartbeat.spoke();
    this.#messages.write(command).catch((error) => this.#sendFailed(command, error));
  }

  /** A command that can't be sent, being too long, fails alone; else the stream is gone. */
  #sendFailed(command: LeaseCommand, error: unknown): void {
    if (error instanceof PeerError && "id" in command) {
      this.#waiting.get(command.id)?.onFailure(error);
    } else {
      this.#end(lost(errorMessage(error)));
    }
  }

  async #readAll(): Promise<void> {
    try {
      while (this.#lost === undefined) {
        this.#silence.resume();
        const message = await this.#messages.read();
        this.#silence.pause();
        if (message === undefined) return this.#end(lost("its node ended the lease"));
        const room = this.#take(readReply(message));
        if (room !== undefined) await room;
      }
    } catch (error) {
      this.#end(error instanceof PeerError ? error : lost(errorMessage(error)));
    }
  }

  /** A promise when nothing more should be read for now. */
  #take(reply: LeaseReply): Promise<void> | undefined {
    switch (reply.kind) {
      case "granted":
        this.#held ??= reply;
        this.#grant.resolve(reply);
        return undefined;
      case "refused":
        this.#end(fromWireError(reply.error));
        return undefined;
      case "event":
        return this.#waiting.get(reply.id)?.onEvent(reply.event);
      case "failed":
        this.#waiting.get(reply.id)?.onFailure(fromWireError(reply.error));
        return undefined;
      case "embedded":
      case "tokenized":
      case "detokenized":
        this.#waiting.get(reply.id)?.onReply(reply);
        return undefined;
      case "beat":
        return undefined;
      default:
        assertNever(reply);
    }
  }

  #end(error: EdgeError, options: { readonly expected: boolean } = { expected: false }): void {
    if (this.#lost !== undefined) return;
    const reason = error.message;
    this.#lost = isLoss(error) ? error : lost(reason);
    this.#silence.stop();
    this.#heartbeat.stop();
    this.#messages.reset();
    // Before the slot was held, the reason decides where to ask next.
    this.#grant.reject(isLoss(error) ? new UnavailableError("peer_lost", reason) : error);
    for (const { onFailure } of [...this.#waiting.values()]) onFailure(this.#lost);
    this.#waiting.clear();
    this.#exit.resolve({ expected: options.expected, reason });
  }

  #unasked(reply: SingleReply): UnavailableError {
    const error = lost(`its node answered with ${reply.kind} unasked`);
    this.#end(error);
    return error;
  }

  #holding(): Granted {
    if (this.#held === undefined) throw lost("its slot is not held yet");
    return this.#held;
  }
}

const CANCELLED: SequenceEvent = {
  kind: "finished",
  reason: "cancelled",
  prefillNs: 0,
  decodeNs: 0,
};

function isLoss(error: unknown): error is UnavailableError {
  return isEdgeError(error) && error.code === "runner_lost" && error instanceof UnavailableError;
}

function lost(reason: string): UnavailableError {
  return new UnavailableError("runner_lost", `The runner is gone: ${reason}`);
}
