import { invalidRequest } from "../base/mod.ts";
import { type ModelStore, type OptionDefaults, resolveOptions } from "../models/mod.ts";
import type {
  Clock,
  DetokenizeAnswer,
  DetokenizeRequest,
  LoadedModel,
  TokenizeAnswer,
  TokenizeRequest,
  VocabularyFigures,
} from "../ports/mod.ts";
import { type LeaseSource, neededModel } from "../slots/mod.ts";

/** Characters that are tokenized at once at most: the runner does nothing else meanwhile. */
const TEXT_CHARS_MAX = 1024 * 1024;
/** Tokens that are turned into text at once at most. */
const TOKENS_MAX = 262_144;

/** What asking a model's vocabulary takes. */
export interface VocabularyParts {
  readonly driver: LeaseSource;
  readonly models: Pick<ModelStore, "getDefinition">;
  readonly defaults: OptionDefaults;
  readonly clock: Clock;
  readonly drawRequestId: () => string;
}

/** Text to tokens of a model, and back. Only a loaded model knows its tokens, so it is loaded like for an answer. */
export class Vocabularies {
  readonly #parts: VocabularyParts;

  constructor(parts: VocabularyParts) {
    this.#parts = parts;
  }

  /** See {@link ModelApi.tokenize}. */
  async tokenize(request: TokenizeRequest, signal: AbortSignal): Promise<TokenizeAnswer> {
    const { text, addSpecial } = request;
    checkCount("content", { count: text.length, unit: "characters", limit: TEXT_CHARS_MAX });
    return await this.#ask(request, signal, async (model) => ({
      tokens: await model.tokenize(text, { addSpecial }),
    }));
  }

  /** See {@link ModelApi.detokenize}. */
  async detokenize(request: DetokenizeRequest, signal: AbortSignal): Promise<DetokenizeAnswer> {
    const { tokens } = request;
    checkCount("tokens", { count: tokens.length, unit: "tokens", limit: TOKENS_MAX });
    return await this.#ask(request, signal, async (model) => {
      const { vocabularyTokens } = model.facts;
      const stray = tokens.find((token) => token < 0 || token >= vocabularyTokens);
      if (stray !== undefined) {
        const last = vocabularyTokens - 1;
        const text = `cannot read tokens: "${request.model}" has 0 to ${last}, got ${stray}`;
        throw invalidRequest(text);
      }
      return { text: new TextDecoder().decode(await model.detokenize(tokens)) };
    });
  }

  async #ask<Answer>(
    request: Pick<
      TokenizeRequest,
      "model" | "keepAliveMs" | "label" | "traceparent" | "account" | "options"
    >,
    signal: AbortSignal,
    ask: (model: LoadedModel) => Promise<Answer>,
  ): Promise<Answer & VocabularyFigures> {
    const { driver, models, defaults, clock, drawRequestId } = this.#parts;
    const startedMs = clock.monotonicMs();
    const model = await models.getDefinition(request.model, "chat");
    const mode = model.capabilities.includes("completion") ? "generate" : "embed";
    const bounds = { trainingContextTokens: model.facts.contextLength, mode } as const;
    const layers = { request: request.options, model: model.parameters, defaults, bounds };
    const { load } = resolveOptions(layers, () => 0);
    const lease = await driver.acquire({
      ...neededModel(model, load, request.keepAliveMs),
      requestId: drawRequestId(),
      ...{ standing: "fresh", promptTokens: 0, promptText: "", avoid: [] },
      answerTokensMax: 0,
      ...(request.label === undefined ? {} : { label: request.label }),
      traceparent: request.traceparent,
      ...(request.account === undefined ? {} : { account: request.account }),
    }, signal);
    try {
      const answer = await ask(lease.model);
      const { servedBy, loadNs } = lease;
      const totalNs = Math.round((clock.monotonicMs() - startedMs) * 1e6);
      const name = servedBy === undefined ? {} : { servedBy: servedBy.name || servedBy.nodeId };
      return { ...answer, totalNs, loadNs, ...name };
    } finally {
      lease.release();
    }
  }
}

function checkCount(
  field: string,
  given: { readonly count: number; readonly unit: string; readonly limit: number },
): void {
  const { count, unit, limit } = given;
  if (count <= limit) return;
  const text = `cannot read ${field}: at most ${limit} ${unit} are accepted, got ${count}`;
  throw invalidRequest(text);
}
