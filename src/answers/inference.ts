import { BoundedMap, isEdgeError, type NodeId, RequestError, requestIdsOf } from "../base/mod.ts";
import { jsonGrammar, schemaToGrammar } from "../core/grammar/mod.ts";
import { estimatePromptTokens, Resumption } from "../core/answers/mod.ts";
import {
  type ModelDefinition,
  type ModelStore,
  type OptionDefaults,
  type ResolvedOptions,
  resolveOptions,
  type TemplateWorkers,
  unknownNames,
} from "../models/mod.ts";
import type {
  Answer,
  ChatRequest,
  Clock,
  EmbedAnswer,
  EmbedRequest,
  GenerateRequest,
  RequestOptions,
} from "../ports/mod.ts";
import {
  displayModelName,
  IMAGE_TOKENS_ESTIMATED,
  type LoadSettings,
  type ThinkLevel,
  type Tool,
} from "../protocol/mod.ts";
import { type AnsweringParts, type AnswerPlan, startAnswer } from "./answering.ts";
import { readingOf, writingOf } from "./reading.ts";
import { lostTooOften, reportLoss } from "./loss.ts";
import {
  type Lease,
  type LeaseRequest,
  type LeaseSource,
  modelKeyOf,
  neededModel,
  type ServingNode,
} from "../slots/mod.ts";
import {
  checkChat,
  checkGenerate,
  decideThinking,
  imagesOf,
  renderChat,
  type RenderedText,
  renderGenerate,
  shortenChat,
  Templates,
  unseenImages,
  type UsableTemplate,
  withModelMessages,
} from "./prompts.ts";
import { type ForcedCall, forcedCall, offeredTools } from "./forced_call.ts";
import { settledBy } from "./settle_lines.ts";

/** Texts that a runner embeds at once: its answer is one message, which has a bound. */
const EMBED_INPUTS_AT_ONCE = 512;

/** What inference uses. */
export interface InferenceParts extends Omit<AnsweringParts, "driver"> {
  readonly driver: LeaseSource;
  readonly models: Pick<ModelStore, "getDefinition">;
  readonly templates: Pick<TemplateWorkers, "run">;
  readonly defaults: OptionDefaults;
  readonly clock: Clock;
  /** Unsigned 32-bit. */
  readonly drawSeed: () => number;
  readonly drawRequestId: () => string;
}

/** Models whose special texts are remembered. */
const TEXTS_MAX = 256;

/** One request once its model and options are known. */
interface Prepared {
  readonly model: ModelDefinition;
  readonly template: UsableTemplate;
  readonly resolved: ResolvedOptions;
  readonly prompt: RenderedText;
  readonly think: ThinkLevel | undefined;
  readonly images: readonly Uint8Array[];
  readonly tools: readonly Tool[];
  /** Where the answer must be a call. */
  readonly forced?: ForcedCall | undefined;
}

/** Generate, chat and embed on this node: what is checked, rendered and asked of a runner, in this order (contract 1.4). */
export class Inference {
  readonly #parts: InferenceParts;
  readonly #templates: Templates;
  /** Of vocabularies, by manifest: a slot of its own to ask for them would cost as much as that of the answer. */
  readonly #specialTexts = new BoundedMap<string, { bosText: string; eosText: string }>(TEXTS_MAX);

  constructor(parts: InferenceParts) {
    this.#parts = parts;
    this.#templates = new Templates(parts.templates);
  }

  async generate(request: GenerateRequest, signal: AbortSignal): Promise<Answer> {
    const model = await this.#parts.models.getDefinition(request.model, "generate");
    if (request.prompt === "" && request.keepAliveMs === 0) return this.#unload(model);
    checkGenerate(request, model);
    const think = decideThinking(request, model);
    const resolved = this.#resolve(request.options, model, "generate", request.journal?.seed);
    const { promptTokens = [] } = request;
    const isSilent = request.prompt === "" && request.suffix === "" && promptTokens.length === 0;
    const empty = isSilent && request.images.length === 0;
    if (empty && !request.debugRenderOnly) {
      return await this.#loadOnly(request, { model, resolved }, signal);
    }
    const template = await this.#template({ model, resolved, own: request.template }, signal);
    const { lineRules } = resolved;
    const isRendered = promptTokens.length === 0;
    const prompt = isRendered
      ? await renderGenerate(request, model, { template, think, date: this.#date(), lineRules })
      : { text: "", startsInsideThinking: false };
    if (request.debugRenderOnly) {
      return { kind: "rendered", text: prompt.text, imageCount: request.images.length };
    }
    const { images } = request;
    const prepared = { model, template, resolved, prompt, think, images, tools: [] };
    const plan = this.#plan(request, prepared);
    if (!isRendered) return await this.#start(withTokens(plan, promptTokens), signal);
    const context = request.context ?? [];
    const withContext: AnswerPlan = context.length === 0 ? plan : {
      ...plan,
      sequence: {
        ...plan.sequence,
        prompt: { kind: "text", text: prompt.text, addSpecial: false, tokensBefore: context },
      },
    };
    return await this.#start(withContext, signal);
  }

  async chat(request: ChatRequest, signal: AbortSignal): Promise<Answer> {
    const model = await this.#parts.models.getDefinition(request.model, "chat");
    const empty = request.messages.length === 0;
    if (empty && request.keepAliveMs === 0) return this.#unload(model);
    const tools = offeredTools(request.tools, request.toolChoice);
    checkChat({ ...request, tools }, model);
    const think = decideThinking(request, model);
    const resolved = this.#resolve(request.options, model, "generate", request.journal?.seed);
    if (empty) return await this.#loadOnly(request, { model, resolved }, signal);
    const { messages, ...settled } = settledBy(
      resolved.lineRules,
      withModelMessages(request.messages, model),
    );
    const date = this.#date();
    const template = await this.#template({ model, resolved, own: undefined }, signal);
    const render = (shown: ChatRequest["messages"]) =>
      renderChat({ messages: shown, tools }, { template, think, date });
    const prompt = { ...await render(messages), ...settled };
    const images = imagesOf(messages);
    if (request.debugRenderOnly) {
      return { kind: "rendered", text: prompt.text, imageCount: images.length };
    }
    const plan = this.#plan(request, {
      model,
      template,
      resolved,
      prompt,
      think,
      images,
      tools,
      forced: forcedCall(tools, request.toolChoice, writingOf({ template, prompt, think })),
    });
    const { shift } = request;
    const bounded: AnswerPlan = {
      ...plan,
      // Whole messages are dropped before anything is cut inside one, and only the runner knows the length.
      sequence: { ...plan.sequence, onLongPrompt: "refuse" },
      ...(request.truncate
        ? { shortenPrompt: (loaded) => shortenChat(loaded, { messages, render, shift }) }
        : {}),
    };
    return await this.#start(bounded, signal);
  }

  /** See {@link ModelApi.countTokens}. */
  async countTokens(request: ChatRequest, signal: AbortSignal): Promise<number> {
    const answer = await this.chat({ ...request, debugRenderOnly: true }, signal);
    if (answer.kind !== "rendered") return 0;
    const model = await this.#parts.models.getDefinition(request.model, "chat");
    const resolved = this.#resolve(request.options, model, "generate");
    const { keepAliveMs, label, traceparent, account } = request;
    const wanted = { model, resolved, keepAliveMs, label, traceparent, account };
    const lease = await this.#acquire(wanted, signal);
    try {
      const tokens = await lease.model.tokenize(answer.text, { addSpecial: true });
      return tokens.length + answer.imageCount * IMAGE_TOKENS_ESTIMATED;
    } finally {
      lease.release();
    }
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer> {
    const { clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    const model = await this.#parts.models.getDefinition(request.model, "embed");
    checkRank(request, model);
    const resolved = this.#resolve(request.options, model, "embed");
    const { keepAliveMs, label, traceparent, account } = request;
    const promptTokens = inputTokens(request.inputs);
    const requestId = this.#parts.drawRequestId();
    const asked = { promptTokens, answerTokensMax: 1, requestId };
    const wanted = { model, resolved, keepAliveMs, label, traceparent, account, ...asked };
    const resumption = new Resumption();
    for (;;) {
      const { standing, avoid } = resumption;
      const lease = await this.#acquire({ ...wanted, standing, avoid }, signal);
      try {
        const embedded = await embedWith(lease, request, signal);
        return {
          vectors: embedded.vectors.map((vector) => shortenVector(vector, request.dimensions)),
          promptEvalCount: embedded.promptTokens,
          totalNs: Math.round((clock.monotonicMs() - startedMs) * 1e6),
          loadNs: lease.loadNs,
          ...servedByField(lease.servedBy),
        };
      } catch (error) {
        if (!isEdgeError(error) || error.code !== "runner_lost") throw error;
        const decision = resumption.lost(lease.servedBy?.nodeId);
        const ids = requestIdsOf({ requestId, label, traceparent });
        reportLoss(this.#parts, { ids, lease, decision, tokens: 0 });
        if (decision === "give_up") throw lostTooOften(error);
      } finally {
        lease.release();
      }
    }
  }

  async #start(plan: AnswerPlan, signal: AbortSignal): Promise<Answer> {
    const chunks = await startAnswer(plan, this.#parts, signal);
    return {
      kind: "stream",
      chunks,
      servedBy: () => servedByField(chunks.servedBy()).servedBy,
      promptUsage: () => chunks.promptUsage(),
      exact: () => chunks.exact(),
      ...(plan.warnings === undefined ? {} : { warnings: plan.warnings }),
    };
  }

  #unload(model: ModelDefinition): Answer {
    const { manifestDigest } = model;
    const name = displayModelName(model.name);
    for (const mode of ["generate", "embed"] as const) {
      const modelKey = modelKeyOf(model, mode);
      this.#parts.driver.requestUnload({ name, modelKey, manifestDigest, mode });
    }
    return { kind: "unload" };
  }

  async #loadOnly(
    request: Pick<GenerateRequest, "keepAliveMs" | "label" | "traceparent">,
    wanted: { readonly model: ModelDefinition; readonly resolved: ResolvedOptions },
    signal: AbortSignal,
  ): Promise<Answer> {
    const { keepAliveMs, label, traceparent } = request;
    const lease = await this.#acquire({ ...wanted, keepAliveMs, label, traceparent }, signal);
    lease.release();
    return { kind: "load", ...servedByField(lease.servedBy) };
  }

  #acquire(
    wanted: {
      readonly model: ModelDefinition;
      readonly resolved: ResolvedOptions;
      readonly keepAliveMs: number | undefined;
      readonly promptTokens?: number;
      readonly requestId?: string;
      readonly standing?: LeaseRequest["standing"];
      readonly avoid?: readonly NodeId[];
      readonly label?: string | undefined;
      readonly traceparent?: string | undefined;
      readonly account?: LeaseRequest["account"] | undefined;
      /** Default 0: it only looks at the model. */
      readonly answerTokensMax?: number;
    },
    signal: AbortSignal,
  ): Promise<Lease> {
    const { model, resolved, keepAliveMs, label, traceparent, account } = wanted;
    const request: LeaseRequest = {
      ...neededModel(model, resolved.load, keepAliveMs),
      requestId: wanted.requestId ?? this.#parts.drawRequestId(),
      standing: wanted.standing ?? "fresh",
      promptTokens: wanted.promptTokens ?? 0,
      promptText: "",
      avoid: wanted.avoid ?? [],
      answerTokensMax: wanted.answerTokensMax ?? 0,
      traceparent,
      ...(label === undefined ? {} : { label }),
      ...(account === undefined ? {} : { account }),
    };
    return this.#parts.driver.acquire(request, signal);
  }

  #resolve(
    request: RequestOptions,
    model: ModelDefinition,
    mode: LoadSettings["mode"],
    drawnSeed?: number,
  ): ResolvedOptions {
    const bounds = { trainingContextTokens: model.facts.contextLength, mode };
    const { defaults, drawSeed } = this.#parts;
    const draw = () => drawnSeed ?? drawSeed();
    return resolveOptions({ request, model: model.parameters, defaults, bounds }, draw);
  }

  #plan(
    request:
      | Omit<GenerateRequest, "prompt" | "suffix" | "raw" | "images"> & { readonly raw?: boolean }
      | ChatRequest,
    prepared: Prepared,
  ): AnswerPlan {
    const { model, resolved, prompt, images } = prepared;
    const isRaw = "raw" in request && request.raw === true;
    const { stream, shownTags } = readingOf(prepared, isRaw);
    const { forced } = prepared;
    const { grammar, warnings: unmet } = forced ?? formatGrammar(request.format);
    const warnings = [
      ...unmet,
      ...leftOutStops(request.options),
      ...unseenImages(prompt.text, images.length),
      ...(isRaw ? [] : unknownNames(model.config)),
    ];
    // Thinking is free text, so the grammar has to wait for the content, unless it has room for thinking itself.
    const mayThink = prepared.think !== false || prompt.startsInsideThinking;
    const hasParts = stream.segments !== undefined && forced?.isOwn !== true;
    const afterThinking = grammar !== null &&
      (stream.thinking !== undefined && mayThink || hasParts);
    return {
      requestId: this.#parts.drawRequestId(),
      ...(request.label === undefined ? {} : { label: request.label }),
      traceparent: request.traceparent,
      ...(request.account === undefined ? {} : { account: request.account }),
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(prompt.lineChanges === undefined ? {} : { volatileLines: prompt.lineChanges }),
      ...(request.journal === undefined ? {} : { journal: request.journal }),
      ...("toolCallsMax" in request ? { toolCallsMax: request.toolCallsMax } : {}),
      ...neededModel(model, resolved.load, request.keepAliveMs),
      sequence: {
        prompt: { kind: "text", text: prompt.text, addSpecial: true },
        ...(images.length === 0 ? {} : { images }),
        sampler: resolved.sampler,
        predictTokensMax: resolved.predictTokensMax,
        keepTokens: resolved.keepTokens,
        onLongPrompt: request.truncate && request.shift ? "truncate" : "refuse",
        onFullContext: request.shift ? "shift" : "stop",
        grammar: afterThinking ? null : grammar,
        topLogprobs: request.topLogprobs,
        ...(shownTags.length === 0 ? {} : { shownTags }),
        ...(resolved.speculates ? {} : { speculates: false }),
      },
      stream: afterThinking ? { ...stream, atContent: "pause" } : stream,
      ...(afterThinking ? { grammarAtContent: grammar } : {}),
    };
  }

  /**
   * The model's template, or the request's own. Chat templates that print special tokens need their texts, which only a
   * loaded model knows: then the model is loaded first, as it will be needed anyway.
   */
  async #template(
    wanted: {
      readonly model: ModelDefinition;
      readonly resolved: ResolvedOptions;
      readonly own: string | undefined;
    },
    signal: AbortSignal,
  ): Promise<UsableTemplate> {
    const { model, own } = wanted;
    if (own !== undefined) return await this.#templates.ofRequest(own);
    return await this.#templates.ofModel(model.template, async () => {
      const known = this.#specialTexts.use(model.manifestDigest);
      if (known !== undefined) return known;
      const lease = await this.#acquire({ ...wanted, keepAliveMs: undefined }, signal);
      lease.release();
      const { bosText, eosText } = lease.model.facts;
      this.#specialTexts.set(model.manifestDigest, { bosText, eosText });
      return { bosText, eosText };
    });
  }

  #date(): Date {
    return new Date(this.#parts.clock.nowMs());
  }
}

function withTokens(plan: AnswerPlan, tokens: readonly number[]): AnswerPlan {
  return { ...plan, sequence: { ...plan.sequence, prompt: { kind: "tokens", tokens } } };
}

function inputTokens(inputs: readonly string[]): number {
  const tokens = inputs.map((text) =>
    estimatePromptTokens({ kind: "text", text, addSpecial: true })
  );
  return tokens.reduce((sum, count) => sum + count, 0);
}

async function embedWith(
  lease: Lease,
  request: EmbedRequest,
  signal: AbortSignal,
): Promise<{ readonly vectors: readonly Float32Array[]; readonly promptTokens: number }> {
  const { inputs } = request;
  if (inputs.length === 0) return { vectors: [], promptTokens: 0 };
  const onLongInput = request.truncate ? "truncate" : "refuse";
  const vectors: Float32Array[] = [];
  let promptTokens = 0;
  for (let from = 0; from < inputs.length; from += EMBED_INPUTS_AT_ONCE) {
    const some = inputs.slice(from, from + EMBED_INPUTS_AT_ONCE);
    const options = { onLongInput, signal, ...queryField(request) } as const;
    const embedded = await lease.model.embed(some, options).catch(rewordLongInput);
    vectors.push(...embedded.vectors);
    promptTokens += embedded.promptTokens;
  }
  return { vectors, promptTokens };
}

/** Only a model that reads texts as a whole can rank them; which of those do, its runner knows. */
function checkRank(request: EmbedRequest, model: ModelDefinition): void {
  if (request.query === undefined || model.capabilities.includes("embedding")) return;
  throw new RequestError(
    "unsupported_capability",
    `"${request.model}" does not support rerank`,
  );
}

function queryField({ query }: EmbedRequest): { readonly query?: string } {
  return query === undefined ? {} : { query };
}

/** As answers show it. */
function servedByField(node: ServingNode | undefined): { readonly servedBy?: string } {
  return node === undefined ? {} : { servedBy: node.name || node.nodeId };
}

/** An empty text would stop every answer before it begins, and forms send one for a field that was left empty. */
function leftOutStops({ stop = [] }: RequestOptions): readonly string[] {
  return stop.includes("") ? ['option "stop": the empty text was left out'] : [];
}

/** What an answer must follow; null = nothing. `warnings` tell what of a schema it doesn't. */
function formatGrammar(
  format: GenerateRequest["format"],
): { readonly grammar: string | null; readonly warnings: readonly string[] } {
  if (format === undefined) return { grammar: null, warnings: [] };
  if (format === "json") return { grammar: jsonGrammar(), warnings: [] };
  const result = schemaToGrammar(format);
  if (result.kind === "grammar") {
    const warnings = result.ignored.map((what) => `format ${what}`);
    return { grammar: result.gbnf, warnings };
  }
  throw new RequestError("invalid_format", `invalid format: ${result.reason}`, { status: 400 });
}

/** Cut to `dimensions` and normalised again (contract 1.9). */
function shortenVector(vector: Float32Array, dimensions: number | undefined): Float32Array {
  if (dimensions === undefined || dimensions < 1 || dimensions >= vector.length) return vector;
  const cut = vector.slice(0, dimensions);
  const norm = Math.hypot(...cut);
  return norm === 0 ? cut : cut.map((value) => value / norm);
}

/** Passes on a runner's failure, a refused input in the contract's words. */
function rewordLongInput(cause: unknown): never {
  if (!isEdgeError(cause) || cause.code !== "prompt_too_long") throw cause;
  const message = "the input length exceeds the context length";
  throw new RequestError("prompt_too_long", message, { cause });
}
