import { invalidRequest, RequestError } from "../base/mod.ts";
import type {
  DefinedTemplate,
  LineRule,
  ModelDefinition,
  PromptInput,
  RenderedPrompt,
  TemplateOrigin,
  TemplateOutcome,
  TemplateSources,
  TemplateTraits,
  TemplateWorkers,
} from "../models/mod.ts";
import type { ChatRequest, GenerateRequest, LineChanges, LoadedModel } from "../ports/mod.ts";
import {
  type ChatMessage,
  formatModelName,
  IMAGE_TOKENS_ESTIMATED,
  IMAGES_BYTES_MAX,
  IMAGES_MAX,
  IMAGES_PIXELS_MAX,
  type LoadedFacts,
  readImageHeader,
  type SequenceRequest,
  splitAtImages,
  type ThinkLevel,
} from "../protocol/mod.ts";
import { settledBy } from "./settle_lines.ts";

/** A prompt as the template made it. */
export interface RenderedText {
  readonly text: string;
  readonly startsInsideThinking: boolean;
  /** Absent = there was no rule for lines of the system text. */
  readonly lineChanges?: LineChanges;
}

/** What rendering needs besides what is said. */
export interface RenderOptions {
  readonly template: Pick<UsableTemplate, "render">;
  readonly think: ThinkLevel | undefined;
  readonly date: Date;
}

/** For the conversation that a prompt to generate is. */
export interface GenerateRenderOptions extends RenderOptions {
  readonly lineRules: readonly LineRule[];
}

/** Refuses what the model can't do, in the words of contract 1.3. */
export function checkGenerate(request: GenerateRequest, model: ModelDefinition): void {
  checkCompletion(request.model, model, "generate");
  if (request.suffix !== "" && !model.capabilities.includes("insert")) {
    throw unsupported(`${formatModelName(model.name)} does not support insert`);
  }
  checkImages(request.images, model);
  if (request.images.length > 0 && request.suffix !== "") {
    throw unsupported("images can't be combined with a suffix");
  }
}

/** The same for chat. */
export function checkChat(request: ChatRequest, model: ModelDefinition): void {
  checkCompletion(request.model, model, "chat");
  if (request.tools.length > 0 && !model.capabilities.includes("tools")) {
    throw unsupported(`${formatModelName(model.name)} does not support tools`);
  }
  checkImages(imagesOf(request.messages), model);
}

/** Whether to think: the request's word, else yes for models that can (contract 1.4). */
export function decideThinking(
  request: {
    readonly model: string;
    readonly think?: ThinkLevel;
    readonly relaxedThinking?: boolean;
  },
  model: ModelDefinition,
): ThinkLevel | undefined {
  if (model.capabilities.includes("thinking")) return request.think ?? true;
  if (request.think === undefined || request.think === false) return undefined;
  if (request.relaxedThinking === true) return undefined;
  throw unsupported(`"${request.model}" does not support thinking`);
}

/** The model's stored messages go first; its system text leads unless the request brings its own (contract 1.5). */
export function withModelMessages(
  messages: readonly ChatMessage[],
  model: ModelDefinition,
): readonly ChatMessage[] {
  const all = [...model.messages, ...messages];
  if (model.system === "" || messages[0]?.role === "system") return all;
  return [{ role: "system", content: model.system }, ...all];
}

/** Generate's prompt (contract 1.4): raw text, the infill template, or a conversation of one turn. */
export async function renderGenerate(
  request: GenerateRequest,
  model: ModelDefinition,
  options: GenerateRenderOptions,
): Promise<RenderedText> {
  const { template, date, lineRules } = options;
  if (request.raw) return { text: markedPrompt(request), startsInsideThinking: false };
  if (request.suffix !== "") {
    return await template.render({
      messages: [],
      prompt: request.prompt,
      suffix: request.suffix,
      date,
    });
  }
  const system = request.system ?? model.system;
  const messages: ChatMessage[] = [];
  if (system !== "") messages.push({ role: "system", content: system });
  if (request.context === undefined) messages.push(...model.messages);
  const { images } = request;
  messages.push({ role: "user", content: request.prompt, ...(images.length > 0 && { images }) });
  const { lineChanges, ...settled } = settledBy(lineRules, messages);
  const prompt = await template.render({ ...settled, ...thinkField(options.think), date });
  return { ...prompt, ...lineChanges && { lineChanges } };
}

/** Chat's prompt. */
export async function renderChat(
  conversation: Pick<ChatRequest, "messages" | "tools">,
  options: RenderOptions,
): Promise<RenderedText> {
  const { template, think, date } = options;
  return await template.render({ ...conversation, ...thinkField(think), isChat: true, date });
}

/** A prompt that was made shorter, with the images that are left in it. */
export type ShorterPrompt = Pick<SequenceRequest, "prompt" | "images" | "onLongPrompt">;

/** All images of a conversation, in the order in which a prompt numbers them. */
export function imagesOf(messages: readonly ChatMessage[]): readonly Uint8Array[] {
  return messages.flatMap(({ images }) => images ?? []);
}

/** Images that a prompt has no place for, in words for a client. */
export function unseenImages(prompt: string, imageCount: number): readonly string[] {
  const pieces = splitAtImages(prompt, imageCount);
  const seen = new Set(pieces.flatMap((piece) => piece.kind === "image" ? piece.image : []));
  return Array.from({ length: imageCount }, (_, image) => image)
    .filter((image) => !seen.has(image))
    .map((image) => `images[${image}]: the prompt has no place for it, so it was left out`);
}

/** A raw prompt may say itself where its images are; else they come first. */
function markedPrompt({ prompt, images }: GenerateRequest): string {
  const isMarked = splitAtImages(prompt, images.length).length > 1;
  return isMarked ? prompt : images.map((_, image) => `[img-${image}]`).join("") + prompt;
}

/**
 * Drops the oldest messages until the prompt fits, keeping all system messages and the last message (contract 1.5). The
 * prompt of what is left may still be too long; `onLongPrompt` then says what the runner does with it.
 */
export async function shortenChat(
  loaded: LoadedModel,
  conversation: {
    readonly messages: readonly ChatMessage[];
    readonly render: (messages: readonly ChatMessage[]) => Promise<RenderedText>;
    readonly shift: boolean;
  },
): Promise<ShorterPrompt> {
  const { messages, render, shift } = conversation;
  const droppable = messages.flatMap(({ role }, index) =>
    role === "system" || index === messages.length - 1 ? [] : [index]
  );
  const without = (count: number) => {
    const dropped = new Set(droppable.slice(0, count));
    return messages.filter((_, index) => !dropped.has(index));
  };
  const fits = async (count: number) => {
    const { contextTokens } = loaded.facts;
    const options = { addSpecial: true, tokensWanted: contextTokens };
    const left = without(count);
    const { text } = await render(left);
    const tokens = await loaded.tokenize(text, options);
    return tokens.length + imagesOf(left).length * IMAGE_TOKENS_ESTIMATED < contextTokens;
  };
  // More dropped is never longer, so the least number that fits is found by halving.
  let low = 1;
  let high = droppable.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await fits(middle)) high = middle;
    else low = middle + 1;
  }
  const left = without(high);
  return {
    prompt: { kind: "text", text: (await render(left)).text, addSpecial: true },
    images: imagesOf(left),
    onLongPrompt: shift ? "truncate" : "refuse",
  };
}

function checkCompletion(asked: string, model: ModelDefinition, action: "chat" | "generate"): void {
  if (!model.capabilities.includes("completion")) {
    throw unsupported(`"${asked}" does not support ${action}`);
  }
}

/** Looks at headers alone: nothing is decoded in this process. */
function checkImages(images: readonly Uint8Array[], model: ModelDefinition): void {
  if (images.length === 0) return;
  const name = formatModelName(model.name);
  if (!model.capabilities.includes("vision")) {
    const why = model.facts.hasVision
      ? ": its vision tower is part of its weights, which isn't supported yet; create it with a projector of its own"
      : "";
    throw unsupported(`${name} does not support images${why}`);
  }
  if (images.length > IMAGES_MAX) {
    throw invalidRequest(`at most ${IMAGES_MAX} images are taken, got ${images.length}`);
  }
  const bytes = images.reduce((sum, { length }) => sum + length, 0);
  if (bytes > IMAGES_BYTES_MAX) {
    throw invalidRequest(`the images have ${bytes} bytes: at most ${IMAGES_BYTES_MAX} are taken`);
  }
  const pixels = images.map((image, index) => {
    const read = readImageHeader(image);
    if (read.kind === "refused") throw invalidRequest(`images[${index}]: ${read.reason}`);
    return read.header.width * read.header.height;
  }).reduce((sum, count) => sum + count, 0);
  if (pixels > IMAGES_PIXELS_MAX) {
    throw invalidRequest(
      `the images have ${pixels} pixels: at most ${IMAGES_PIXELS_MAX} are taken`,
    );
  }
}

function thinkField(think: ThinkLevel | undefined): { readonly think?: ThinkLevel } {
  return think === undefined ? {} : { think };
}

function unsupported(message: string): RequestError {
  return new RequestError("unsupported_capability", message);
}

/** A chat template that prints a special token's text. */
const SPECIAL_TOKEN = /\b(bos|eos)_token\b/;

/** A template that can be used. */
export interface UsableTemplate {
  readonly traits: TemplateTraits;
  /** @throws RequestError `invalid_template` when it fails on this input, or takes more than a template may. */
  render(input: PromptInput): Promise<RenderedPrompt>;
}

/** Templates as requests use them, each rendering in a worker. */
export class Templates {
  readonly #workers: Pick<TemplateWorkers, "run">;
  /** What is found out about a model's template lasts, as do its special texts; and the same sources need no new name. */
  readonly #ofModels = new WeakMap<DefinedTemplate, UsableTemplate>();

  constructor(workers: Pick<TemplateWorkers, "run">) {
    this.#workers = workers;
  }

  /**
   * The template of a model. `loadFacts` is asked when it prints special tokens.
   *
   * @throws RequestError `invalid_template`.
   */
  async ofModel(
    template: DefinedTemplate,
    loadFacts: () => Promise<Pick<LoadedFacts, "bosText" | "eosText">>,
  ): Promise<UsableTemplate> {
    const known = this.#ofModels.get(template) ?? await this.#findUsable(template, loadFacts);
    this.#ofModels.set(template, known);
    return known;
  }

  async #findUsable(
    template: DefinedTemplate,
    loadFacts: () => Promise<Pick<LoadedFacts, "bosText" | "eosText">>,
  ): Promise<UsableTemplate> {
    const { inspected, ...sources } = template;
    if (inspected?.failure !== undefined) {
      throw new RequestError("invalid_template", inspected.failure);
    }
    const traits = inspected?.traits ?? await this.#inspect(sources, "model");
    const { jinjaTemplate, ...others } = sources;
    // A chat template that lost to the other one may be one that doesn't end.
    if (traits.kind === "go") return this.#usable(traits, others, "model");
    if (traits.kind === "none" || jinjaTemplate === undefined) {
      return this.#usable(traits, sources, "model");
    }
    const texts = SPECIAL_TOKEN.test(jinjaTemplate) ? await loadFacts() : NO_TEXTS;
    const { bosText, eosText } = texts;
    return this.#usable(traits, { ...sources, bosText, eosText }, "model");
  }

  /** A template in a request; one that doesn't parse is answered with 500, as clients know it (contract 1.3). */
  async ofRequest(goTemplate: string): Promise<UsableTemplate> {
    const sources = { goTemplate, preferGo: "always" } as const;
    return this.#usable(await this.#inspect(sources, "request"), sources, "request");
  }

  async #inspect(sources: TemplateSources, origin: TemplateOrigin): Promise<TemplateTraits> {
    return usedOutcome(await this.#workers.run(sources, null, origin), origin).traits;
  }

  #usable(
    traits: TemplateTraits,
    sources: TemplateSources,
    origin: TemplateOrigin,
  ): UsableTemplate {
    return {
      traits,
      render: async (input) => {
        // A Go template that fails at work is answered as one in a request that doesn't parse (contract 1.3).
        const failing = traits.kind === "go" ? "request" : "model";
        const { prompt } = usedOutcome(await this.#workers.run(sources, input, origin), failing);
        return prompt ?? { text: "", startsInsideThinking: false, imageCount: 0 };
      },
    };
  }
}

const NO_TEXTS = { bosText: "", eosText: "" };

function usedOutcome(
  outcome: TemplateOutcome,
  origin: TemplateOrigin,
): Extract<TemplateOutcome, { kind: "answer" }> {
  if (outcome.kind === "answer") return outcome;
  const status = outcome.kind === "refused" && origin === "request" ? { status: 500 } : {};
  throw new RequestError("invalid_template", outcome.message, status);
}
