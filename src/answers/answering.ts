import { isEdgeError, pause, RequestError, requestIdsOf, UnavailableError } from "../base/mod.ts";
import { type AnswerFact, AnswerMachine, type AnswerOrder } from "../core/answers/mod.ts";
import type { AnswerStreamOptions } from "../core/generation/mod.ts";
import type { ModelNeed } from "../core/scheduler/mod.ts";
import type {
  AnswerChunk,
  AnswerJournalWish,
  Clock,
  LineChanges,
  LoadedModel,
  Log,
  Metrics,
  PromptUsage,
  Recorder,
  RequestAccount,
  StepRecorder,
} from "../ports/mod.ts";
import type { LoadSettings, Prompt, SequenceEvent, SequenceRequest } from "../protocol/mod.ts";
import type { Lease, LeaseSource, ServingNode, WantedModel } from "../slots/mod.ts";
import { type Span, startSpan, traceRun } from "../telemetry/mod.ts";
import { readFacts, writeFacts } from "./journal_facts.ts";
import { AnswerChunks, doneChunk } from "./reading.ts";
import { lostTooOften, reportLoss } from "./loss.ts";
import type { ShorterPrompt } from "./prompts.ts";

/** Everything one answer needs, decided before anything runs. */
export interface AnswerPlan {
  /** What of the request is not followed. */
  readonly warnings?: readonly string[];
  /** What was done with lines of the system text. */
  readonly volatileLines?: LineChanges;
  /** Tool calls that the answer may make; Infinity by default. */
  readonly toolCallsMax?: number | undefined;
  readonly requestId: string;
  readonly need: ModelNeed;
  readonly settings: LoadSettings;
  readonly wanted: WantedModel;
  /** What the client's answer is labelled with. */
  readonly label?: string;
  /** Where in a client's trace it is. */
  readonly traceparent?: string | undefined;
  readonly account?: RequestAccount;
  readonly sequence: Omit<SequenceRequest, "emittedTokens">;
  readonly stream: AnswerStreamOptions;
  /** An answer that is told to go on where another node left off; absent = nobody may want to. */
  readonly journal?: AnswerJournalWish | undefined;
  /** Constrains the content after unconstrained thinking; needs `stream.atContent` = "pause". */
  readonly grammarAtContent?: string;
  /** Asked once when the prompt is longer than the context window; throws when nothing shorter exists. */
  readonly shortenPrompt?: (
    model: LoadedModel,
  ) => Promise<ShorterPrompt>;
}

/** What answering uses. */
export interface AnsweringParts {
  readonly driver: Pick<LeaseSource, "acquire">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Letters and digits for tool-call ids. */
  readonly drawId: () => string;
  readonly recorder?: Recorder | undefined;
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
  return {
    [Symbol.asyncIterator]: () => run.chunks(),
    servedBy: () => run.servedBy,
    exact: () => run.exact,
    promptUsage: () => run.promptUsage,
  };
}

/** An answer on its way. */
export interface StartedAnswer extends AsyncIterable<AnswerChunk> {
  /** Who computes the first token, as far as it is known; undefined = this node, alone. */
  servedBy(): ServingNode | undefined;
  /** As {@link Answer} has it. */
  exact(): boolean | undefined;
  /** As {@link Answer} has it. */
  promptUsage(): PromptUsage;
}

/** Made once: a reason of its own with each answer would be an error, and its stack, that nobody reads. */
const LEFT = new DOMException("The run is left", "AbortError");

/** One attempt of one runner at the answer. */
interface Attempt {
  readonly lease: Lease;
  /** Aborted with the request. */
  readonly abort: AbortController;
  /** No longer with the request. */
  readonly unfollow: () => void;
  /** Of what this runner does for the answer. */
  readonly span: Span;
  /** Undefined until the run is started. */
  events: AsyncIterator<SequenceEvent> | undefined;
}

/** A controller that aborts with `signal`: `AbortSignal.any` takes ten times as long, for each answer. */
function following(signal: AbortSignal): Pick<Attempt, "abort" | "unfollow"> {
  const abort = new AbortController();
  const follow = () => abort.abort(signal.reason);
  if (signal.aborted) follow();
  else signal.addEventListener("abort", follow);
  return { abort, unfollow: () => signal.removeEventListener("abort", follow) };
}

type OrderOf<Kind extends AnswerOrder["kind"]> = Extract<AnswerOrder, { kind: Kind }>;
/** Orders whose outcome is the next fact. */
type Waiting = OrderOf<"acquire_slot" | "start_run" | "read_on" | "shorten_prompt">;

/** What a token takes in memory, about. */
const TOKEN_BYTES = 256;

/** Carries out what the answer's machine orders, and tells it what came of it. */
class AnswerRun {
  readonly #plan: AnswerPlan;
  readonly #parts: AnsweringParts;
  readonly #signal: AbortSignal;
  readonly #machine: AnswerMachine;
  readonly #steps: StepRecorder | undefined;
  readonly #chunks: AnswerChunks;
  readonly #span: Span;
  #startedMs: number;
  /** What was told since the last chunk. */
  #told: AnswerFact[] = [];
  /** Told again, and not read yet. */
  #replayed: readonly AnswerChunk[] = [];
  #attempt: Attempt | undefined;
  /** Undefined once nothing follows. */
  #waiting: Waiting | undefined;
  /** What the last order came to nothing for. */
  #cause: unknown;
  #servedBy: ServingNode | undefined;
  #hasEnded = false;
  /** Until its span has ended. */
  #isTraced = true;
  /** Whether the copy is exact that computes the first token. */
  #exact: boolean | undefined;
  /** Of an exact answer: copies of this class go on with it in the same words. Undefined = it has none, or has left it. */
  #numericClass: string | undefined;

  constructor(plan: AnswerPlan, parts: AnsweringParts, signal: AbortSignal) {
    this.#plan = plan;
    this.#parts = parts;
    this.#signal = signal;
    const { sequence, stream, grammarAtContent, shortenPrompt } = plan;
    const options = {
      sequence,
      stream,
      isShortenable: shortenPrompt !== undefined,
      ...(grammarAtContent === undefined ? {} : { grammarAtContent }),
    };
    this.#machine = new AnswerMachine(options);
    const course = {
      part: "answer" as const,
      id: plan.requestId,
      options,
      bytes: bytesAsked(sequence),
    };
    this.#steps = parts.recorder?.begin(course);
    this.#chunks = new AnswerChunks({
      drawId: parts.drawId,
      wantsLogprobs: sequence.topLogprobs >= 0,
      toolCallsMax: plan.toolCallsMax ?? Infinity,
    });
    this.#startedMs = parts.clock.monotonicMs();
    const { label = plan.requestId, traceparent: under, wanted } = plan;
    const attributes = { "odist.request_id": label, "odist.model": wanted.name };
    this.#span = startSpan("odist.answer", { under, attributes });
  }

  get exact(): boolean | undefined {
    return this.#exact;
  }

  get servedBy(): ServingNode | undefined {
    return this.#servedBy;
  }

  get promptUsage(): PromptUsage {
    const { promptTokens, cachedTokens } = this.#machine.promptUsage;
    const { volatileLines } = this.#plan;
    return {
      promptEvalCount: promptTokens,
      promptCachedCount: cachedTokens,
      ...volatileLines && { volatileLines },
    };
  }

  /** Runs until a runner has accepted the prompt. */
  async start(): Promise<void> {
    const facts = this.#plan.journal?.facts.flatMap(readFacts) ?? [];
    if (facts.length > 0) this.#replay(facts);
    else this.#step({ kind: "begun" });
    while (this.#waiting !== undefined && this.#waiting.kind !== "read_on") {
      this.#step(await this.#await(this.#waiting));
    }
  }

  /** Comes to where the facts end, without doing anything for it, and goes on from there with a slot of its own. */
  #replay(facts: readonly AnswerFact[]): void {
    this.#replayed = facts.flatMap((fact) => this.#step(fact, { carriesOut: false }));
    const last = facts.findLast((fact) => "nowMs" in fact);
    if (last !== undefined) this.#startedMs -= last.nowMs;
    // An answer that had ended goes on with nothing.
    if (!this.#hasEnded) this.#step({ kind: "handed_over" });
  }

  async *chunks(): AsyncGenerator<AnswerChunk> {
    yield* this.#replayed;
    this.#replayed = [];
    try {
      while (this.#waiting !== undefined) {
        for (const chunk of this.#step(await this.#await(this.#waiting))) yield chunk;
      }
    } finally {
      this.#step({ kind: "abandoned" });
      // Nothing but its own end has ended it before: it was left.
      this.#endSpan("left");
    }
  }

  #endSpan(failure?: string): void {
    if (this.#isTraced) this.#span.end(failure);
    this.#isTraced = false;
  }

  /** What the reader gets of it. @throws what the answer fails with. */
  #step(fact: AnswerFact, { carriesOut = true } = {}): readonly AnswerChunk[] {
    this.#waiting = undefined;
    const { volatileLines } = this.#plan;
    const chunks: AnswerChunk[] = [];
    if (this.#plan.journal !== undefined) this.#told.push(fact);
    const orders = this.#machine.step(fact);
    this.#steps?.note(fact, orders, bytesOf(fact));
    for (const order of orders) {
      switch (order.kind) {
        case "show": {
          const chunk = this.#chunks.text(order.pieces, order.tokens);
          if (chunk !== undefined) chunks.push(chunk);
          break;
        }
        case "leave_run":
          this.#leave();
          break;
        case "report_loss":
          if (carriesOut) this.#reportLoss(order);
          break;
        case "end":
          this.#hasEnded = true;
          chunks.push(doneChunk(order.report, { totalMs: this.#elapsedMs(), volatileLines }));
          this.#span.note({ "odist.tokens": this.#machine.tokenCount });
          this.#endSpan();
          break;
        case "fail":
          this.#endSpan(isEdgeError(this.#cause) ? this.#cause.code : order.why);
          throw this.#failure(order.why);
        default:
          this.#waiting = order;
      }
    }
    return this.#withFacts(chunks);
  }

  /** Who has the first of a step's chunks can come to all of them. */
  #withFacts(chunks: readonly AnswerChunk[]): readonly AnswerChunk[] {
    const [first, ...others] = chunks;
    if (first === undefined || this.#told.length === 0) return chunks;
    const facts = writeFacts(this.#told);
    this.#told = [];
    return [{ ...first, facts }, ...others];
  }

  /** Since the answer began, wherever that was. */
  #elapsedMs(): number {
    return this.#parts.clock.monotonicMs() - this.#startedMs;
  }

  /** What came of an order. Never throws: a failure is a fact, too. */
  async #await(order: Waiting): Promise<AnswerFact> {
    try {
      switch (order.kind) {
        case "acquire_slot":
          return await this.#acquire(order);
        case "start_run":
          return await this.#startRun(order.request);
        case "read_on":
          return await this.#read();
        case "shorten_prompt":
          return await this.#shorten();
      }
    } catch (error) {
      this.#cause = error;
      const isForeseen = isEdgeError(error) && !this.#signal.aborted;
      return { kind: "failed", code: isForeseen ? error.code : undefined };
    }
  }

  async #acquire(order: OrderOf<"acquire_slot">): Promise<AnswerFact> {
    const { need, settings, wanted, requestId, label, account, journal } = this.#plan;
    const { standing, avoid, promptTokens, afterMs } = order;
    if (afterMs !== undefined) await pause(this.#parts.clock, afterMs, this.#signal);
    const { prompt, images = [], predictTokensMax } = this.#machine.sequence;
    const promptText = promptTextOf(prompt);
    const { traceparent } = this.#span;
    const lease = await this.#parts.driver.acquire({
      ...{ requestId, need, settings, wanted, standing, avoid, promptTokens, promptText },
      hasImages: images.length > 0,
      traceparent,
      ...(label === undefined ? {} : { label }),
      ...(account === undefined ? {} : { account }),
      ...(journal === undefined ? {} : { answer: journal.answer }),
      answerTokensMax: predictTokensMax,
      ...(this.#numericClass === undefined ? {} : { numericClass: this.#numericClass }),
    }, this.#signal);
    const { servedBy, loadNs } = lease;
    const attributes = { "odist.node": servedBy?.name, "odist.standing": standing };
    const span = startSpan("odist.run", { under: traceparent, attributes });
    this.#attempt = { lease, ...following(this.#signal), span, events: undefined };
    if (this.#machine.tokenCount === 0) {
      this.#servedBy = servedBy;
      this.#begin(lease.model.facts);
    } else this.#goOn(lease);
    const nowMs = this.#elapsedMs();
    return { kind: "slot_held", nodeId: servedBy?.nodeId, loadNs, nowMs };
  }

  #begin({ exactness, numericClass }: LoadedModel["facts"]): void {
    this.#exact = exactness?.isExact;
    this.#numericClass = exactness?.isExact === true ? numericClass : undefined;
    const exact = exactness === undefined ? "unknown" : exactness.isExact ? "yes" : "no";
    this.#parts.metrics.increment("odist_answers_begun_total", { exact });
  }

  /** Where no copy of its class is left, an exact answer goes on as others do, and its operators are told. */
  #goOn({ model, servedBy }: Lease): void {
    const wanted = this.#numericClass;
    const { exactness, numericClass } = model.facts;
    if (wanted === undefined || (exactness?.isExact === true && numericClass === wanted)) return;
    this.#numericClass = undefined;
    const seen = {
      ...requestIdsOf(this.#plan),
      node: servedBy?.nodeId,
      tokens: this.#machine.tokenCount,
    };
    this.#parts.log.log("warn", "answer_left_its_class", { ...seen, wanted, got: numericClass });
    this.#parts.metrics.increment("odist_answers_left_class_total");
  }

  async #startRun(request: SequenceRequest): Promise<AnswerFact> {
    const attempt = this.#attempt;
    if (attempt === undefined) throw runEnded("before it had a slot");
    const { model, cellsAt = [] } = attempt.lease;
    const asked = cellsAt.length === 0 ? request : { ...request, cellsAt };
    const events = model.generate(asked, attempt.abort.signal);
    const place = { under: attempt.span.traceparent, node: attempt.lease.servedBy?.name };
    // Whoever computes it elsewhere has spans of its own.
    const told = attempt.lease.isElsewhere === true ? events : traceRun(events, place);
    attempt.events = told[Symbol.asyncIterator]();
    const first = await attempt.events.next();
    if (first.done === true || first.value.kind !== "started") {
      throw runEnded("before it started");
    }
    const { promptTokens, cachedTokens, prefix } = first.value;
    if (prefix !== undefined) {
      attempt.lease.noteReuse?.({
        ...{ promptTokens: promptTokens.length, reusedTokens: cachedTokens, ...prefix },
      });
    }
    return { kind: "run_started", promptTokens, cachedTokens, prefix };
  }

  async #read(): Promise<AnswerFact> {
    const result = await this.#attempt?.events?.next();
    if (result === undefined || result.done === true) throw runEnded("without saying why");
    const event = result.value;
    switch (event.kind) {
      case "started":
        throw runEnded("by starting it anew");
      case "tokens":
        return {
          kind: "tokens_came",
          tokens: event.tokens,
          nowMs: this.#elapsedMs(),
        };
      case "finished": {
        this.#signal.throwIfAborted();
        const { reason, prefillNs, decodeNs, drafts } = event;
        if (drafts !== undefined) this.#attempt?.lease.noteDrafts?.(drafts);
        return { kind: "run_finished", reason, prefillNs, decodeNs, drafts };
      }
    }
  }

  async #shorten(): Promise<AnswerFact> {
    const model = this.#attempt?.lease.model;
    const { shortenPrompt } = this.#plan;
    const shorter = model === undefined ? undefined : await shortenPrompt?.(model);
    return { kind: "prompt_shortened", shorter };
  }

  #reportLoss({ decision, tokens }: OrderOf<"report_loss">): void {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    if (attempt === undefined) return;
    const node = attempt.lease.servedBy?.name;
    attempt.span.end("runner_lost");
    this.#span.tell("failover", { "odist.node": node, "odist.tokens": tokens, decision });
    const ids = requestIdsOf(this.#plan);
    reportLoss(this.#parts, { ids, lease: attempt.lease, decision, tokens });
  }

  #failure(why: OrderOf<"fail">["why"]): unknown {
    switch (why) {
      case "cause":
        return this.#cause;
      case "lost_too_often":
        return lostTooOften(this.#cause);
      case "prompt_too_long":
        return promptTooLong();
    }
  }

  /** Ends the attempt; the slot goes back when the runner says that it is free. */
  #leave(): void {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    if (attempt === undefined) return;
    attempt.span.end();
    attempt.unfollow();
    attempt.abort.abort(LEFT);
    void drain(attempt.events).then((lost) =>
      lost ? attempt.lease.lost() : attempt.lease.release()
    );
  }
}

/** What a request holds on to, about. */
function bytesAsked({ prompt, images = [] }: AnswerPlan["sequence"]): number {
  const chars = prompt.kind === "text" ? prompt.text.length : prompt.tokens.length;
  return images.reduce((sum, { length }) => sum + length, 8 * chars);
}

/** What a fact holds on to, about: a token's bytes, its alternatives, its text. */
function bytesOf(fact: AnswerFact): number {
  if (fact.kind === "run_started") return 8 * fact.promptTokens.length;
  if (fact.kind !== "tokens_came") return 0;
  return fact.tokens.reduce(
    (sum, { topLogprobs = [] }) => sum + TOKEN_BYTES * (1 + topLogprobs.length),
    0,
  );
}

/** Reads to the end; true when the runner died meanwhile. */
async function drain(events: AsyncIterator<SequenceEvent> | undefined): Promise<boolean> {
  try {
    while (events !== undefined && (await events.next()).done !== true);
    return false;
  } catch (error) {
    return isEdgeError(error) && error.code === "runner_lost";
  }
}

function runEnded(how: string): UnavailableError {
  return new UnavailableError("runner_lost", `The runner ended a sequence ${how}`);
}

/** Tokens before it would have to be the same, too, and nobody knows their text. */
function promptTextOf(prompt: Prompt): string {
  return prompt.kind === "text" && prompt.tokensBefore === undefined ? prompt.text : "";
}

/** The contract's refusal of a prompt that nothing can shorten. */
function promptTooLong(): RequestError {
  return new RequestError(
    "prompt_too_long",
    "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the " +
      "context length in settings, or use a model with a longer context length",
  );
}
