import { assert, invalidRequest, RequestError, UnavailableError } from "../../base/mod.ts";
import {
  type AnswerToken,
  type CellsCommand,
  type CellsWish,
  type FinishReason,
  isImageToken,
  type SequenceEvent,
  type SequenceRequest,
  splitAtImages,
} from "../../protocol/mod.ts";
import { type CellsOfSlot, type CellsVoice, KeptCells, tokensLost } from "../cells/mod.ts";
import { DRAFT_TOKENS_MAX, Drafter } from "../../core/speculation/mod.ts";
import { AnswerImages, ImageNumbers } from "../images/mod.ts";
import { takeRows } from "../exactness/mod.ts";
import { Batch } from "./batch.ts";
import { decodeImage, readyImage } from "./image_step.ts";
import { scoreChoice } from "./logprobs.ts";
import { tokenizeEnds } from "./long_text.ts";
import type { RunnerModel } from "./model.ts";
import {
  awaitedPrefix,
  type BegunPrompt,
  chooseSlot,
  COPY_SAVES_TOKENS_MIN,
  matchedTokens,
  planBatch,
  prefixUse,
  type SlotCache,
  type SlotChoice,
} from "./planning.ts";
import { Candidates, type Outputs, Sampler } from "./sampler.ts";
import { isAwaited, type RunningAnswer, Slot } from "./slot.ts";
import {
  imageStart,
  keptTokens,
  replayWindow,
  shiftRange,
  truncatePrompt,
  type WindowLimits,
} from "./window.ts";

/** Answers waiting for a slot at most. The node hands out slots itself, so that a long queue here is its mistake. */
const WAITING_ANSWERS_MAX = 4096;

/**
 * Prompt tokens of one batch while others have work. A CPU computes 128 tokens as efficiently as 512, so that smaller
 * steps only shorten the wait for a first and for a next token; a GPU would starve on them.
 */
const SHARED_PREFILL_TOKENS = { cpu: 128, gpu: 512 } as const;
/** Batches expected to be shorter are decoded in place: a change of threads and back costs as much as a tenth of them. */
const IN_PLACE_MS_MAX = 4;
/** What a smaller batch takes says little about prompts. */
const PREFILL_TOKENS_MIN = 32;
/** Of no vocabulary. */
const NO_TOKEN = -1;
/** How long pipes may wait while batches are decoded in place, so that requests and cancels are seen between them. */
const UNSEEN_MS_MAX = 6;

/** A slot whose answer goes on. */
interface Output {
  readonly slot: Slot;
  /** Of the row behind which its next token is drawn; those of the draft follow. */
  readonly batchIndex: number;
  readonly draft: readonly number[];
}

/** Whether an answer is being written whose last token alone is not computed yet. */
function isAtLastToken({ answer, pendingTokens }: Slot): boolean {
  return answer !== undefined && answer.firstTokenMs > 0 && pendingTokens === 1;
}

/** An event and the request it belongs to. */
export interface AddressedEvent {
  readonly id: number;
  readonly event: SequenceEvent;
}

/**
 * Continuous batching: every round puts one token of each answer being written and parts of waiting prompts into one
 * batch, decodes it on another thread, and draws one token per answer. Requests join and leave between batches.
 */
export class Decoder {
  readonly #model: RunnerModel;
  readonly #emit: (events: readonly AddressedEvent[]) => void;
  readonly #slots: readonly Slot[];
  readonly #batch: Batch;
  readonly #candidates: Candidates;
  readonly #outputs: Outputs;
  readonly #imageNumbers = new ImageNumbers();
  readonly #kept: KeptCells;
  /** Whether cells of a prefix serve a shorter one. */
  readonly #canCut: boolean;
  /** Answers whose images are being decoded; true = cancelled meanwhile. */
  readonly #preparing = new Map<number, boolean>();
  #waiting: RunningAnswer[] = [];
  #events: AddressedEvent[] = [];
  /** Tokens of the batch where it is one answer's next token and what may follow it; else 0. */
  #aloneRows = 0;
  /** Counts uses of slots: a clock without time. */
  #order = 0;
  #wake: (() => void) | undefined;
  /** Whether there may be work that the round under way has not seen. */
  #isStirred = false;
  /** Milliseconds per batch token, as last measured. */
  #tokenMs = IN_PLACE_MS_MAX;
  /** The same of prompts; undefined = not measured. */
  #prefillTokenMs: number | undefined;
  /** Whether cells are to be copied between slots by the next decode. */
  #isCopying = false;
  #isHandingOver = false;
  /** What other nodes ask for. */
  #asked: { readonly ask: number; readonly wish: CellsWish }[] = [];
  /** When pipes were last served, in milliseconds of `performance.now()`. */
  #servedMs = 0;

  /** `outside`: who keeps cells longer than this process lives; default nobody. */
  constructor(
    model: RunnerModel,
    emit: (events: readonly AddressedEvent[]) => void,
    outside?: CellsVoice,
  ) {
    this.#model = model;
    this.#emit = emit;
    this.#canCut = model.slidingWindowTokens === 0 || model.traits.keepsAllCells;
    this.#kept = new KeptCells({
      ...model,
      bytesMax: model.settings.cacheMemoryBytes ?? 0,
      canCut: this.#canCut,
      ...(outside === undefined ? {} : { outside }),
    });
    this.#slots = Array.from({ length: model.settings.slots }, (_, index) => new Slot(index));
    // In pairs, a token may take the one before it along.
    this.#batch = new Batch(Math.max(model.batchTokens + model.sequences, DRAFT_TOKENS_MAX + 1));
    this.#candidates = new Candidates(model.llama.call, model.vocabulary.tokenCount);
    const { context, llama, vocabulary } = model;
    this.#outputs = {
      context,
      logits(batchIndex) {
        const row = llama.call.llama_get_logits_ith(context, batchIndex);
        assert(row !== null, "A sampled token has logits", { batchIndex });
        const bytes = vocabulary.tokenCount * Float32Array.BYTES_PER_ELEMENT;
        return new Float32Array(Deno.UnsafePointerView.getArrayBuffer(row, bytes));
      },
    };
  }

  /**
   * Queues an answer, at once unless it has images. It pauses whenever `unreadTokensMax` of its tokens are not
   * {@link taken}.
   *
   * @throws RequestError `prompt_too_long`, `invalid_format`, `invalid_request`, `unsupported_capability`; UnavailableError
   *   `queue_full`.
   */
  submit(
    id: number,
    request: SequenceRequest,
    unreadTokensMax = Infinity,
  ): Promise<void> | undefined {
    if (this.#waiting.length + this.#preparing.size >= WAITING_ANSWERS_MAX) {
      throw new UnavailableError("queue_full", "Too many answers wait for a slot of this runner");
    }
    if (request.images !== undefined && request.images.length > 0) {
      return this.#submitWithImages(id, request, unreadTokensMax);
    }
    this.#queue(this.#prepare(id, request, { unreadTokensMax }));
    return undefined;
  }

  async #submitWithImages(
    id: number,
    request: SequenceRequest,
    unreadTokensMax: number,
  ): Promise<void> {
    const { projector, facts, microBatchTokens: partTokensMax } = this.#model;
    if (projector === undefined) {
      throw new RequestError(
        "unsupported_capability",
        `The model can't see images: ${facts.imageFault ?? "it has no projector"}`,
      );
    }
    this.#preparing.set(id, false);
    const isWanted = () => this.#preparing.get(id) !== true;
    try {
      const options = { numbers: this.#imageNumbers, partTokensMax, isWanted };
      const images = await AnswerImages.load(projector, request.images ?? [], options);
      try {
        const answer = this.#prepare(id, request, { unreadTokensMax, images });
        this.#queue({ ...answer, isCancelled: this.#preparing.get(id) === true });
      } catch (error) {
        images.free();
        throw error;
      }
    } catch (error) {
      if (isWanted()) throw error;
      const event = { kind: "finished", reason: "cancelled", prefillNs: 0, decodeNs: 0 } as const;
      this.#emit([{ id, event }]);
    } finally {
      this.#preparing.delete(id);
    }
  }

  #queue(answer: RunningAnswer): void {
    this.#waiting.push(answer);
    this.#stir();
  }

  /** An answer's reader took so many tokens more; unknown ids have finished already. */
  taken(id: number, tokens: number): void {
    const answers = [...this.#waiting, ...this.#slots.map(({ answer }) => answer)];
    const answer = answers.find((candidate) => candidate?.id === id);
    if (answer === undefined) return;
    answer.unreadTokensLeft += tokens;
    this.#stir();
  }

  /** Takes what is said of cells that are kept outside. */
  obey(command: CellsCommand): void {
    if (command.kind === "cells_keep") this.#isHandingOver = true;
    else if (command.kind === "cells_asked") this.#asked.push(command);
    else this.#kept.obey(command);
    this.#stir();
  }

  /** Ends an answer before the next batch; unknown ids have finished already. */
  cancel(id: number): void {
    if (this.#preparing.has(id)) this.#preparing.set(id, true);
    for (const answer of [...this.#waiting, ...this.#slots.map((slot) => slot.answer)]) {
      if (answer?.id === id) answer.isCancelled = true;
    }
    this.#stir();
  }

  /** Runs for ever. @throws Error when llama.cpp fails: its context is then in an unknown state. */
  async run(): Promise<never> {
    for (;;) {
      this.#isStirred = false;
      this.#dropCancelled();
      await this.#admit();
      await this.#handOver();
      this.#flush();
      const image = readyImage(this.#writing(), () => this.#stir());
      if (image !== undefined) {
        const batchIndex = await decodeImage(this.#model, image);
        this.#isCopying = false;
        if (batchIndex !== undefined) this.#step(image.slot, batchIndex);
        this.#flush();
      }
      const outputs = this.#assemble();
      if (this.#batch.count === 0) {
        if (image === undefined) await this.#work();
        continue;
      }
      await this.#decode();
      for (const output of outputs) this.#stepAll(output);
      this.#flush();
    }
  }

  #prepare(
    id: number,
    request: SequenceRequest,
    how: { readonly unreadTokensMax: number; readonly images?: AnswerImages },
  ): RunningAnswer {
    const { vocabulary, facts } = this.#model;
    const { images, unreadTokensMax } = how;
    const limits = this.#limits(request);
    const asked = this.#tokenizePrompt(request, images);
    const imageTokens = asked.filter(isImageToken).length;
    // An image that was asked about is not cut away in silence.
    const mustFit = request.onLongPrompt === "refuse" || imageTokens > 0;
    if (asked.length > limits.contextTokens && mustFit) {
      const ofImages = imageTokens > 0 ? `, ${imageTokens} of them for images` : "";
      throw new RequestError(
        "prompt_too_long",
        `The prompt has at least ${asked.length} tokens${ofImages}, the context window ` +
          `${limits.contextTokens}`,
      );
    }
    const promptTokens = truncatePrompt(asked, limits);
    const sampler = new Sampler(
      { call: this.#model.llama.call, vocabulary, candidates: this.#candidates },
      request.sampler,
      { grammar: request.grammar, contextTokens: facts.contextTokens },
    );
    try {
      sampler.acceptPrompt(promptTokens.filter((token) => !isImageToken(token)));
      sampler.acceptEmitted(request.emittedTokens);
    } catch (error) {
      sampler.free();
      throw error;
    }
    const numbered = images?.numbered(promptTokens) ?? promptTokens;
    return {
      id,
      request,
      images,
      promptTokens,
      shownTokens: vocabulary.tokensOf(request.shownTags ?? []),
      windowTokens: replayWindow(numbered, request.emittedTokens, limits),
      sampler,
      emittedCount: request.emittedTokens.length,
      unreadTokensLeft: unreadTokensMax,
      isCancelled: false,
      isUnreadable: false,
      matchedTokens: 0,
      draftedTokens: 0,
      acceptedTokens: 0,
      startedMs: 0,
      firstTokenMs: 0,
    };
  }

  #tokenizePrompt(request: SequenceRequest, images?: AnswerImages): readonly number[] {
    const { prompt } = request;
    const { vocabulary } = this.#model;
    const tokens = prompt.kind === "text"
      ? [...prompt.tokensBefore ?? [], ...this.#tokenizePieces(prompt, request, images)]
      : prompt.tokens;
    for (const token of [...tokens, ...request.emittedTokens]) {
      if (!vocabulary.has(token) && !(images !== undefined && isImageToken(token))) {
        throw invalidRequest(`The model has no token ${token}`);
      }
    }
    // Something must be computed for there to be an output.
    return tokens.length > 0 ? tokens : [vocabulary.firstToken()];
  }

  #tokenizePieces(
    prompt: Extract<SequenceRequest["prompt"], { kind: "text" }>,
    request: SequenceRequest,
    images: AnswerImages | undefined,
  ): readonly number[] {
    if (images === undefined) return this.#tokenizeText(prompt, request);
    const pieces = splitAtImages(prompt.text, request.images?.length ?? 0);
    return pieces.flatMap((piece, index) => {
      if (piece.kind === "image") return images.tokensOf(piece.image);
      const addSpecial = prompt.addSpecial && index === 0;
      return this.#tokenizeText({ ...prompt, text: piece.text, addSpecial }, request);
    });
  }

  /** The text's tokens, as far as they can get into the window or must be counted to refuse it. */
  #tokenizeText(
    prompt: Extract<SequenceRequest["prompt"], { kind: "text" }>,
    request: SequenceRequest,
  ): readonly number[] {
    const { vocabulary } = this.#model;
    const limits = this.#limits(request);
    const wanted = request.onLongPrompt === "refuse"
      ? { first: limits.contextTokens, last: 0 }
      : { first: keptTokens(Infinity, limits), last: limits.contextTokens };
    return tokenizeEnds(
      prompt.text,
      wanted,
      (text, place) => vocabulary.tokenize(text, prompt.addSpecial && place === "front"),
    );
  }

  #limits(request: SequenceRequest): WindowLimits {
    return { contextTokens: this.#model.facts.contextTokens, keepTokens: request.keepTokens };
  }

  #dropCancelled(): void {
    for (const slot of this.#slots) {
      if (slot.answer?.isCancelled) this.#finish(slot, slot.answer, "cancelled");
    }
    const isLeaving = this.#waiting.some((answer) => answer.isCancelled);
    if (!isLeaving) return;
    for (const answer of this.#waiting) {
      if (answer.isCancelled) this.#conclude(answer, "cancelled");
    }
    this.#waiting = this.#waiting.filter((answer) => !answer.isCancelled);
  }

  /**
   * Gives idle slots to waiting answers, first come, first served. Whoever waits for a prefix that another one computes has a
   * slot kept free meanwhile.
   */
  async #admit(): Promise<void> {
    for (const slot of this.#slots) slot.awaitedTokens = Infinity;
    let kept = 0;
    for (const answer of [...this.#waiting]) {
      const hasRoom = kept < this.#slots.filter((slot) => slot.answer === undefined).length;
      const isPlaced = hasRoom && !this.#awaits(answer) && await this.#place(answer);
      if (isPlaced) this.#waiting = this.#waiting.filter((other) => other !== answer);
      else kept++;
    }
  }

  /** All that was computed, if it was asked for. */
  async #handOver(): Promise<void> {
    const [isWhole, asked] = [this.#isHandingOver, this.#asked];
    if (!isWhole && asked.length === 0) return;
    this.#isHandingOver = false;
    this.#asked = [];
    const whole = this.#isCopying ? [] : this.#slots;
    const worth = whole.filter(({ computed }) => computed >= COPY_SAVES_TOKENS_MIN)
      .map((slot) => this.#cellsOf(slot));
    for (const each of asked) await this.#kept.give(each, worth);
    if (isWhole) await this.#kept.handOver(worth);
  }

  /** Whether it is to wait for what another answer is about to compute. */
  #awaits(answer: RunningAnswer): boolean {
    if (!isAwaited(answer.awaited)) {
      const { windowTokens } = answer;
      const found = awaitedPrefix(this.#caches(), windowTokens, this.#keptTokens(windowTokens));
      const slot = found && this.#slots[found.slot];
      answer.awaited = found && slot && { slot, by: slot.answer, tokens: found.tokens };
    }
    if (answer.awaited === undefined) return this.#fetches(answer);
    const { slot, tokens } = answer.awaited;
    slot.awaitedTokens = Math.min(slot.awaitedTokens, tokens);
    return true;
  }

  /** Whether it is to wait for cells that are kept outside: on the disk first, then at other nodes. */
  #fetches(answer: RunningAnswer): boolean {
    if (answer.fetching === "coming") return true;
    const isFirst = answer.fetching === undefined;
    const { cellsAt: keepers = [] } = answer.request;
    if (!isFirst && (keepers.length === 0 || answer.isSought === true)) return false;
    const { windowTokens } = answer;
    if (isFirst) answer.matchedTokens = this.#matchedTokens(windowTokens);
    const inSlots = chooseSlot(this.#caches(), windowTokens)?.sharedTokens ?? 0;
    const readyTokens = Math.max(inSlots, this.#keptTokens(windowTokens));
    const onCome = (isSound: boolean) => {
      answer.fetching = "over";
      answer.isUnreadable ||= !isSound;
      this.#stir();
    };
    let isComing = isFirst &&
      this.#kept.fetch(windowTokens, readyTokens + COPY_SAVES_TOKENS_MIN, onCome);
    if (!isComing) {
      answer.isSought = true;
      isComing = keepers.length > 0 &&
        windowTokens.length - 1 - readyTokens >= COPY_SAVES_TOKENS_MIN &&
        this.#kept.seek(
          windowTokens,
          { keepers, readyTokens, msPerToken: this.#prefillTokenMs },
          onCome,
        );
    }
    answer.fetching = isComing ? "coming" : "over";
    return isComing;
  }

  /** Leading tokens of a prompt that any cells are of. */
  #matchedTokens(prompt: readonly number[]): number {
    return Math.max(matchedTokens(this.#caches(), prompt), this.#kept.matchedTokens(prompt));
  }

  /** Whether there was a slot for it. */
  async #place(answer: RunningAnswer): Promise<boolean> {
    const caches = this.#caches();
    const choice = chooseSlot(caches, answer.windowTokens);
    const slot = choice && this.#slots[choice.slot];
    if (choice === undefined || slot === undefined) return false;
    const keptTokens = this.#keptTokens(answer.windowTokens);
    const isKept = keptTokens - choice.sharedTokens >= COPY_SAVES_TOKENS_MIN;
    const isLost = this.#losesTokens(choice, answer, caches);
    // Cells are copied between slots by the next decode: until then what is read or written of them is not theirs.
    if ((isKept || isLost) && this.#isCopying) {
      if (this.#writing().some(({ pendingTokens }) => pendingTokens > 0)) return false;
      return this.#begin(slot, answer, { ...choice, from: "slot" });
    }
    if (isLost) await this.#kept.save(this.#cellsOf(slot));
    if (!isKept) return this.#begin(slot, answer, { ...choice, from: "slot" });
    const origin = await this.#kept.restore(slot.index, answer.windowTokens);
    const sharedTokens = origin === undefined ? 0 : keptTokens;
    if (origin === undefined) answer.isUnreadable = true;
    return this.#begin(slot, answer, { slot: slot.index, sharedTokens, from: origin ?? "slot" });
  }

  /** Leading tokens of a prompt that are kept outside the slots, whole images alone. */
  #keptTokens(prompt: readonly number[]): number {
    return imageStart(prompt, this.#kept.tokensOf(prompt));
  }

  #cellsOf({ index, computed, savedPositions, window }: Slot): CellsOfSlot {
    const tokens = window.slice(0, computed);
    const computeMs = computed * (this.#prefillTokenMs ?? IN_PLACE_MS_MAX);
    return { slot: index, tokens, savedPositions, computeMs };
  }

  /** Whether an answer's cells would take the place of some that are worth keeping. */
  #losesTokens(
    { slot }: SlotChoice,
    { windowTokens }: RunningAnswer,
    caches: readonly SlotCache[],
  ): boolean {
    if (this.#model.settings.cacheMemoryBytes === undefined) return false;
    const tokens = caches.find((cache) => cache.slot === slot)?.cachedTokens ?? [];
    const others = caches.filter((cache) => cache.slot !== slot).map((cache) => cache.cachedTokens);
    const keptTokens = this.#kept.tokensOf([...tokens, NO_TOKEN]);
    const lost = tokensLost(tokens, { others: [...others, windowTokens], keptTokens });
    return lost >= COPY_SAVES_TOKENS_MIN;
  }

  #begin(
    slot: Slot,
    answer: RunningAnswer,
    choice: SlotChoice & { readonly from: BegunPrompt["from"] },
  ): true {
    const isAnythingCached = this.#caches().some(({ cachedTokens }) => cachedTokens.length > 0) ||
      this.#kept.hasAny;
    const matched = Math.max(answer.matchedTokens, this.#matchedTokens(answer.windowTokens));
    const shared = this.#reuse(choice, answer);
    slot.begin(answer, shared);
    answer.startedMs = performance.now();
    const { id, promptTokens, isUnreadable } = answer;
    const cachedTokens = Math.min(slot.computed, promptTokens.length);
    const prefix = prefixUse({
      promptTokens: promptTokens.length,
      matchedTokens: Math.min(matched, promptTokens.length),
      reusedTokens: cachedTokens,
      from: choice.from,
      ...{ isAnythingCached, isUnreadable },
      isUncuttable: shared < choice.sharedTokens || !this.#canCut,
    });
    this.#events.push({ id, event: { kind: "started", promptTokens, cachedTokens, prefix } });
    if (answer.emittedCount >= answer.request.predictTokensMax) {
      this.#finish(slot, answer, "length");
    }
    return true;
  }

  #writing(): readonly Slot[] {
    return this.#slots.filter((slot) => slot.isWriting);
  }

  #caches() {
    return this.#slots.map((slot) => ({
      slot: slot.index,
      isBusy: slot.answer !== undefined,
      cachedTokens: slot.computed === slot.window.length
        ? slot.window
        : slot.window.slice(0, slot.computed),
      promisedTokens: slot.isWriting ? slot.window : [],
      usedOrder: slot.usedOrder,
    }));
  }

  /** Makes the slot's KV cache hold exactly the shared prefix; returns its length, 0 where the memory can't be cut. */
  #reuse({ slot, sharedTokens, copyFrom }: SlotChoice, answer: RunningAnswer): number {
    const { memory, slidingWindowTokens } = this.#model;
    const { call } = this.#model.llama;
    if (copyFrom !== undefined) {
      call.llama_memory_seq_rm(memory, slot, -1, -1);
      call.llama_memory_seq_cp(memory, copyFrom, slot, -1, -1);
      this.#isCopying = true;
    }
    const { images, windowTokens } = answer;
    const position = sharedTokens - (images?.savedPositions(windowTokens, sharedTokens) ?? 0);
    // A sliding window forgets old cells; what a shorter prefix would attend to may be gone.
    const oldest = call.llama_memory_seq_pos_min(memory, slot);
    const isWhole = slidingWindowTokens === 0 ||
      oldest <= Math.max(0, position - slidingWindowTokens);
    if (isWhole && call.llama_memory_seq_rm(memory, slot, position, -1)) return sharedTokens;
    call.llama_memory_seq_rm(memory, slot, -1, -1);
    return 0;
  }

  /** Fills the batch; returns which slots will have an output, and where. */
  #assemble(): Output[] {
    this.#batch.clear();
    const busy = this.#slotsOfNext();
    const { batchTokens, llama, traits } = this.#model;
    const plan = planBatch(
      busy.map((slot) => ({
        slot: slot.index,
        pendingTokens: slot.nextText,
        phase: slot.answer?.firstTokenMs === 0 || slot.pendingTokens > 1 ? "prefill" : "decode",
        order: slot.answer?.startedMs ?? 0,
      })),
      {
        batchTokens,
        sharedPrefillTokens: SHARED_PREFILL_TOKENS[llama.gpus.length > 0 ? "gpu" : "cpu"],
        sequenceTokens: traits.rowsMax,
      },
    );
    const outputs: Output[] = [];
    this.#aloneRows = busy.length === 1 && busy.every(isAtLastToken) ? 1 : 0;
    // In the order of slots: llama.cpp computes runs of consecutive sequences together.
    for (const slot of busy) {
      const count = plan.get(slot.index) ?? 0;
      const draft = this.#aloneRows === 1 ? this.#draftOf(slot) : [];
      this.#aloneRows += draft.length;
      const batchIndex = count === 0 ? -1 : this.#addRows(slot, count, draft);
      if (batchIndex >= 0 && slot.pendingTokens === 0) outputs.push({ slot, batchIndex, draft });
    }
    return outputs;
  }

  /** Where rows go in pairs, a window of one token has none to pair with, and so nobody else may be in its batch. */
  #slotsOfNext(): readonly Slot[] {
    const busy = this.#writing().filter((slot) => slot.pendingText > 0);
    if (!this.#model.traits.pairsRows) return busy;
    const lone = busy.find((slot) => slot.computed === 0 && slot.pendingText === 1);
    return lone === undefined ? busy : [lone];
  }

  /**
   * What is to be computed ahead of an answer. Beside others there is none: their rows share the weights already, and one's
   * draft would hold them up.
   */
  #draftOf(slot: Slot): readonly number[] {
    const { draftCosts, facts } = this.#model;
    const { answer } = slot;
    const isWanted = this.#waiting.length === 0 && this.#canCut;
    if (draftCosts === undefined || answer === undefined || !isWanted) return [];
    if (answer.request.speculates === false) return [];
    answer.drafter ??= new Drafter(slot.window);
    const room = Math.min(
      answer.unreadTokensLeft,
      answer.request.predictTokensMax - answer.emittedCount,
      facts.contextTokens - slot.window.length,
    );
    const draft = answer.drafter.draft(draftCosts, room - 1);
    const end = draft.findIndex(isImageToken);
    return end < 0 ? draft : [];
  }

  /**
   * At most `count` tokens of a slot that were not computed yet, and what may follow them; returns the index in the batch of the
   * last one that is the answer's.
   */
  #addRows(slot: Slot, count: number, draft: readonly number[]): number {
    const { memory, llama, traits } = this.#model;
    const { computed, savedPositions, window } = slot;
    const ahead = draft.length;
    const pending = slot.pendingText + ahead;
    const rows = takeRows({ computed, pending, count: count + ahead }, traits);
    const { to } = rows;
    // What is of an image can't go along: it is no row of tokens.
    const from = isImageToken(window[rows.from] ?? 0) ? computed : rows.from;
    if (from < computed) {
      llama.call.llama_memory_seq_rm(memory, slot.index, from - savedPositions, -1);
    }
    const outputs = ahead > 0 ? ahead + 1 : traits.pairsRows ? 2 : 1;
    const firstOutput = to === window.length + ahead ? to - outputs : Infinity;
    let batchIndex = -1;
    for (let at = from; at < to; at++) {
      batchIndex = this.#batch.add(window[at] ?? draft[at - window.length] ?? 0, {
        position: at - savedPositions,
        sequence: slot.index,
        wantsOutput: at >= firstOutput,
      });
    }
    slot.computed = to - ahead;
    return batchIndex - ahead;
  }

  async #decode(): Promise<void> {
    const { context, llama } = this.#model;
    const { struct, count } = this.#batch;
    const startedMs = performance.now();
    const isShort = count * this.#tokenMs < IN_PLACE_MS_MAX && llama.gpus.length === 0;
    const isInPlace = isShort && startedMs - this.#servedMs < UNSEEN_MS_MAX;
    const code = isInPlace
      ? llama.call.llama_decode(context, struct)
      : await llama.call.llama_decode_later(context, struct);
    if (code !== 0) throw new Error(`llama_decode failed with code ${code}`);
    this.#isCopying = false;
    // On a GPU decoding only starts the work; waiting for it here keeps the wait off this thread.
    if (llama.gpus.length > 0) await llama.call.llama_synchronize_later(context);
    const endedMs = performance.now();
    if (!isInPlace) this.#servedMs = endedMs;
    this.#tokenMs = (endedMs - startedMs) / count;
    this.#model.draftCosts?.took(this.#aloneRows, endedMs - startedMs);
    if (count >= PREFILL_TOKENS_MIN) this.#prefillTokenMs = this.#tokenMs;
  }

  /** Draws a slot's next token, and those behind it as long as the draft has them; what was computed of others goes. */
  #stepAll({ slot, batchIndex, draft }: Output): void {
    const { answer } = slot;
    if (answer === undefined) return;
    answer.draftedTokens += draft.length;
    let accepted = 0;
    for (;;) {
      const drawn = this.#step(slot, batchIndex + accepted);
      if (drawn === undefined || drawn !== draft[accepted]) break;
      accepted++;
      answer.acceptedTokens++;
      slot.computed++;
    }
    if (accepted === draft.length) return;
    const { memory, llama } = this.#model;
    const from = slot.computed - slot.savedPositions;
    const isGone = llama.call.llama_memory_seq_rm(memory, slot.index, from, -1);
    assert(isGone, "Memory of an exact model can be cut", { from });
  }

  /** Draws a slot's next token and decides whether its answer goes on: undefined = it doesn't, else the token. */
  #step(slot: Slot, batchIndex: number): number | undefined {
    const answer = slot.answer;
    if (answer === undefined || answer.isCancelled) return undefined;
    const token = answer.sampler.sample(this.#outputs, batchIndex);
    if (answer.firstTokenMs === 0) answer.firstTokenMs = performance.now();
    if (token === undefined || this.#model.vocabulary.isEnd(token)) {
      return this.#finish(slot, answer, "end");
    }
    answer.emittedCount++;
    answer.unreadTokensLeft--;
    const tokens = [this.#describe(token, answer, batchIndex)];
    this.#events.push({ id: answer.id, event: { kind: "tokens", tokens } });
    const isFull = slot.window.length >= this.#model.facts.contextTokens;
    const isLast = answer.emittedCount >= answer.request.predictTokensMax ||
      (isFull && answer.request.onFullContext === "stop");
    if (isLast) return this.#finish(slot, answer, "length");
    slot.window.push(token);
    answer.drafter?.take(token);
    if (isFull) this.#shift(slot, answer);
    return token;
  }

  #describe(token: number, answer: RunningAnswer, batchIndex: number): AnswerToken {
    const { vocabulary } = this.#model;
    const { shownTokens } = answer;
    const bytes = vocabulary.piece(token, shownTokens);
    const { topLogprobs } = answer.request;
    if (topLogprobs < 0) return { token, bytes };
    const { logprob, top } = scoreChoice(this.#outputs.logits(batchIndex), token, topLogprobs);
    return {
      token,
      bytes,
      logprob,
      topLogprobs: top.map((scored) => ({
        ...scored,
        bytes: vocabulary.piece(scored.token, shownTokens),
      })),
    };
  }

  /**
   * Drops the older half behind the kept tokens. The rest is computed again where the cache can't be moved, and in an exact
   * answer: another runner that goes on with it has no moved cells.
   */
  #shift(slot: Slot, answer: RunningAnswer): void {
    const { memory, facts } = this.#model;
    const { call } = this.#model.llama;
    const kept = keptTokens(answer.promptTokens.length, this.#limits(answer.request));
    const { from, to } = shiftRange(slot.window, kept, facts.contextTokens);
    slot.window.splice(from, to - from);
    const isMoved = facts.canShift && facts.exactness?.isExact !== true &&
      call.llama_memory_seq_rm(memory, slot.index, from, to);
    if (isMoved) {
      call.llama_memory_seq_add(memory, slot.index, to, -1, from - to);
      slot.computed -= to - from;
    } else {
      call.llama_memory_seq_rm(memory, slot.index, -1, -1);
      slot.computed = 0;
      slot.savedPositions = 0;
    }
  }

  #finish(slot: Slot, answer: RunningAnswer, reason: FinishReason): undefined {
    slot.end(++this.#order);
    this.#conclude(answer, reason);
  }

  #conclude(answer: RunningAnswer, reason: FinishReason): void {
    answer.sampler.free();
    answer.images?.free();
    const now = performance.now();
    const firstMs = answer.firstTokenMs || now;
    const prefillNs = Math.round((firstMs - (answer.startedMs || now)) * 1e6);
    const decodeNs = Math.round((now - firstMs) * 1e6);
    const { draftedTokens: drafted, acceptedTokens: accepted } = answer;
    const drafts = drafted === 0 ? {} : { drafts: { drafted, accepted } };
    const event = { kind: "finished", reason, prefillNs, decodeNs, ...drafts } as const;
    this.#events.push({ id: answer.id, event });
  }

  #flush(): void {
    if (this.#events.length === 0) return;
    this.#emit(this.#events);
    this.#events = [];
  }

  #stir(): void {
    this.#isStirred = true;
    this.#wake?.();
  }

  /** Until something is asked, cancelled or read. */
  async #work(): Promise<void> {
    // Something was said while cells were copied.
    if (this.#isStirred) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }
}
