import { isEdgeError, RequestError } from "../base/mod.ts";
import { compileTemplate, type ModelDefinition, type PromptRenderer } from "../models/mod.ts";
import type { LoadedFacts } from "../protocol/mod.ts";

/** Compiled templates kept; the one not used for longest goes. */
const TEMPLATES_MAX = 64;
/** A chat template that prints a special token's text. */
const SPECIAL_TOKEN = /\b(bos|eos)_token\b/;

/** Compiles each model's template once. */
export class Templates {
  /** By manifest, in order of use. */
  readonly #compiled = new Map<string, PromptRenderer>();

  /**
   * The template of `model`, or `own` in its place. `loadFacts` is asked when the template prints special tokens.
   *
   * @throws RequestError `invalid_template`.
   */
  async get(
    model: ModelDefinition,
    own: string | undefined,
    loadFacts: () => Promise<Pick<LoadedFacts, "bosText" | "eosText">>,
  ): Promise<PromptRenderer> {
    if (own !== undefined) return compileOwn(own);
    const found = this.#compiled.get(model.manifestDigest);
    if (found !== undefined) {
      this.#compiled.delete(model.manifestDigest);
      this.#compiled.set(model.manifestDigest, found);
      return found;
    }
    const { jinjaTemplate } = model.template;
    const needsTexts = jinjaTemplate !== undefined && SPECIAL_TOKEN.test(jinjaTemplate);
    const { bosText, eosText } = needsTexts ? await loadFacts() : { bosText: "", eosText: "" };
    const renderer = compileTemplate({ ...model.template, bosText, eosText });
    this.#compiled.set(model.manifestDigest, renderer);
    const oldest = this.#compiled.keys().next();
    if (this.#compiled.size > TEMPLATES_MAX && oldest.done !== true) {
      this.#compiled.delete(oldest.value);
    }
    return renderer;
  }
}

/** A template in a request; one that doesn't parse is answered with 500, as clients know it (contract 1.3). */
function compileOwn(own: string): PromptRenderer {
  try {
    return compileTemplate({ goTemplate: own, preferGo: "always" });
  } catch (cause) {
    if (!isEdgeError(cause) || cause.code !== "invalid_template") throw cause;
    throw new RequestError("invalid_template", cause.message, { status: 500, cause });
  }
}
