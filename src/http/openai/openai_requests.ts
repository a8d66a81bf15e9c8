import { invalidRequest, RequestError } from "../../base/mod.ts";
import type {
  ChatRequest,
  EmbedRequest,
  GenerateRequest,
  RequestOptions,
  ToolChoice,
} from "../../ports/mod.ts";
import type { ChatMessage, ThinkLevel, Tool, ToolCall } from "../../protocol/mod.ts";
import { requireModel } from "../exchange.ts";
import {
  defined,
  type Fields,
  InlineMedia,
  isObject,
  joinParts,
  JsonScan,
  MESSAGES_MAX,
  parseBase64,
  parseEmbedTexts,
  parseFirstJson,
  parseFormat,
  parseImageUrl,
  parseTools,
  parseTopLogprobs,
  TOOL_CALLS_MAX,
} from "../wire/mod.ts";

/** What the shims send when the client gives none, so that the model's own PARAMETERs never apply (contract 1.13). */
const SAMPLING_DEFAULT = 1.0;
const EFFORT_LEVELS: Readonly<Record<string, ThinkLevel>> = {
  none: false,
  minimal: "low",
  low: "low",
  medium: "medium",
  high: "high",
  max: "max",
  xhigh: "max",
  ultra: "max",
};
/** Answers that one request may come to: prompts times answers to each. */
const CHOICES_MAX = 128;
/** Lists of tokens to be embedded at most. */
const TOKEN_INPUTS_MAX = 2_048;

/** POST /v1/chat/completions. @throws RequestError with the contract's texts. */
export function parseChatCompletion(fields: Fields): ChatRequest {
  const sent = fields.fieldsList("messages", MESSAGES_MAX) ?? [];
  if (sent.length === 0) throw invalidRequest("[] is too short - 'messages'");
  const conversation: Conversation = { toolNames: new Map(), scan: new JsonScan() };
  return defined({
    model: requireModel(fields),
    messages: sent.flatMap((message) => parseMessage(message, conversation)),
    ...parseOfferedTools(fields),
    toolCallsMax: fields.boolean("parallel_tool_calls") === false ? 1 : undefined,
    options: parseSampling(fields),
    format: parseResponseFormat(fields),
    think: parseEffort(fields),
    // Clients ask for it whatever the model is.
    relaxedThinking: true,
    topLogprobs: parseTopLogprobs(fields),
    truncate: true,
    shift: true,
    debugRenderOnly: fields.boolean("_debug_render_only") ?? false,
  });
}

/** How many answers a request wants to each of its prompts: 1 to {@link CHOICES_MAX}. */
export function parseChoiceCount(fields: Fields, promptCount = 1): number {
  const count = fields.integer("n") ?? 1;
  const choices = count * promptCount;
  if (count >= 1 && choices <= CHOICES_MAX) return count;
  throw invalidRequest(
    `n: wants 1 to ${
      Math.floor(CHOICES_MAX / promptCount)
    } for each of ${promptCount} prompts, got ${count}`,
  );
}

/** The tools that may be called, and whether one must be. */
function parseOfferedTools(
  fields: Fields,
): { readonly tools: readonly Tool[]; readonly toolChoice?: ToolChoice } {
  const tools = parseTools(fields);
  const sent = fields.raw("tool_choice");
  if (sent === undefined) return { tools };
  if (typeof sent === "string") return { tools, ...choiceOfMode(sent) };
  const choice = fields.fields("tool_choice");
  const type = choice.string("type") ?? "";
  const nameOf = (tool: Fields) => tool.fields("function").string("name") ?? "";
  if (type === "function") return { tools, toolChoice: { name: nameOf(choice) } };
  if (type !== "allowed_tools") {
    throw invalidRequest(`tool_choice.type: wants "function" or "allowed_tools", got "${type}"`);
  }
  const allowed = choice.fields("allowed_tools");
  const names = new Set((allowed.fieldsList("tools", TOOL_CALLS_MAX) ?? []).map(nameOf));
  return {
    tools: tools.filter((tool) => names.has(tool.function.name)),
    ...choiceOfMode(allowed.string("mode") ?? "auto"),
  };
}

/** What a word in `tool_choice` says. @throws RequestError `invalid_request` for another word. */
export function choiceOfMode(mode: string): { readonly toolChoice?: ToolChoice } {
  if (mode === "auto") return {};
  if (mode === "none" || mode === "required") return { toolChoice: mode };
  throw invalidRequest(`tool_choice: wants auto, none, required or a function, got "${mode}"`);
}

/**
 * POST /v1/completions, a request for each prompt: the model's template applies to texts and not to tokens, and log
 * probabilities are not part of the answer.
 */
export function parseCompletions(
  fields: Fields,
): readonly [GenerateRequest, ...GenerateRequest[]] {
  const model = fields.string("model") ?? "";
  if (model.trim() === "") throw new RequestError("model_not_found", "model '' not found");
  // Computed by none: the contract has them asked for and never returned, so only the type is checked.
  fields.integer("logprobs");
  const shared = {
    model,
    suffix: fields.string("suffix") ?? "",
    raw: false,
    images: [],
    options: parseSampling(fields),
    topLogprobs: -1,
    truncate: true,
    shift: true,
    debugRenderOnly: fields.boolean("_debug_render_only") ?? false,
  };
  const requestOf = (prompt: string | readonly number[]): GenerateRequest =>
    typeof prompt === "string"
      ? { ...shared, prompt }
      : { ...shared, prompt: "", promptTokens: prompt };
  const [first = "", ...others] = parsePrompts(fields.raw("prompt") ?? "");
  return [requestOf(first), ...others.map(requestOf)];
}

/** A text or tokens, or a list of either. */
function parsePrompts(prompt: unknown): readonly (string | readonly number[])[] {
  if (typeof prompt === "string") return [prompt];
  const list = textsOrTokens(prompt);
  if (list !== undefined && list.length > 0 && list.length <= CHOICES_MAX) return list;
  throw invalidRequest(
    list === undefined
      ? "prompt: wants a text, token ids, or a list of either"
      : `prompt: wants 1 to ${CHOICES_MAX} prompts, got ${list.length}`,
  );
}

/** A list of texts or of lists of tokens; tokens alone are one of those. Undefined for anything else. */
function textsOrTokens(value: unknown): readonly (string | readonly number[])[] | undefined {
  if (!Array.isArray(value)) return undefined;
  if (value.length > 0 && isTokens(value)) return [value];
  const isItem = (item: unknown) =>
    typeof item === "string" || (Array.isArray(item) && item.length > 0 && isTokens(item));
  return value.every(isItem) ? value : undefined;
}

function isTokens(list: readonly unknown[]): list is readonly number[] {
  return list.every((token) => Number.isSafeInteger(token) && Number(token) >= 0);
}

/** POST /v1/embeddings, and how its vectors are to be written. */
export function parseEmbedding(
  fields: Fields,
):
  & Omit<EmbedRequest, "inputs">
  & { readonly inputs: readonly (string | readonly number[])[] }
  & { readonly encoding: "float" | "base64" } {
  const encoding = fields.string("encoding_format")?.toLowerCase() || "float";
  if (encoding !== "float" && encoding !== "base64") {
    throw invalidRequest(
      `invalid value for 'encoding_format': "${encoding}" (must be "float" or "base64")`,
    );
  }
  const input = fields.raw("input");
  const inputs = typeof input === "string" ? [input] : parseEmbedTexts(input) ?? embedTokens(input);
  if (input === undefined || (Array.isArray(input) && input.length === 0)) {
    throw invalidRequest("invalid input");
  }
  if (inputs === undefined) throw invalidRequest("invalid input type");
  const model = fields.string("model") ?? "";
  if (model.trim() === "") throw new RequestError("model_not_found", "model '' not found");
  const dimensions = fields.integer("dimensions") || undefined;
  return { encoding, ...defined({ model, inputs, truncate: true, dimensions, options: {} }) };
}

/** Lists of tokens, of which each is given back as a text first: therefore few. */
function embedTokens(input: unknown): readonly (string | readonly number[])[] | undefined {
  const list = textsOrTokens(input);
  if (list === undefined || list.length <= TOKEN_INPUTS_MAX) return list;
  throw invalidRequest(
    `cannot read input: at most ${TOKEN_INPUTS_MAX} lists of tokens are accepted, got ${list.length}`,
  );
}

/** Whether a stream is asked for, and whether it ends with usage. */
export function parseStreaming(
  fields: Fields,
): { readonly stream: boolean; readonly includeUsage: boolean } {
  return {
    stream: fields.boolean("stream") ?? false,
    includeUsage: fields.fields("stream_options").boolean("include_usage") ?? false,
  };
}

function parseSampling(fields: Fields): RequestOptions {
  return defined({
    numPredict: fields.integer("max_completion_tokens") ?? fields.integer("max_tokens"),
    seed: fields.integer("seed"),
    stop: parseStop(fields.raw("stop")),
    temperature: fields.number("temperature") ?? SAMPLING_DEFAULT,
    topP: fields.number("top_p") ?? SAMPLING_DEFAULT,
    frequencyPenalty: fields.number("frequency_penalty"),
    presencePenalty: fields.number("presence_penalty"),
  });
}

function parseStop(stop: unknown): readonly string[] | undefined {
  if (stop === undefined) return undefined;
  if (typeof stop === "string") return [stop];
  if (Array.isArray(stop) && stop.every((item) => typeof item === "string")) return stop;
  throw invalidRequest("invalid type for 'stop': wants string or strings");
}

function parseResponseFormat(fields: Fields) {
  const wanted = fields.fields("response_format");
  switch (wanted.string("type")?.trim().toLowerCase()) {
    case "json_object":
      return "json";
    case "json_schema":
      return parseFormat(wanted.fields("json_schema").raw("schema"));
    default:
      return undefined;
  }
}

/** `reasoning.effort` or `reasoning_effort`. */
export function parseEffort(fields: Fields): ThinkLevel | undefined {
  const effort = fields.fields("reasoning").string("effort") || fields.string("reasoning_effort");
  if (effort === undefined || effort === "") return undefined;
  if (Object.hasOwn(EFFORT_LEVELS, effort)) return EFFORT_LEVELS[effort];
  throw invalidRequest(
    `invalid reasoning value: '${effort}' (must be "high", "medium", "low", "max", or "none")`,
  );
}

/** What the messages so far leave behind for the later ones. */
interface Conversation {
  /** By id of a call, the name of the tool that the latest such call asked for. */
  readonly toolNames: Map<string, string>;
  /** Counts over the arguments of all calls. */
  readonly scan: JsonScan;
}

/** Between parts of one message, as where templates put neighbours of one role together. */
const PART_GAP = "\n\n";

/** One message; of texts alone as many as it has content parts. */
function parseMessage(message: Fields, conversation: Conversation): ChatMessage[] {
  const role = (message.string("role") ?? "").toLowerCase();
  const toolCallId = message.string("tool_call_id") || undefined;
  const toolName = message.string("name") || conversation.toolNames.get(toolCallId ?? "");
  const toolCalls = message.fieldsList("tool_calls", TOOL_CALLS_MAX)
    ?.map((call) => parseToolCall(call, conversation));
  const extras = defined({
    thinking: message.string("reasoning") || undefined,
    toolCalls: toolCalls?.length === 0 ? undefined : toolCalls,
    toolName: role === "tool" ? toolName : undefined,
    toolCallId,
  });
  const content = message.raw("content");
  if (content === undefined && toolCalls === undefined) {
    throw invalidRequest("invalid message content type: null");
  }
  if (content === undefined || typeof content === "string") {
    return [{ role, content: content ?? "", ...extras }];
  }
  if (!Array.isArray(content)) throw invalidMessage();
  const said = content.map(parsePart);
  // Whoever is shown an image must see it in the same turn as what is asked about it.
  if (said.some((part) => typeof part !== "string")) {
    return [{ role, ...joinParts(said, PART_GAP), ...extras }];
  }
  const parts = said.map((text) => ({ role, content: String(text) }));
  const last = parts.pop();
  // Calls and names belong to the message as a whole, so they ride on its last part.
  return last === undefined
    ? [{ role, content: "", ...extras }]
    : [...parts, { ...last, ...extras }];
}

function parsePart(part: unknown): string | Uint8Array {
  if (!isObject(part)) throw invalidMessage();
  switch (part["type"]) {
    case "text":
      if (typeof part["text"] !== "string") throw invalidMessage();
      return part["text"];
    case "image_url":
      return parseImageUrl(part["image_url"]);
    case "input_audio": {
      const audio = part["input_audio"];
      const data = isObject(audio) ? audio["data"] : undefined;
      if (typeof data !== "string" && !(data instanceof InlineMedia)) throw invalidMessage();
      return parseBase64(data, "input_audio");
    }
    default:
      throw invalidMessage();
  }
}

function parseToolCall(call: Fields, { toolNames, scan }: Conversation): ToolCall {
  const called = call.fields("function");
  const id = call.string("id") || undefined;
  const name = called.string("name") ?? "";
  if (id !== undefined) toolNames.set(id, name);
  return defined({
    id,
    index: call.integer("index"),
    name,
    arguments: parseArguments(called.string("arguments") ?? "", scan),
  });
}

/** The arguments of a call, which this API writes as text. */
export function parseArguments(text: string, scan: JsonScan): Readonly<Record<string, unknown>> {
  const value = text.trim() === "" ? {} : parseFirstJson(text, scan);
  if (isObject(value)) return value;
  throw invalidRequest("invalid tool call arguments");
}

function invalidMessage(): RequestError {
  return invalidRequest("invalid message format");
}
