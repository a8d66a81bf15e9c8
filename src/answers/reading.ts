import {
  type AnswerFormat,
  type AnswerStreamOptions,
  type CallableTool,
  literalsOf,
} from "../core/generation/mod.ts";
import { type ResolvedOptions, type TemplateTraits, traitsFamily } from "../models/mod.ts";
import type { ThinkLevel, Tool } from "../protocol/mod.ts";
import type { RenderedText } from "./prompts.ts";

/** What decides how an answer is read. */
export interface ReadingParts {
  readonly template: { readonly traits: TemplateTraits };
  readonly resolved: Pick<ResolvedOptions, "stop">;
  readonly prompt: RenderedText;
  readonly think: ThinkLevel | undefined;
  readonly tools: readonly Tool[];
  /** The answer must be a call, which a grammar writes as JSON. */
  readonly forced?: unknown;
}

/** How an answer is read. */
export interface Reading {
  readonly stream: AnswerStreamOptions;
  /** Control tokens that must not be hidden, because the reading needs them. */
  readonly shownTags: readonly string[];
}

const BARE_JSON = { open: "", close: "", syntaxes: ["json"] } as const;

/** By the family's format, or by what the template showed of itself; raw answers are not parsed at all. */
export function readingOf(parts: ReadingParts, raw: boolean): Reading {
  const { traits } = parts.template;
  const own = parts.resolved.stop;
  if (raw) return { stream: { stops: own }, shownTags: [] };
  const { think, tools, prompt, forced } = parts;
  const family = traitsFamily(traits);
  const known = family?.answer ?? probedFormat(traits);
  // Weights without a template may not have a token for the end of a turn.
  const stops = traits.kind === "none" ? [...own, ...family?.stops ?? []] : own;
  const format = forced === undefined ? known : { ...known, calls: [BARE_JSON] };
  const segments = segmentsOf(format, prompt.text);
  const { thinkingTags } = traits;
  // A model that was told not to think may do it all the same.
  const thinks = segments === undefined && think !== undefined && thinkingTags !== undefined;
  const calls = tools.length > 0 ? format.calls : [];
  const noise = format.noise ?? [];
  const stream: AnswerStreamOptions = {
    stops,
    ...(segments === undefined ? {} : { segments }),
    ...(thinks
      ? { thinking: { tags: thinkingTags, startsInside: prompt.startsInsideThinking } }
      : {}),
    ...(tools.length + noise.length > 0
      ? { tools: { calls, noise, callable: tools.map(callable) } }
      : {}),
  };
  const shownTags = literalsOf({
    calls,
    noise,
    ...(segments === undefined ? {} : { segments }),
    ...(thinks ? { thinking: thinkingTags } : {}),
  });
  return { stream, shownTags };
}

/** Headers are only expected where the prompt leaves off in one. */
function segmentsOf({ segments }: AnswerFormat, prompt: string): AnswerFormat["segments"] {
  if (segments === undefined) return undefined;
  const text = prompt.trimEnd();
  const isOpen = segments.opens.some((open) => text.endsWith(open.trimEnd()));
  return { ...segments, startsInHeader: segments.startsInHeader && isOpen };
}

/** A template of no known family: what it puts before calls. */
function probedFormat({ toolCallTag }: TemplateTraits): AnswerFormat {
  const json = { open: toolCallTag, close: "", syntaxes: ["json"] } as const;
  if (toolCallTag !== "<tool_call>") return { calls: [json] };
  const close = "</tool_call>";
  return { calls: [{ open: toolCallTag, close, syntaxes: ["json", "xml", "pairs"] }] };
}

function callable(tool: Tool): CallableTool {
  const { name, parameters } = tool.function;
  return { name, parameters };
}
