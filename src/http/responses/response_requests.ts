import { invalidRequest, type RequestError } from "../../base/mod.ts";
import type { ChatRequest, ToolChoice } from "../../ports/mod.ts";
import type { Tool } from "../../protocol/mod.ts";
import { requireModel } from "../exchange.ts";
import { choiceOfMode, parseEffort } from "../openai/mod.ts";
import { defined, type Fields, parseFormat } from "../wire/mod.ts";
import { type Item, messagesOf, parseInput } from "./items.ts";

const TOOLS_MAX = 2_048;
const INCLUDES_MAX = 64;
const TOP_LOGPROBS_MAX = 20;
/** What this API's requests mean where they say nothing. */
const SAMPLING_DEFAULT = 1.0;
const LOGPROBS = "message.output_text.logprobs";
/** Fields that would change the answer in ways that are not there. */
const UNSUPPORTED = ["conversation", "prompt"] as const;

/** A request as it was read, before the conversation before it is known. */
export interface ResponseRequest {
  readonly model: string;
  /** What is said with this request. */
  readonly input: readonly Item[];
  readonly previousId: string | undefined;
  readonly stream: boolean;
  readonly background: boolean;
  readonly store: boolean;
  /** The answer shows thinking as a summary, not as text of its own. */
  readonly summarizes: boolean;
  /** The request without its messages. */
  readonly chat: Omit<ChatRequest, "messages">;
  readonly instructions: string | undefined;
  /** Fields that the answer repeats. */
  readonly echo: Readonly<Record<string, unknown>>;
  /** What of the request is not followed. */
  readonly warnings: readonly string[];
}

/** POST /v1/responses. @throws RequestError `invalid_request` for what can't be honoured. */
export function parseResponseRequest(fields: Fields): ResponseRequest {
  for (const name of UNSUPPORTED) {
    if (fields.has(name)) throw invalid(`${name} is not supported: send input`);
  }
  const model = requireModel(fields);
  const { tools, warnings } = parseTools(fields);
  const choice = parseToolChoice(fields, tools);
  const background = fields.boolean("background") ?? false;
  const stream = fields.boolean("stream") ?? false;
  const store = fields.boolean("store") ?? true;
  if (background && !store) throw invalid("background wants store: true");
  return {
    model,
    input: parseInput(fields),
    previousId: fields.string("previous_response_id") || undefined,
    stream,
    background,
    store,
    summarizes: fields.fields("reasoning").has("summary"),
    chat: parseChat(fields, { model, ...choice }),
    instructions: fields.string("instructions") || undefined,
    echo: echoOf(fields, tools),
    warnings,
  };
}

/** The whole conversation as it is asked. */
export function chatRequestOf(request: ResponseRequest, history: readonly Item[]): ChatRequest {
  const said = messagesOf([...history, ...request.input]);
  if (said.length === 0) throw invalid("input: at least one item is required");
  const { instructions } = request;
  const messages = instructions === undefined
    ? said
    : [{ role: "system", content: instructions }, ...said];
  return { ...request.chat, messages };
}

function parseChat(
  fields: Fields,
  parts: {
    readonly model: string;
    readonly tools: readonly Tool[];
    readonly toolChoice?: ToolChoice;
  },
): ResponseRequest["chat"] {
  const { model, tools, toolChoice } = parts;
  const truncates = parseTruncation(fields) === "auto";
  return defined({
    model,
    tools,
    toolChoice,
    toolCallsMax: fields.boolean("parallel_tool_calls") === false ? 1 : undefined,
    format: parseTextFormat(fields.fields("text").fields("format")),
    think: parseEffort(fields),
    relaxedThinking: true,
    options: defined({
      numPredict: fields.integer("max_output_tokens"),
      temperature: fields.number("temperature") ?? SAMPLING_DEFAULT,
      topP: fields.number("top_p") ?? SAMPLING_DEFAULT,
    }),
    topLogprobs: parseLogprobs(fields),
    truncate: truncates,
    shift: truncates,
    debugRenderOnly: false,
  });
}

function parseLogprobs(fields: Fields): number {
  const count = fields.integer("top_logprobs");
  if (count !== undefined && (count < 0 || count > TOP_LOGPROBS_MAX)) {
    throw invalid(`top_logprobs: must be between 0 and ${TOP_LOGPROBS_MAX}, got ${count}`);
  }
  const isIncluded = fields.strings("include", INCLUDES_MAX)?.includes(LOGPROBS) ?? false;
  return isIncluded || (count ?? 0) > 0 ? count ?? 0 : -1;
}

/** Old messages are dropped unless the client wants to hear of it, as on the other endpoints. */
function parseTruncation(fields: Fields): "auto" | "disabled" {
  const wanted = fields.string("truncation") ?? "auto";
  if (wanted === "auto" || wanted === "disabled") return wanted;
  throw invalid(`truncation: wants "auto" or "disabled", got "${wanted}"`);
}

function parseTextFormat(format: Fields) {
  const type = format.string("type") ?? "text";
  switch (type) {
    case "text":
      return undefined;
    case "json_object":
      return "json";
    case "json_schema":
      return parseFormat(format.raw("schema"));
    default:
      throw invalid(`text.format.type: wants text, json_object or json_schema, got "${type}"`);
  }
}

/** Tools of the service itself are left out, which the caller is told: clients offer them to every model. */
function parseTools(
  fields: Fields,
): { readonly tools: readonly Tool[]; readonly warnings: readonly string[] } {
  const tools: Tool[] = [];
  const warnings: string[] = [];
  for (const [index, tool] of (fields.fieldsList("tools", TOOLS_MAX) ?? []).entries()) {
    const type = tool.string("type") ?? "";
    const name = tool.string("name") ?? "";
    if (type !== "function") {
      warnings.push(`tools[${index}] of type "${type}" is not there and was left out`);
      continue;
    }
    if (name === "") throw invalid(`tools[${index}].name: field required`);
    const description = tool.string("description") || undefined;
    const parameters = tool.object("parameters") ?? { type: "object", properties: {} };
    tools.push({ type, function: defined({ name, description, parameters }) });
  }
  return { tools, warnings };
}

function parseToolChoice(
  fields: Fields,
  tools: readonly Tool[],
): { readonly tools: readonly Tool[]; readonly toolChoice?: ToolChoice } {
  const sent = fields.raw("tool_choice") ?? "auto";
  if (typeof sent === "string") return { tools, ...choiceOfMode(sent) };
  const choice = fields.fields("tool_choice");
  const type = choice.string("type") ?? "";
  if (type === "function") return { tools, toolChoice: { name: choice.string("name") ?? "" } };
  if (type !== "allowed_tools") {
    throw invalid(`tool_choice.type: wants "function" or "allowed_tools", got "${type}"`);
  }
  const allowed = new Set(
    (choice.fieldsList("tools", TOOLS_MAX) ?? []).map((tool) => tool.string("name")),
  );
  return {
    tools: tools.filter((tool) => allowed.has(tool.function.name)),
    ...choiceOfMode(choice.string("mode") ?? "auto"),
  };
}

function echoOf(fields: Fields, tools: readonly Tool[]) {
  const format = fields.fields("text").object("format") ?? { type: "text" };
  const reasoning = fields.fields("reasoning");
  return {
    instructions: fields.string("instructions") ?? null,
    max_output_tokens: fields.integer("max_output_tokens") ?? null,
    metadata: fields.stringMap("metadata") ?? {},
    parallel_tool_calls: fields.boolean("parallel_tool_calls") ?? true,
    previous_response_id: fields.string("previous_response_id") ?? null,
    reasoning: {
      effort: reasoning.string("effort") ?? null,
      summary: reasoning.string("summary") ?? null,
    },
    temperature: fields.number("temperature") ?? SAMPLING_DEFAULT,
    text: { format },
    tool_choice: fields.raw("tool_choice") ?? "auto",
    tools: tools.map(({ function: { name, description, parameters } }) => ({
      type: "function",
      name,
      description: description ?? null,
      parameters,
      strict: false,
    })),
    top_logprobs: fields.integer("top_logprobs") ?? 0,
    top_p: fields.number("top_p") ?? SAMPLING_DEFAULT,
    truncation: fields.string("truncation") ?? "auto",
  };
}

function invalid(message: string): RequestError {
  return invalidRequest(message);
}
