import {
  type Family,
  familyById,
  familyByName,
  familyOfArchitecture,
  familyOfTemplate,
} from "../families/mod.ts";
import { compileGoTemplate } from "./go_renderer.ts";
import { compileJinjaTemplate } from "./jinja_renderer.ts";
import { knownTemplateOf } from "./known_templates.ts";
import type { PromptRenderer } from "./prompt_renderer.ts";

/** Where a model's prompts may come from. */
export interface TemplateSources {
  /** The manifest's TEMPLATE layer, or the request's own template. */
  readonly goTemplate?: string;
  /** The GGUF's `tokenizer.chat_template`. */
  readonly jinjaTemplate?: string;
  /** The model's RENDERER and PARSER lines, as they are written. */
  readonly renderer?: string;
  readonly parser?: string;
  /** `general.architecture` of the weights: tells the family where there is no template. */
  readonly architecture?: string;
  /** Texts of the vocabulary's special tokens, for the chat template. Default "". */
  readonly bosText?: string;
  readonly eosText?: string;
  /** `always`: a Go template is used whatever the chat template can do (`OLLAMA_GO_TEMPLATE`). Default `unless_poorer`. */
  readonly preferGo?: "always" | "unless_poorer";
}

/**
 * Chooses and compiles a model's template (contract 1.6): what its RENDERER line names, else the Go template, unless the
 * chat template can do as much; without all of them the turns of its family. How answers are read is its PARSER's word
 * first, then its renderer's or template's.
 *
 * @throws RequestError `invalid_template`; a chat template that doesn't compile only counts where there is no Go template.
 */
export function compileTemplate(sources: TemplateSources): PromptRenderer {
  const renderer = compileSources(sources);
  const { parser } = sources;
  if (parser === undefined) return renderer;
  if (parser === "passthrough") {
    const { family: _, thinkingTags: __, ...rest } = renderer;
    return rest;
  }
  const family = familyByName(parser);
  if (family === undefined || family.id === renderer.family) return renderer;
  return {
    ...renderer,
    family: family.id,
    thinkingTags: family.answer.thinking ?? renderer.thinkingTags,
  };
}

function compileSources(sources: TemplateSources): PromptRenderer {
  const { goTemplate, jinjaTemplate } = sources;
  const tokens = { bosText: sources.bosText ?? "", eosText: sources.eosText ?? "" };
  const named = familyByName(sources.renderer);
  if (named !== undefined) return compileNamed(named, jinjaTemplate, tokens);
  if (goTemplate === undefined) {
    if (jinjaTemplate !== undefined) {
      return withKnown(jinjaTemplate, tokens);
    }
    return compileWithout(sources.architecture ?? "");
  }
  const go = withFamily(compileGoTemplate(goTemplate), familyOfTemplate(goTemplate));
  if (jinjaTemplate === undefined || sources.preferGo === "always") return go;
  const jinja = findJinja(jinjaTemplate, tokens);
  return jinja !== undefined && canDoAsMuch(jinja, go) ? withInsertOf(jinja, go) : go;
}

/** The weights' own template, where it speaks the language that is named: its makers know it best. */
function compileNamed(
  family: Family,
  jinjaTemplate: string | undefined,
  tokens: { readonly bosText: string; readonly eosText: string },
): PromptRenderer {
  if (jinjaTemplate !== undefined && familyOfTemplate(jinjaTemplate)?.id === family.id) {
    const jinja = findJinja(jinjaTemplate, tokens);
    if (jinja !== undefined) return jinja;
  }
  return compileJinjaTemplate(family.template, tokens, family);
}

/** Without any template a text is gone on from as it is, and a conversation gets the turns of its family. */
function compileWithout(architecture: string): PromptRenderer {
  const alone = compileGoTemplate("{{ .Prompt }}");
  const family = familyOfArchitecture(architecture) ?? familyById("chatml");
  if (family === undefined) return { ...alone, kind: "none" };
  const chat = compileJinjaTemplate(family.template, { bosText: "", eosText: "" }, family);
  return {
    ...alone,
    kind: "none",
    family: family.id,
    render: (input) => input.isChat === true ? chat.render(input) : alone.render(input),
  };
}

/** Known templates end turns with the text that most vocabularies have for it. */
function withKnown(
  source: string,
  tokens: { readonly bosText: string; readonly eosText: string },
): PromptRenderer {
  const family = familyOfTemplate(source);
  const jinja = compileJinjaTemplate(source, tokens, family);
  const { tools, thinking } = jinja.capabilities;
  if (tools || thinking) return jinja;
  const known = knownTemplateOf(
    compileJinjaTemplate(source, { bosText: "", eosText: "</s>" }, family),
  );
  return known === undefined ? jinja : { ...jinja, known: known.name };
}

function withFamily(go: PromptRenderer, family: Family | undefined): PromptRenderer {
  return family === undefined ? go : { ...go, family: family.id };
}

function findJinja(
  source: string,
  tokens: { bosText: string; eosText: string },
): PromptRenderer | undefined {
  try {
    return compileJinjaTemplate(source, tokens, familyOfTemplate(source));
  } catch {
    // The Go template was written for this model, so it can do without the other one.
    return undefined;
  }
}

function canDoAsMuch(jinja: PromptRenderer, go: PromptRenderer): boolean {
  const { tools, thinking } = jinja.capabilities;
  return (tools || thinking) && (tools || !go.capabilities.tools) &&
    (thinking || !go.capabilities.thinking);
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
