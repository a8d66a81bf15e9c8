import type { ChatMessage, ThinkLevel, Tool } from "../../protocol/mod.ts";

/** What a prompt is made of. */
export interface PromptInput {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly Tool[];
  /** Absent = the caller said nothing about thinking. */
  readonly think?: ThinkLevel;
  /** Put first as a system message. */
  readonly system?: string;
  /** Put last as a user message; with a `suffix`, the text before the gap instead. */
  readonly prompt?: string;
  /** The text behind the gap to be filled; only where the capability `insert` is true, and then `messages` are not used. */
  readonly suffix?: string;
  /** A conversation, not a text to go on from: matters where there is no template. Default false. */
  readonly isChat?: boolean;
  /** How the answer already begins: put behind everything else, unchanged. */
  readonly response?: string;
  /** Now, in the zone the templates are to see. */
  readonly date: Date;
}

/** A prompt ready to be tokenized. */
export interface RenderedPrompt {
  readonly text: string;
  /** The prompt ends with the opening thinking tag, so the answer begins with thinking. */
  readonly startsInsideThinking: boolean;
  /** Markers `[img-N]` in the text, numbered from 0 over all messages. */
  readonly imageCount: number;
}

/** What a template can express. */
export interface TemplateCapabilities {
  readonly tools: boolean;
  readonly thinking: boolean;
  readonly insert: boolean;
}

/** What is known of a compiled template: how its prompts are made and how answers to them are to be read. */
export interface TemplateTraits {
  /** Which language the template is in; `none` = no template, the prompt alone. */
  readonly kind: "go" | "jinja" | "none";
  /** Id of the family whose language answers are in; absent = none that is known. */
  readonly family?: string;
  readonly capabilities: TemplateCapabilities;
  /** The name of a known Go template that says the same. */
  readonly known?: string;
  /** What a tool call begins with; "" = an answer that begins with JSON. */
  readonly toolCallTag: string;
  /** The texts around thinking; absent or undefined when the template knows none. */
  readonly thinkingTags?: { readonly open: string; readonly close: string } | undefined;
}

/** Turns conversations into prompts. */
export interface PromptRenderer extends TemplateTraits {
  /** @throws RequestError `invalid_template` when the template fails on this input. */
  render(input: PromptInput): RenderedPrompt;
}
