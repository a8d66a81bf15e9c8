import { Environment, parse, tokenize } from "@huggingface/jinja";
import { errorMessage, isEdgeError, RequestError } from "../../base/mod.ts";
import type { ChatMessage, Tool, ToolCall } from "../../protocol/mod.ts";
import { type Family, familyById } from "../families/mod.ts";
import { conversationOf } from "./conversation.ts";
import { TEMPLATE_CHARS_MAX, TEMPLATE_OUTPUT_CHARS_MAX } from "../go_template/mod.ts";
import { tidyToolTag } from "./go_inspect.ts";
import { strftime } from "./jinja_date.ts";
import { JinjaInterpreter, TooManySteps } from "./jinja_interpreter.ts";
import type { PromptInput, PromptRenderer, RenderedPrompt } from "./prompt_renderer.ts";
import { type Conversation, inParts, lostParts, prepare, REPAIRS } from "./repairs.ts";

/** Numbers a `range()` may hold at most. */
const RANGE_LENGTH_MAX = 10_000;
/**
 * Steps of all attempts together after which a prompt that lacks something is better than none: a worker has 250 ms, and
 * takes some microseconds for a step.
 */
const REPAIR_STEPS_MAX = 15_000;
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
 * @param family whose language it is in; undefined = none that is known.
 * @throws RequestError `invalid_template`
 */
export function compileJinjaTemplate(
  source: string,
  tokens: JinjaTokens,
  family?: Family,
): PromptRenderer {
  const program = parseJinja(source);
  const run = (variables: Readonly<Record<string, unknown>>, date: Date, spent = { steps: 0 }) =>
    runJinja(program, { variables: { ...variables, ...tokenVariables(tokens) }, date, spent });
  const probe = probeTemplate((variables) => run(variables, new Date(0)));
  const candidates = [family?.answer.thinking, ...THINKING_TAGS];
  const thinkingTags = candidates.find((tags) => tags !== undefined && source.includes(tags.close));
  const rules = {
    callIds: family?.callIds ?? "any",
    knowsDeveloper: /["']developer["']/.test(source),
  } as const;
  const likesParts = PARTS.test(source);
  const render = (input: PromptInput): RenderedPrompt => {
    const { messages, imageCount } = conversationOf(input);
    const { asked, begun } = splitBegunAnswer(messages);
    const given = prepare({ messages: asked, tools: input.tools ?? [] }, rules);
    const told = probe.tools ? given : withToolsInSystem(given, family);
    const think = begun === "" || thinkingTags === undefined ? input.think : false;
    const spent = { steps: 0 };
    const attempt = (conversation: Conversation, parts: boolean) =>
      run(
        {
          messages: conversation.messages.map((message) => {
            const turned = jinjaMessage(message, probe.argumentsForm);
            return parts ? inParts(turned) : turned;
          }),
          ...(conversation.tools.length > 0 ? { tools: conversation.tools.map(jinjaTool) } : {}),
          ...thinkVariables(think),
          add_generation_prompt: true,
        },
        input.date,
        spent,
      );
    const text = renderWhole(told, { attempt, likesParts, spent });
    const before = begun === "" ? "" : beforeBegun(text, thinkingTags, family);
    const startsInsideThinking = begun === "" && thinkingTags !== undefined &&
      text.trimEnd().endsWith(thinkingTags.open);
    return {
      text: text + before + begun + (input.response ?? ""),
      startsInsideThinking,
      imageCount,
    };
  };
  return {
    kind: "jinja",
    ...(family === undefined ? {} : { family: family.id }),
    capabilities: {
      tools: probe.tools || probe.calls,
      thinking: thinkingTags !== undefined || family?.thinks === true,
      insert: false,
    },
    toolCallTag: probe.toolCallTag,
    thinkingTags,
    render,
  };
}

/** A template that goes over the parts of a message. */
const PARTS = /content\s*\[\s*0|['"]text['"]/;

/**
 * The conversation as it is, or with the fewest repairs that make the template take it and show all of it.
 *
 * @throws RequestError with the template's own reason, when it takes none.
 */
function renderWhole(
  conversation: Conversation,
  by: {
    readonly attempt: (conversation: Conversation, parts: boolean) => string;
    readonly likesParts: boolean;
    readonly spent: { readonly steps: number };
  },
): string {
  let best: { readonly text: string; readonly lost: number } | undefined;
  let failure: unknown;
  for (const parts of by.likesParts ? [false, true] : [false]) {
    let repaired = conversation;
    for (const repair of REPAIRS) {
      repaired = repair(repaired);
      try {
        const text = by.attempt(repaired, parts);
        const lost = lostParts(text, conversation);
        if (best === undefined || lost < best.lost) best = { text, lost };
        if (lost === 0 || by.spent.steps > REPAIR_STEPS_MAX) return best.text;
      } catch (error) {
        failure ??= error;
        // What takes too long once takes too long each time.
        if (!isEdgeError(error) || error.cause instanceof TooManySteps) throw error;
      }
    }
  }
  if (best === undefined) throw failure;
  return best.text;
}

/** Templates that know calls but no list of tools get the list with the system text. */
function withToolsInSystem(conversation: Conversation, family: Family | undefined): Conversation {
  const { messages, tools } = conversation;
  const [before, after] = (family ?? familyById("chatml"))?.toolWords ?? ["", ""];
  if (tools.length === 0) return conversation;
  const list = before + tools.map((tool) => JSON.stringify(jinjaTool(tool))).join("\n") + after;
  const [first, ...others] = messages;
  const isSystem = first?.role === "system";
  const content = isSystem ? first.content + list : list.trimStart();
  return { messages: [{ role: "system", content }, ...(isSystem ? others : messages)], tools: [] };
}

/** An answer that was begun has thought already: its text goes where content goes. */
function beforeBegun(
  text: string,
  tags: { readonly open: string; readonly close: string } | undefined,
  family: Family | undefined,
): string {
  if (family?.answer.segments?.headers === "channels") return "<|channel|>final<|message|>";
  if (family?.answer.segments?.headers === "recipients") {
    return `all${family.answer.segments.headerEnd}`;
  }
  if (family?.answer.segments?.headers === "names") return family.answer.segments.headerEnd;
  if (tags === undefined || text.trimEnd().endsWith(tags.close)) return "";
  if (text.trimEnd().endsWith(tags.open)) return `\n${tags.close}\n\n`;
  return `${tags.open}\n\n${tags.close}\n\n`;
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
function thinkVariables(think: PromptInput["think"]): Record<string, unknown> {
  if (think === undefined) return {};
  const level = typeof think === "string" ? think : undefined;
  return {
    enable_thinking: think !== false,
    thinking: think !== false,
    reasoning: think !== false,
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
): {
  readonly tools: boolean;
  /** It shows calls of earlier answers. */
  readonly calls: boolean;
  readonly toolCallTag: string;
  readonly argumentsForm: ArgumentsForm;
} {
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
    forms.find(([, text]) => text.includes("needle")) ?? forms[0];
  const plain = attempt({
    messages: [user, { role: "assistant", content: PROBE_TEXT }],
    add_generation_prompt: false,
  });
  const calls = called.includes(PROBE_NAME);
  return { tools, calls, toolCallTag: tagBetween(plain, called), argumentsForm };
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

function runJinja(
  program: Program,
  input: {
    readonly variables: Readonly<Record<string, unknown>>;
    readonly date: Date;
    /** Counts on. */
    readonly spent: { steps: number };
  },
): string {
  const environment = new Environment();
  const interpreter = new JinjaInterpreter(environment);
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
    const text: unknown = interpreter.run(program).value;
    if (typeof text !== "string") throw new Error("no text came out");
    if (text.length > TEMPLATE_OUTPUT_CHARS_MAX) {
      throw new Error(`more than ${TEMPLATE_OUTPUT_CHARS_MAX} characters`);
    }
    return text;
  } catch (error) {
    throw jinjaError(error);
  } finally {
    input.spent.steps += interpreter.steps;
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
