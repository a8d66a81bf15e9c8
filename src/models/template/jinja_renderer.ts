import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { errorMessage, isEdgeError, RequestError } from "../../base/mod.ts";
import type { ChatMessage, Tool, ToolCall } from "../../protocol/mod.ts";
import { conversationOf } from "./conversation.ts";
import { TEMPLATE_CHARS_MAX, TEMPLATE_OUTPUT_CHARS_MAX } from "../go_template/mod.ts";
import { tidyToolTag } from "./go_inspect.ts";
import { strftime } from "./jinja_date.ts";
import type { PromptInput, PromptRenderer, RenderedPrompt } from "./prompt_renderer.ts";

/**
 * Expressions and statements evaluated in one rendering at most: some thousands of messages in the largest templates seen,
 * and a few seconds at worst, because the interpreter takes some microseconds for each.
 */
const JINJA_STEPS_MAX = 500_000;
/** Numbers a `range()` may hold at most. */
const RANGE_LENGTH_MAX = 10_000;
/** A longer text before a call is not a tag, but something the template says to the model. */
const TOOL_TAG_CHARS_MAX = 80;
/** Thinking tags in use, looked for in this order. */
const THINKING_TAGS = [
  { open: "<think>", close: "</think>" },
  { open: "<|START_THINKING|>", close: "<|END_THINKING|>" },
  { open: "<seed:think>", close: "</seed:think>" },
  { open: "[THINK]", close: "[/THINK]" },
] as const;

/** Texts a chat template may print. */
export interface JinjaTokens {
  readonly bosText: string;
  readonly eosText: string;
}

/** How a template wants the arguments of earlier calls. */
type ArgumentsForm = "object" | "text";
type Program = ReturnType<typeof parse>;

/**
 * Compiles a chat template as GGUF files carry it. What it can do is found out by rendering a small conversation, because
 * texts lie: a template may mention tools only to refuse them.
 *
 * @throws RequestError `invalid_template`
 */
export function compileJinjaTemplate(source: string, tokens: JinjaTokens): PromptRenderer {
  const program = parseJinja(source);
  const run = (variables: Readonly<Record<string, unknown>>, date: Date) =>
    runJinja(program, { variables: { ...variables, ...tokenVariables(tokens) }, date });
  const probe = probeTemplate((variables) => run(variables, new Date(0)));
  const thinkingTags = THINKING_TAGS.find((tags) => source.includes(tags.close));
  const render = (input: PromptInput): RenderedPrompt => {
    const { messages, imageCount } = conversationOf(input);
    const { asked, begun } = splitBegunAnswer(messages);
    const text = run({
      messages: asked.map((message) => jinjaMessage(message, probe.argumentsForm)),
      ...((input.tools ?? []).length > 0 ? { tools: input.tools?.map(jinjaTool) } : {}),
      ...thinkVariables(input),
      add_generation_prompt: true,
    }, input.date);
    const startsInsideThinking = begun === "" && thinkingTags !== undefined &&
      text.trimEnd().endsWith(thinkingTags.open);
    return { text: text + begun + (input.response ?? ""), startsInsideThinking, imageCount };
  };
  return {
    kind: "jinja",
    capabilities: { tools: probe.tools, thinking: thinkingTags !== undefined, insert: false },
    toolCallTag: probe.toolCallTag,
    thinkingTags,
    render,
  };
}

/** An answer the caller began must stay open, but templates close assistant messages: it goes behind the prompt as it is. */
function splitBegunAnswer(
  messages: readonly ChatMessage[],
): { asked: readonly ChatMessage[]; begun: string } {
  const last = messages.at(-1);
  const begins = last?.role === "assistant" && (last.toolCalls ?? []).length === 0;
  if (!begins || messages.length === 1) return { asked: messages, begun: "" };
  return { asked: messages.slice(0, -1), begun: last.content };
}

function jinjaMessage(message: ChatMessage, form: ArgumentsForm): Record<string, unknown> {
  const calls = message.toolCalls ?? [];
  return {
    role: message.role,
    content: message.content,
    ...(message.thinking === undefined
      ? {}
      : { reasoning_content: message.thinking, thinking: message.thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map((call) => jinjaCall(call, form)) }),
    ...(message.toolName === undefined ? {} : { name: message.toolName }),
    ...(message.toolCallId === undefined ? {} : { tool_call_id: message.toolCallId }),
  };
}

function jinjaCall(call: ToolCall, form: ArgumentsForm): Record<string, unknown> {
  const written = form === "text" ? JSON.stringify(call.arguments) : call.arguments;
  return {
    ...(call.id === undefined ? {} : { id: call.id }),
    type: "function",
    function: { name: call.name, arguments: written },
  };
}

function jinjaTool(tool: Tool): Record<string, unknown> {
  const { name, description, parameters } = tool.function;
  const described = description === undefined ? {} : { description };
  return { type: tool.type, function: { name, ...described, parameters } };
}

/** Templates ask in two ways: a switch, or a level. `max` is the highest level they know as `high`. */
function thinkVariables(input: PromptInput): Record<string, unknown> {
  if (input.think === undefined) return {};
  const level = typeof input.think === "string" ? input.think : undefined;
  return {
    enable_thinking: input.think !== false,
    thinking: input.think !== false,
    ...(level === undefined ? {} : { reasoning_effort: level === "max" ? "high" : level }),
  };
}

function tokenVariables(tokens: JinjaTokens): Record<string, unknown> {
  return { bos_token: tokens.bosText, eos_token: tokens.eosText };
}

const PROBE_NAME = "odist_probe_tool";
const PROBE_TEXT = "odist probe text";
const PROBE_TOOL = {
  type: "function",
  function: {
    name: PROBE_NAME,
    description: "A probe.",
    parameters: { type: "object", properties: { key: { type: "string" } }, required: ["key"] },
  },
};

/** What a template makes of tools and of calls made earlier. */
function probeTemplate(
  run: (variables: Readonly<Record<string, unknown>>) => string,
): { tools: boolean; toolCallTag: string; argumentsForm: ArgumentsForm } {
  const attempt = (variables: Readonly<Record<string, unknown>>): string => {
    try {
      return run({ add_generation_prompt: true, ...variables });
    } catch (error) {
      // A template may refuse what it can't express: that is an answer too.
      if (isEdgeError(error)) return "";
      throw error;
    }
  };
  const user = { role: "user", content: "hi" };
  const tools = attempt({ messages: [user], tools: [PROBE_TOOL] }).includes(PROBE_NAME);
  const withCall = (form: ArgumentsForm) => {
    const call = { id: "call00001", name: PROBE_NAME, arguments: { key: "needle" } };
    const answer = { role: "assistant", content: "", toolCalls: [call] };
    return attempt({ messages: [user, jinjaMessage(answer, form)], add_generation_prompt: false });
  };
  const forms = [["object", withCall("object")], ["text", withCall("text")]] as const;
  // Text that is escaped again (`\"key\"`) shows that the template wants the object.
  const [argumentsForm, called] = forms.find(([, text]) => /"key": ?"needle"/.test(text)) ??
    forms[0];
  const plain = attempt({
    messages: [user, { role: "assistant", content: PROBE_TEXT }],
    add_generation_prompt: false,
  });
  return { tools, toolCallTag: tagBetween(plain, called), argumentsForm };
}

/** The text that a call has and an ordinary answer hasn't, up to the call's JSON or name. */
function tagBetween(plain: string, called: string): string {
  if (!called.includes(PROBE_NAME)) return "";
  const answerAt = plain.indexOf(PROBE_TEXT);
  let shared = 0;
  while (shared < answerAt && plain.charAt(shared) === called.charAt(shared)) shared++;
  const before = called.slice(shared).split(PROBE_NAME)[0] ?? "";
  const tag = tidyToolTag(before);
  return tag.length > TOOL_TAG_CHARS_MAX ? "" : tag;
}

function parseJinja(source: string): Program {
  if (source.length > TEMPLATE_CHARS_MAX) {
    throw new RequestError(
      "invalid_template",
      `chat template: longer than ${TEMPLATE_CHARS_MAX} characters`,
    );
  }
  try {
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (error) {
    throw jinjaError(error);
  }
}

/** Counts what it evaluates, because a template from a stranger's file must not hold up the node. */
class BoundedInterpreter extends Interpreter {
  #steps = 0;

  override evaluate(
    ...of: Parameters<Interpreter["evaluate"]>
  ): ReturnType<Interpreter["evaluate"]> {
    if (++this.#steps > JINJA_STEPS_MAX) {
      throw new Error(`more than ${JINJA_STEPS_MAX} steps`);
    }
    return super.evaluate(...of);
  }
}

function runJinja(
  program: Program,
  input: { readonly variables: Readonly<Record<string, unknown>>; readonly date: Date },
): string {
  const environment = new Environment();
  const globals: Record<string, unknown> = {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    range: boundedRange,
    raise_exception: (message: unknown) => {
      throw new Error(String(message));
    },
    strftime_now: (format: unknown) => strftime(input.date, String(format)),
  };
  try {
    for (const [name, value] of Object.entries({ ...input.variables, ...globals })) {
      environment.set(name, value);
    }
    const text: unknown = new BoundedInterpreter(environment).run(program).value;
    if (typeof text !== "string") throw new Error("no text came out");
    if (text.length > TEMPLATE_OUTPUT_CHARS_MAX) {
      throw new Error(`more than ${TEMPLATE_OUTPUT_CHARS_MAX} characters`);
    }
    return text;
  } catch (error) {
    throw jinjaError(error);
  }
}

function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= RANGE_LENGTH_MAX)) throw new Error(`range() of more than ${RANGE_LENGTH_MAX}`);
  return Array.from({ length }, (_item, index) => start + index * step);
}

function jinjaError(error: unknown): RequestError {
  return new RequestError("invalid_template", `chat template: ${errorMessage(error)}`, {
    cause: error,
  });
}
