import {
  type EdgeError,
  isEdgeError,
  type NodeId,
  RequestError,
  UnavailableError,
} from "../base/mod.ts";
import {
  type AnswerPiece,
  AnswerStream,
  type AnswerStreamOptions,
} from "../core/generation/mod.ts";
import { decideResume, type ModelNeed } from "../core/scheduler/mod.ts";
import type {
  AnswerChunk,
  AnswerMetrics,
  Clock,
  LoadedModel,
  Log,
  Metrics,
  TokenLogprobRow,
} from "../ports/mod.ts";
import type {
  AnswerToken,
  LoadSettings,
  Prompt,
  SequenceEvent,
  SequenceRequest,
  ToolCall,
} from "../protocol/mod.ts";
import {
  estimatePromptTokens,
  type Lease,
  type LeaseRequest,
  type LeaseSource,
  type ServingNode,
  type WantedModel,
} from "../slots/mod.ts";

/** Everything one answer needs, decided before anything runs. */
export interface AnswerPlan {
  readonly requestId: string;
  readonly need: ModelNeed;
  readonly settings: LoadSettings;
  readonly wanted: WantedModel;
  /** What the client's answer is labelled with. */
  readonly label?: string;
  readonly sequence: Omit<SequenceRequest, "emittedTokens">;
  readonly stream: AnswerStreamOptions;
  /** Constrains the content after unconstrained thinking; needs `stream.atContent` = "pause". */
  readonly grammarAtContent?: string;
  /** Asked once when the prompt is longer than the context window; throws when nothing shorter exists. */
  readonly shortenPrompt?: (
    model: LoadedModel,
  ) => Promise<Pick<SequenceRequest, "prompt" | "onLongPrompt">>;
}

/** What answering uses. */
export interface AnsweringParts {
  readonly driver: Pick<LeaseSource, "acquire">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Letters and digits for tool-call ids. */
  readonly drawId: () => string;
}

/**
 * Starts an answer and resolves once its prompt is accepted, so that refusals still have a status of their own. The
 * iteration goes on through dead runners: the stream of tokens is journalled, and a new runner continues it.
 *
 * @throws what {@link LeaseSource.acquire} and {@link LoadedModel.generate} throw before the first token.
 */
export async function startAnswer(
  plan: AnswerPlan,
  parts: AnsweringParts,
  signal: AbortSignal,
): Promise<StartedAnswer> {
  const run = new AnswerRun(plan, parts, signal);
  await run.start();
  return { [Symbol.asyncIterator]: () => run.chunks(), servedBy: () => run.servedBy };
}

/** An answer on its way. */
export interface StartedAnswer extends AsyncIterable<AnswerChunk> {
  /** Who computes the first token, as far as it is known; undefined = this node, alone. */
  servedBy(): ServingNode | undefined;
}

/** Nodes that an answer remembers to have lost. */
const AVOIDED_NODES_MAX = 8;

/** One attempt of one runner at the answer. */
interface Attempt {
  readonly lease: Lease;
  readonly abort: AbortController;
  readonly events: AsyncIterator<SequenceEvent>;
}

class AnswerRun {
  readonly #plan: AnswerPlan;
  readonly #parts: AnsweringParts;
  readonly #signal: AbortSignal;
  readonly #stream: AnswerStream;
  readonly #startedMs: number;
  #sequence: Omit<SequenceRequest, "emittedTokens">;
  #attempt: Attempt | undefined;
  /** Until a prompt was accepted or shortened. */
  #mayShorten = true;
  #standing: LeaseRequest["standing"] = "fresh";
  #fruitlessAttempts = 0;
  #avoid: readonly NodeId[] = [];
  #servedBy: ServingNode | undefined;
  #loadNs = 0;
  #grantedMs = 0;
  #firstTokenMs: number | undefined;
  #lastTokenMs = 0;
  #prefillNs = 0;
  #decodeNs = 0;
  #promptTokenCount = 0;
  #toolCallCount = 0;

  constructor(plan: AnswerPlan, parts: AnsweringParts, signal: AbortSignal) {
    this.#plan = plan;
    this.#parts = parts;
    this.#signal = signal;
    this.#sequence = plan.sequence;
    this.#stream = new AnswerStream(plan.stream);
    this.#startedMs = parts.clock.monotonicMs();
  }

  get servedBy(): ServingNode | undefined {
    return this.#servedBy;
  }

  /** Runs until a runner has accepted the prompt. */
  async start(): Promise<void> {
    for (;;) {
      try {
        await this.#open();
        return;
      } catch (error) {
        if (await this.#survives(error)) continue;
        this.#leave();
        throw error;
      }
    }
  }

  async *chunks(): AsyncGenerator<AnswerChunk> {
    try {
      while (this.#stream.end === undefined) {
        try {
          if (this.#attempt === undefined) await this.#open();
          const chunk = await this.#next();
          if (chunk !== undefined) yield chunk;
        } catch (error) {
          if (!(await this.#survives(error))) throw error;
        }
      }
      yield this.#done();
    } finally {
      this.#leave();
    }
  }

  /** Takes a slot, starts the sequence and reads its `started`. */
  async #open(): Promise<void> {
    const lease = await this.#parts.driver.acquire(this.#leaseRequest(), this.#signal);
    if (this.#firstTokenMs === undefined) this.#servedBy = lease.servedBy;
    this.#loadNs += lease.loadNs;
    this.#grantedMs = this.#parts.clock.monotonicMs();
    const abort = new AbortController();
    const signal = AbortSignal.any([this.#signal, abort.signal]);
    const journal = this.#stream.journal();
    const prompt: Prompt = journal.promptTokens.length > 0
      ? { kind: "tokens", tokens: journal.promptTokens }
      : this.#sequence.prompt;
    const emittedTokens = journal.emittedTokens;
    const events = lease.model.generate({ ...this.#sequence, prompt, emittedTokens }, signal);
    this.#attempt = { lease, abort, events: events[Symbol.asyncIterator]() };
    const first = await this.#attempt.events.next();
    if (first.done === true || first.value.kind !== "started") {
      throw new UnavailableError("runner_lost", "The runner ended a sequence before it started");
    }
    this.#mayShorten = false;
    this.#stream.step({ kind: "started", promptTokens: first.value.promptTokens });
    this.#promptTokenCount = first.value.promptTokens.length;
  }

  #leaseRequest(): LeaseRequest {
    const { need, settings, wanted, requestId, label } = this.#plan;
    const { promptTokens, emittedTokens } = this.#stream.journal();
    return {
      requestId,
      need,
      settings,
      wanted,
      standing: this.#standing,
      promptTokens: promptTokens.length > 0
        ? promptTokens.length + emittedTokens.length
        : estimatePromptTokens(this.#sequence.prompt),
      promptText: promptTextOf(this.#sequence.prompt),
      avoid: this.#avoid,
      ...(label === undefined ? {} : { label }),
    };
  }

  /** One event of the runner as at most one chunk. */
  async #next(): Promise<AnswerChunk | undefined> {
    const result = await this.#attempt?.events.next();
    if (result === undefined || result.done === true) {
      throw new UnavailableError("runner_lost", "The runner ended a sequence without saying why");
    }
    const event = result.value;
    switch (event.kind) {
      case "started":
        return undefined;
      case "tokens":
        return this.#readTokens(event.tokens);
      case "finished": {
        this.#signal.throwIfAborted();
        this.#prefillNs += event.prefillNs;
        this.#decodeNs += event.decodeNs;
        return this.#chunk(this.#stream.finish(event.reason), []);
      }
    }
  }

  #readTokens(tokens: readonly AnswerToken[]): AnswerChunk | undefined {
    const now = this.#parts.clock.monotonicMs();
    this.#firstTokenMs ??= now;
    this.#lastTokenMs = now;
    this.#fruitlessAttempts = 0;
    const chunk = this.#chunk(this.#stream.step({ kind: "tokens", tokens }), tokens);
    if (this.#stream.end === "paused") this.#restartAtContent();
    return chunk;
  }

  /** The thinking is done: a new run, whose prompt ends with it, writes the content under the grammar. */
  #restartAtContent(): void {
    const { prompt } = this.#sequence;
    const thinking = this.#stream.resumeAtContent();
    this.#leave();
    this.#standing = "resumed";
    this.#sequence = {
      ...this.#sequence,
      prompt: prompt.kind === "text" ? { ...prompt, text: prompt.text + thinking } : prompt,
      grammar: this.#plan.grammarAtContent ?? null,
    };
  }

  /** True when the answer goes on after `error`: a prompt made shorter, or another runner. */
  async #survives(error: unknown): Promise<boolean> {
    const attempt = this.#attempt;
    if (this.#signal.aborted || !isEdgeError(error)) return false;
    if (error.code === "prompt_too_long" && attempt !== undefined) {
      try {
        if (await this.#shorten(attempt.lease.model)) return true;
      } catch (failure) {
        // Its runner may die while it counts tokens, too.
        if (isEdgeError(failure) && failure.code === "runner_lost") {
          return this.#survivesLoss(attempt, failure);
        }
        this.#leave();
        throw failure;
      }
      this.#leave();
      throw promptTooLong();
    }
    if (error.code !== "runner_lost" || attempt === undefined) return false;
    return this.#survivesLoss(attempt, error);
  }

  #survivesLoss(attempt: Attempt, error: EdgeError): true {
    this.#attempt = undefined;
    attempt.lease.lost();
    const { servedBy } = attempt.lease;
    if (servedBy !== undefined) {
      const others = this.#avoid.filter((nodeId) => nodeId !== servedBy.nodeId);
      this.#avoid = [...others, servedBy.nodeId].slice(-AVOIDED_NODES_MAX);
    }
    this.#fruitlessAttempts++;
    const { log, metrics } = this.#parts;
    const decision = decideResume({ fruitlessAttempts: this.#fruitlessAttempts });
    const { requestId } = this.#plan;
    log.log("warn", "answer_lost_its_runner", {
      requestId,
      decision,
      node: servedBy?.nodeId,
      tokens: this.#stream.tokenCount,
    });
    if (decision === "give_up") {
      throw new UnavailableError(
        "runner_lost",
        "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error: " +
          error.message,
        { cause: error },
      );
    }
    metrics.increment("odist_answers_resumed_total");
    this.#standing = "resumed";
    return true;
  }

  async #shorten(model: LoadedModel): Promise<boolean> {
    const { shortenPrompt } = this.#plan;
    if (shortenPrompt === undefined || !this.#mayShorten) return false;
    const shorter = await shortenPrompt(model);
    this.#mayShorten = false;
    this.#sequence = { ...this.#sequence, ...shorter };
    this.#leave();
    this.#standing = "resumed";
    return true;
  }

  #chunk(pieces: readonly AnswerPiece[], tokens: readonly AnswerToken[]): AnswerChunk | undefined {
    const logprobs = this.#plan.sequence.topLogprobs < 0 ? [] : tokens.flatMap(logprobRow);
    if (pieces.length === 0 && logprobs.length === 0) return undefined;
    let content = "";
    let thinking = "";
    const toolCalls: ToolCall[] = [];
    for (const piece of pieces) {
      if (piece.kind === "content") content += piece.text;
      else if (piece.kind === "thinking") thinking += piece.text;
      else {toolCalls.push({
          ...piece.call,
          id: `call_${this.#parts.drawId()}`,
          index: this.#toolCallCount++,
        });}
    }
    return {
      kind: "text",
      content,
      ...(thinking === "" ? {} : { thinking }),
      ...(toolCalls.length === 0 ? {} : { toolCalls }),
      ...(logprobs.length === 0 ? {} : { logprobs }),
    };
  }

  #done(): AnswerChunk {
    const { promptTokens, emittedTokens } = this.#stream.journal();
    const end = this.#stream.end;
    const metrics: AnswerMetrics = {
      totalNs: nanoseconds(this.#parts.clock.monotonicMs() - this.#startedMs),
      loadNs: this.#loadNs,
      promptEvalCount: this.#promptTokenCount,
      // A run cut at a stop string is not waited for: what was seen from here stands for its own figures.
      promptEvalNs: this.#prefillNs ||
        nanoseconds((this.#firstTokenMs ?? this.#grantedMs) - this.#grantedMs),
      // The token that ended the answer was computed too; it has no text, so no runner hands it on.
      evalCount: this.#stream.tokenCount + (end === "end" ? 1 : 0),
      evalNs: this.#decodeNs ||
        nanoseconds(this.#lastTokenMs - (this.#firstTokenMs ?? this.#lastTokenMs)),
    };
    return {
      kind: "done",
      // A reader must be able to tell an answer that was cut for repeating itself from a whole one.
      doneReason: end === "length" || end === "repetition" ? "length" : "stop",
      metrics,
      context: [...promptTokens, ...emittedTokens],
    };
  }

  /** Ends the attempt; the slot goes back when the runner says that it is free. */
  #leave(): void {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    if (attempt === undefined) return;
    attempt.abort.abort();
    void drain(attempt.events).then((lost) =>
      lost ? attempt.lease.lost() : attempt.lease.release()
    );
  }
}

/** Reads to the end; true when the runner died meanwhile. */
async function drain(events: AsyncIterator<SequenceEvent>): Promise<boolean> {
  try {
    while ((await events.next()).done !== true);
    return false;
  } catch (error) {
    return isEdgeError(error) && error.code === "runner_lost";
  }
}

function logprobRow(token: AnswerToken): TokenLogprobRow[] {
  if (token.logprob === undefined) return [];
  const decoder = new TextDecoder();
  const top = token.topLogprobs?.map(({ bytes, logprob }) => ({
    token: decoder.decode(bytes),
    bytes,
    logprob,
  }));
  return [{
    token: decoder.decode(token.bytes),
    bytes: token.bytes,
    logprob: token.logprob,
    ...(top === undefined || top.length === 0 ? {} : { topLogprobs: top }),
  }];
}

/** Tokens before it would have to be the same, too, and nobody knows their text. */
function promptTextOf(prompt: Prompt): string {
  return prompt.kind === "text" && prompt.tokensBefore === undefined ? prompt.text : "";
}

function nanoseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1e6));
}

/** The contract's refusal of a prompt that nothing can shorten. */
function promptTooLong(): RequestError {
  return new RequestError(
    "prompt_too_long",
    "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the " +
      "context length in settings, or use a model with a longer context length",
  );
}
