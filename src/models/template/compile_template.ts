import { compileGoTemplate } from "./go_renderer.ts";
import { compileJinjaTemplate } from "./jinja_renderer.ts";
import type { PromptRenderer } from "./prompt_renderer.ts";

/** Where a model's prompts may come from. */
export interface TemplateSources {
  /** The manifest's TEMPLATE layer, or the request's own template. */
  readonly goTemplate?: string;
  /** The GGUF's `tokenizer.chat_template`. */
  readonly jinjaTemplate?: string;
  /** Texts of the vocabulary's special tokens, for the chat template. Default "". */
  readonly bosText?: string;
  readonly eosText?: string;
  /** `always`: a Go template is used whatever the chat template can do (`OLLAMA_GO_TEMPLATE`). Default `unless_poorer`. */
  readonly preferGo?: "always" | "unless_poorer";
}

/**
 * Chooses and compiles a model's template (contract 1.6): the Go template, unless the chat template can do more; without
 * both the prompt alone.
 *
 * @throws RequestError `invalid_template`; a chat template that doesn't compile only counts where there is no Go template.
 */
export function compileTemplate(sources: TemplateSources): PromptRenderer {
  const { goTemplate, jinjaTemplate } = sources;
  const tokens = { bosText: sources.bosText ?? "", eosText: sources.eosText ?? "" };
  if (goTemplate === undefined) {
    if (jinjaTemplate !== undefined) return compileJinjaTemplate(jinjaTemplate, tokens);
    return { ...compileGoTemplate("{{ .Prompt }}"), kind: "none" };
  }
  const go = compileGoTemplate(goTemplate);
  if (jinjaTemplate === undefined || sources.preferGo === "always") return go;
  const jinja = findJinja(jinjaTemplate, tokens);
  return jinja !== undefined && canDoMore(jinja, go) ? withInsertOf(jinja, go) : go;
}

function findJinja(
  source: string,
  tokens: { bosText: string; eosText: string },
): PromptRenderer | undefined {
  try {
    return compileJinjaTemplate(source, tokens);
  } catch {
    // The Go template was written for this model, so it can do without the other one.
    return undefined;
  }
}

function canDoMore(jinja: PromptRenderer, go: PromptRenderer): boolean {
  return (jinja.capabilities.tools && !go.capabilities.tools) ||
    (jinja.capabilities.thinking && !go.capabilities.thinking);
}

/** Chat templates can't fill gaps: that stays with the Go template. */
function withInsertOf(jinja: PromptRenderer, go: PromptRenderer): PromptRenderer {
  return {
    ...jinja,
    capabilities: { ...jinja.capabilities, insert: go.capabilities.insert },
    render: (input) => {
      const fillsGap = go.capabilities.insert && (input.suffix ?? "") !== "";
      return fillsGap ? go.render(input) : jinja.render(input);
    },
  };
}
