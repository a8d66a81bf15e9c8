import { assert, assertNever, type ErrorCode, type NodeId } from "../../base/mod.ts";
import {
  type AnswerToken,
  type DraftUse,
  IMAGE_TOKENS_ESTIMATED,
  isImageToken,
  type PrefixUse,
} from "../../protocol/mod.ts";
import { type AnswerPiece, AnswerStream, type AnswerStreamOptions } from "../generation/mod.ts";
import type { AnswerFact, AnswerOrder, AnswerReport, AnswerSequence } from "./events.ts";
import { estimatePromptTokens } from "./peer_beliefs.ts";
import { AVOIDED_NODES_MAX, FRUITLESS_ATTEMPTS_MAX, SEARCHES_AGAIN } from "./limits.ts";

/**
 * Why no slot was found that may be found in a moment: somebody computed the answer before. That no holder can be reached isn't
 * among them, as it is said only once gossip is sure.
 */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "peer_lost",
  "runner_lost",
  "load_failed",
  "load_timeout",
  "model_too_large",
  "queue_full",
]);

/** What an answer is to become. */
export interface AnswerWish {
  readonly sequence: AnswerSequence;
  readonly stream: AnswerStreamOptions;
  /** Constrains the content after unconstrained thinking; needs `stream.atContent` = "pause". */
  readonly grammarAtContent?: string;
  /** Whether a prompt longer than the context window could be made shorter. */
  readonly isShortenable: boolean;
}

/** What the answer waits for. */
type Phase = "new" | "acquiring" | "starting" | "reading" | "shortening" | "ended";

/**
 * One answer through any number of runners: which slot it asks for, what it lets the runner do, what its reader sees, and
 * what happens when the runner dies, refuses the prompt, or must begin again under a grammar. Facts in, orders out.
 */
export class AnswerMachine {
  readonly #wish: AnswerWish;
  readonly #stream: AnswerStream;
  readonly #resumption = new Resumption();
  readonly #figures = new Figures();
  #sequence: AnswerSequence;
  #phase: Phase = "new";
  #servedBy: NodeId | undefined;
  /** Until a prompt was accepted or shortened. */
  #mayShorten: boolean;

  constructor(wish: AnswerWish) {
    this.#wish = wish;
    this.#sequence = wish.sequence;
    this.#stream = new AnswerStream(wish.stream);
    this.#mayShorten = wish.isShortenable;
  }

  /** What every runner is asked for; its prompt changes when it is shortened or the content begins. */
  get sequence(): AnswerSequence {
    return this.#sequence;
  }

  /** Answer tokens so far. */
  get tokenCount(): number {
    return this.#stream.tokenCount;
  }

  /** Tokens of the prompt as the last run has it, and those that the first run found computed; 0 before a run started. */
  get promptUsage(): { readonly promptTokens: number; readonly cachedTokens: number } {
    const { promptTokens, cachedTokens } = this.#figures;
    return { promptTokens, cachedTokens: cachedTokens ?? 0 };
  }

  /** Takes one fact and returns what the driver must now do, in this order; none after the end. */
  step(fact: AnswerFact): readonly AnswerOrder[] {
    switch (fact.kind) {
      case "begun":
        this.#expect("new");
        return [this.#acquire()];
      case "slot_held":
        return this.#held(fact);
      case "run_started":
        return this.#started(fact);
      case "tokens_came":
        return this.#read(fact);
      case "run_finished":
        return this.#finished(fact);
      case "prompt_shortened":
        return this.#shortened(fact.shorter);
      case "failed":
        return this.#failed(fact.code);
      case "handed_over":
        return this.#handedOver();
      case "abandoned":
        return this.#abandoned();
      default:
        return assertNever(fact);
    }
  }

  #acquire(afterMs?: number): AnswerOrder {
    this.#phase = "acquiring";
    const { promptTokens, emittedTokens } = this.#stream.journal();
    const { standing, avoid } = this.#resumption;
    const { prompt, images = [] } = this.#sequence;
    return {
      kind: "acquire_slot",
      standing,
      avoid,
      promptTokens: promptTokens.length > 0
        ? promptTokens.length + emittedTokens.length
        : estimatePromptTokens(prompt) + images.length * IMAGE_TOKENS_ESTIMATED,
      ...afterMs !== undefined && { afterMs },
    };
  }

  #held(fact: Extract<AnswerFact, { kind: "slot_held" }>): readonly AnswerOrder[] {
    this.#expect("acquiring");
    this.#phase = "starting";
    this.#servedBy = fact.nodeId;
    this.#figures.granted(fact.loadNs, fact.nowMs);
    const { promptTokens, emittedTokens } = this.#stream.journal();
    const prompt = promptTokens.length > 0
      ? { kind: "tokens" as const, tokens: promptTokens }
      : this.#sequence.prompt;
    return [{ kind: "start_run", request: { ...this.#sequence, prompt, emittedTokens } }];
  }

  #started(fact: Extract<AnswerFact, { kind: "run_started" }>): readonly AnswerOrder[] {
    const { promptTokens, cachedTokens, prefix } = fact;
    this.#expect("starting");
    this.#phase = "reading";
    this.#mayShorten = false;
    this.#stream.step({ kind: "started", promptTokens });
    this.#figures.promptTokens = promptTokens.length;
    // What a later run finds computed is in part this very answer.
    if (this.#figures.cachedTokens === undefined) this.#figures.prefix = prefix;
    this.#figures.cachedTokens ??= cachedTokens;
    return [{ kind: "read_on" }];
  }

  #read(fact: Extract<AnswerFact, { kind: "tokens_came" }>): readonly AnswerOrder[] {
    this.#expect("reading");
    const { tokens, nowMs } = fact;
    if (tokens.length === 0) return [{ kind: "read_on" }];
    this.#figures.tokensCame(nowMs);
    this.#resumption.progressed();
    return this.#show(this.#stream.step({ kind: "tokens", tokens }), tokens);
  }

  #finished(fact: Extract<AnswerFact, { kind: "run_finished" }>): readonly AnswerOrder[] {
    this.#expect("reading");
    this.#figures.finished(fact);
    return this.#show(this.#stream.finish(fact.reason), []);
  }

  /** What came out, and how it goes on. */
  #show(pieces: readonly AnswerPiece[], tokens: readonly AnswerToken[]): readonly AnswerOrder[] {
    const show: AnswerOrder = { kind: "show", pieces, tokens };
    const { end } = this.#stream;
    if (end === undefined) return [show, { kind: "read_on" }];
    if (end === "paused") return [show, { kind: "leave_run" }, this.#restartAtContent()];
    this.#phase = "ended";
    const report = this.#figures.report(this.#stream, end);
    return [show, { kind: "leave_run" }, { kind: "end", report }];
  }

  /** The thinking is done: a new run, whose prompt ends with it, writes the content under the grammar. */
  #restartAtContent(): AnswerOrder {
    const { prompt } = this.#sequence;
    const thinking = this.#stream.resumeAtContent();
    this.#sequence = {
      ...this.#sequence,
      prompt: prompt.kind === "text" ? { ...prompt, text: prompt.text + thinking } : prompt,
      grammar: this.#wish.grammarAtContent ?? null,
    };
    this.#resumption.restarts();
    return this.#acquire();
  }

  #shortened(
    shorter: Extract<AnswerFact, { kind: "prompt_shortened" }>["shorter"],
  ): readonly AnswerOrder[] {
    this.#expect("shortening");
    if (shorter === undefined) return this.#fail("prompt_too_long");
    this.#mayShorten = false;
    this.#sequence = { ...this.#sequence, ...shorter };
    this.#resumption.restarts();
    return [{ kind: "leave_run" }, this.#acquire()];
  }

  #failed(code: ErrorCode | undefined): readonly AnswerOrder[] {
    const isHolding = this.#isHolding;
    if (code === "runner_lost" && isHolding) return this.#lost();
    if (this.#phase === "acquiring" && code !== undefined && PASSING.has(code)) {
      const afterMs = this.#resumption.foundNobody();
      if (afterMs !== undefined) return [this.#acquire(afterMs)];
    }
    if (code !== "prompt_too_long" || !isHolding || this.#phase === "shortening") {
      return this.#fail("cause");
    }
    if (!this.#mayShorten) return this.#fail("prompt_too_long");
    this.#phase = "shortening";
    return [{ kind: "shorten_prompt" }];
  }

  /** The machine that computed is not avoided: it may live, with all of this in its cache. */
  #handedOver(): readonly AnswerOrder[] {
    assert(this.#phase !== "ended", "What has ended is handed to nobody");
    this.#resumption.restarts();
    return this.#phase === "new" ? [] : [this.#acquire()];
  }

  #lost(): readonly AnswerOrder[] {
    const nodeId = this.#servedBy;
    const decision = this.#resumption.lost(nodeId);
    const tokens = this.#stream.tokenCount;
    const report: AnswerOrder = { kind: "report_loss", nodeId, decision, tokens };
    if (decision === "resume") return [report, this.#acquire()];
    this.#phase = "ended";
    return [report, { kind: "fail", why: "lost_too_often" }];
  }

  #fail(why: Extract<AnswerOrder, { kind: "fail" }>["why"]): readonly AnswerOrder[] {
    assert(this.#phase !== "ended", "An answer fails before its end", { why });
    const leave: AnswerOrder[] = this.#isHolding ? [{ kind: "leave_run" }] : [];
    this.#phase = "ended";
    return [...leave, { kind: "fail", why }];
  }

  #abandoned(): readonly AnswerOrder[] {
    const isHolding = this.#isHolding;
    this.#phase = "ended";
    return isHolding ? [{ kind: "leave_run" }] : [];
  }

  /** Whether a slot is held. */
  get #isHolding(): boolean {
    return this.#phase === "starting" || this.#phase === "reading" || this.#phase === "shortening";
  }

  #expect(phase: Phase): void {
    assert(this.#phase === phase, "An answer hears what it waits for", {
      waitsAs: this.#phase,
      heardAs: phase,
    });
  }
}

/** Counts and durations over all runs of an answer. */
class Figures {
  promptTokens = 0;
  cachedTokens: number | undefined;
  prefix: PrefixUse | undefined;
  #loadNs = 0;
  #prefillNs = 0;
  #decodeNs = 0;
  #drafts: DraftUse | undefined;
  #grantedMs = 0;
  #firstTokenMs: number | undefined;
  #lastTokenMs = 0;

  granted(loadNs: number, nowMs: number): void {
    this.#loadNs += loadNs;
    this.#grantedMs = nowMs;
  }

  tokensCame(nowMs: number): void {
    this.#firstTokenMs ??= nowMs;
    this.#lastTokenMs = nowMs;
  }

  finished(run: Extract<AnswerFact, { kind: "run_finished" }>): void {
    this.#prefillNs += run.prefillNs;
    this.#decodeNs += run.decodeNs;
    if (run.drafts === undefined) return;
    const { drafted, accepted } = this.#drafts ?? { drafted: 0, accepted: 0 };
    this.#drafts = {
      drafted: drafted + run.drafts.drafted,
      accepted: accepted + run.drafts.accepted,
    };
  }

  report(stream: AnswerStream, end: AnswerReport["end"]): AnswerReport {
    const { promptTokens, emittedTokens } = stream.journal();
    const firstTokenMs = this.#firstTokenMs;
    return {
      end,
      stopString: stream.stopString,
      loadNs: this.#loadNs,
      promptTokens: this.promptTokens,
      cachedTokens: this.cachedTokens ?? 0,
      prefix: this.prefix,
      // A run cut at a stop string is not waited for: what was seen from here stands for its own figures.
      promptNs: this.#prefillNs ||
        nanoseconds((firstTokenMs ?? this.#grantedMs) - this.#grantedMs),
      // The token that ended the answer was computed too; it has no text, so no runner hands it on.
      answerTokens: stream.tokenCount + (end === "end" ? 1 : 0),
      answerNs: this.#decodeNs ||
        nanoseconds(this.#lastTokenMs - (firstTokenMs ?? this.#lastTokenMs)),
      drafts: this.#drafts,
      // Without its file an image says nothing to whoever brings the context back.
      context: [...promptTokens, ...emittedTokens].filter((token) => !isImageToken(token)),
    };
  }
}

function nanoseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1e6));
}

/**
 * Whether and where a request goes on whose runner died, be it here or on another node. A request that kills every runner
 * it meets must end at some time, or one prompt could keep a node in a crash loop; one that makes progress goes on for
 * ever.
 */
export class Resumption {
  #standing: "fresh" | "resumed" = "fresh";
  #avoid: readonly NodeId[] = [];
  #fruitlessAttempts = 0;
  #fruitlessSearches = 0;

  /** `resumed` requests were admitted once: they go to the front and are never refused for a full queue. */
  get standing(): "fresh" | "resumed" {
    return this.#standing;
  }

  /** Nodes under which the request was lost, oldest first. */
  get avoid(): readonly NodeId[] {
    return this.#avoid;
  }

  /** Something new came of the attempt: those before it count no more. */
  progressed(): void {
    this.#fruitlessSearches = 0;
    this.#fruitlessAttempts = 0;
  }

  /** No slot was to be had. @returns After how many milliseconds to look again; undefined = not again. */
  foundNobody(): number | undefined {
    if (this.#standing === "fresh" || this.#fruitlessSearches >= SEARCHES_AGAIN.timesMax) {
      return undefined;
    }
    return ++this.#fruitlessSearches * SEARCHES_AGAIN.gapMs;
  }

  /** The request gave its slot back and wants another one, at the front. */
  restarts(): void {
    this.#standing = "resumed";
  }

  /** A runner died under the request; undefined = on this node, alone. */
  lost(nodeId: NodeId | undefined): "resume" | "give_up" {
    if (nodeId !== undefined) {
      const others = this.#avoid.filter((avoided) => avoided !== nodeId);
      this.#avoid = [...others, nodeId].slice(-AVOIDED_NODES_MAX);
    }
    this.#standing = "resumed";
    this.#fruitlessAttempts++;
    return this.#fruitlessAttempts >= FRUITLESS_ATTEMPTS_MAX ? "give_up" : "resume";
  }
}
