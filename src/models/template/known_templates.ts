import { isEdgeError } from "../../base/mod.ts";
import { compileGoTemplate } from "./go_renderer.ts";
import type { PromptInput, PromptRenderer } from "./prompt_renderer.ts";

/** A Go template that stands for chat templates which say the same. */
export interface KnownTemplate {
  readonly name: string;
  readonly goTemplate: string;
  /** Stop strings that go with it. */
  readonly stops: readonly string[];
}

/** Templates that models are given at create when their weights' own says the same. */
export const KNOWN_TEMPLATES: readonly KnownTemplate[] = [
  {
    name: "chatml",
    goTemplate: "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n" +
      "{{ end }}<|im_start|>assistant\n",
    stops: ["<|im_start|>", "<|im_end|>"],
  },
  {
    name: "llama3-instruct",
    goTemplate: "{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n" +
      "{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
    stops: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
  },
  {
    name: "zephyr",
    goTemplate: "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}</s>\n{{ end }}" +
      "<|assistant|>\n",
    stops: ["<|system|>", "</s>", "<|user|>", "<|assistant|>"],
  },
  {
    name: "phi-3",
    goTemplate: "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}" +
      "<|assistant|>\n",
    stops: ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"],
  },
  {
    name: "gemma-instruct",
    goTemplate: '{{- $system := .System }}{{ range .Messages }}{{ if eq .Role "assistant" }}' +
      '<start_of_turn>model\n{{ .Content }}<end_of_turn>\n{{ else if eq .Role "user" }}' +
      '<start_of_turn>user\n{{ if $system }}{{ $system }}\n\n{{ $system = "" }}{{ end }}' +
      "{{ .Content }}<end_of_turn>\n{{ end }}{{ end }}<start_of_turn>model\n",
    stops: ["<start_of_turn>", "<end_of_turn>"],
  },
];

const DATE = new Date(0);
const TURNS: PromptInput["messages"] = [
  { role: "user", content: "One?" },
  { role: "assistant", content: "First." },
  { role: "user", content: "Two?" },
];
const WITH_SYSTEM: PromptInput["messages"] = [{ role: "system", content: "Be brief." }, ...TURNS];

/**
 * The known template that says what `jinja` says, in a conversation with or without system text; undefined = none. One that
 * can do more than the known ones is left as it is.
 */
export function knownTemplateOf(jinja: PromptRenderer): KnownTemplate | undefined {
  if (jinja.capabilities.tools || jinja.capabilities.thinking) return undefined;
  const prompts = promptsOf(jinja);
  if (prompts === undefined) return undefined;
  return KNOWN_TEMPLATES.find(({ goTemplate }) => {
    const known = promptsOf(compileGoTemplate(goTemplate));
    return prompts.some((prompt, index) => prompt !== "" && prompt === known?.[index]);
  });
}

/** Prompts of two conversations; undefined when it takes one of them in no way. */
function promptsOf(renderer: PromptRenderer): readonly string[] | undefined {
  try {
    return [WITH_SYSTEM, TURNS].map((messages) =>
      renderer.render({ messages, date: DATE }).text.trim()
    );
  } catch (error) {
    if (isEdgeError(error)) return undefined;
    throw error;
  }
}
