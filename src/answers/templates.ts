import { RequestError } from "../base/mod.ts";
import type {
  DefinedTemplate,
  PromptInput,
  RenderedPrompt,
  TemplateOrigin,
  TemplateOutcome,
  TemplateSources,
  TemplateTraits,
  TemplateWorkers,
} from "../models/mod.ts";
import type { LoadedFacts } from "../protocol/mod.ts";

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
