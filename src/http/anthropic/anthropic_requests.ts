import { invalidRequest, type RequestError } from "../../base/mod.ts";
import type { ChatRequest, ToolChoice } from "../../ports/mod.ts";
import type { ChatMessage, ThinkLevel, Tool, ToolCall } from "../../protocol/mod.ts";
import { requireModel } from "../exchange.ts";
import {
  defined,
  Fields,
  InlineMedia,
  joinParts,
  MESSAGES_MAX,
  parseBase64,
  parseFormat,
  parseImageUrl,
  TOOL_CALLS_MAX,
} from "../wire/mod.ts";

/** Blocks of one message, of a tool's result and of the system text at most. */
const BLOCKS_MAX = 4_096;
const TOOLS_MAX = 2_048;
const STOPS_MAX = 1_024;
/** Between two blocks of text, which templates know only as one. */
const BLOCK_GAP = "\n\n";
const EFFORT_LEVELS: Readonly<Record<string, ThinkLevel>> = {
  low: "low",
  medium: "medium",
  high: "high",
  xhigh: "max",
  max: "max",
};

/** POST /v1/messages. @throws RequestError `invalid_request` for what can't be honoured. */
export function parseMessageRequest(
  fields: Fields,
): { readonly request: ChatRequest; readonly stream: boolean } {
  const predictTokens = fields.integer("max_tokens");
  if (predictTokens === undefined) throw invalid("max_tokens: field required");
  if (predictTokens < 1) throw invalid(`max_tokens: must be at least 1, got ${predictTokens}`);
  const options = defined({
    numPredict: predictTokens,
    temperature: fields.number("temperature"),
    topK: fields.integer("top_k"),
    topP: fields.number("top_p"),
    stop: fields.strings("stop_sequences", STOPS_MAX),
  });
  return {
    request: { ...parsePrompt(fields), options },
    stream: fields.boolean("stream") ?? false,
  };
}

/** POST /v1/messages/count_tokens. */
export function parseCountTokens(fields: Fields): ChatRequest {
  return parsePrompt(fields);
}

/** What both say. */
function parsePrompt(fields: Fields): ChatRequest {
  const model = requireModel(fields);
  const sent = fields.fieldsList("messages", MESSAGES_MAX) ?? [];
  if (sent.length === 0) throw invalid("messages: at least one message is required");
  const system = textOf(blocksOf(fields, "system"), "system");
  const toolNames = new Map<string, string>();
  const messages = sent.flatMap((message, index) =>
    parseMessage(message, `messages[${index}]`, toolNames)
  );
  return defined({
    model,
    messages: system === "" ? messages : [{ role: "system", content: system }, ...messages],
    tools: parseTools(fields),
    ...parseToolChoice(fields.fields("tool_choice")),
    format: parseOutputFormat(fields.fields("output_config").fields("format")),
    think: parseThinking(fields),
    relaxedThinking: true,
    options: {},
    topLogprobs: -1,
    truncate: true,
    shift: true,
    debugRenderOnly: false,
  });
}

/** Thinking is asked for or off: clients that don't ask for it don't look for its blocks. */
function parseThinking(fields: Fields): ThinkLevel {
  const type = fields.fields("thinking").string("type") ?? "disabled";
  if (type === "disabled") return false;
  if (type !== "enabled" && type !== "adaptive" && type !== "between_tools") {
    throw invalid(`thinking.type: wants "enabled", "adaptive" or "disabled", got "${type}"`);
  }
  const effort = fields.fields("output_config").string("effort");
  if (effort === undefined) return true;
  if (Object.hasOwn(EFFORT_LEVELS, effort)) return EFFORT_LEVELS[effort] ?? true;
  const levels = Object.keys(EFFORT_LEVELS).join(", ");
  throw invalid(`output_config.effort: wants one of ${levels}, got "${effort}"`);
}

function parseOutputFormat(format: Fields) {
  const type = format.string("type");
  if (type === undefined) return undefined;
  if (type === "json_schema") return parseFormat(format.raw("schema"));
  throw invalid(`output_config.format.type: wants "json_schema", got "${type}"`);
}

function parseTools(fields: Fields): readonly Tool[] {
  return (fields.fieldsList("tools", TOOLS_MAX) ?? []).map((tool, index) => {
    const type = tool.string("type") ?? "custom";
    const name = tool.string("name") ?? "";
    const parameters = tool.object("input_schema");
    if (type !== "custom") {
      throw invalid(`tools[${index}].type: wants "custom" with an input_schema, got "${type}"`);
    }
    if (name === "") throw invalid(`tools[${index}].name: field required`);
    if (parameters === undefined) throw invalid(`tools[${index}].input_schema: field required`);
    const description = tool.string("description") || undefined;
    return { type: "function", function: defined({ name, description, parameters }) };
  });
}

function parseToolChoice(
  choice: Fields,
): { readonly toolChoice?: ToolChoice; readonly toolCallsMax?: number } {
  const type = choice.string("type") ?? "auto";
  const limit = choice.boolean("disable_parallel_tool_use") === true ? { toolCallsMax: 1 } : {};
  switch (type) {
    case "auto":
      return limit;
    case "none":
      return { toolChoice: "none" };
    case "any":
      return { toolChoice: "required", ...limit };
    case "tool":
      return { toolChoice: { name: choice.string("name") ?? "" }, ...limit };
    default:
      throw invalid(`tool_choice.type: wants "auto", "any", "tool" or "none", got "${type}"`);
  }
}

/** One message, or one for each tool result in it and one for what else was said. */
function parseMessage(
  message: Fields,
  path: string,
  toolNames: Map<string, string>,
): readonly ChatMessage[] {
  const role = message.string("role");
  const blocks = blocksOf(message, "content");
  switch (role) {
    case "user":
      return parseUser(blocks, path, toolNames);
    case "assistant":
      return [parseAssistant(blocks, path, toolNames)];
    case "system":
      return [{ role, content: textOf(blocks, path) }];
    default:
      throw invalid(`${path}.role: wants "user" or "assistant", got ${JSON.stringify(role)}`);
  }
}

function parseUser(
  blocks: readonly Fields[],
  path: string,
  toolNames: ReadonlyMap<string, string>,
): readonly ChatMessage[] {
  const isResult = (block: Fields) => block.string("type") === "tool_result";
  const results = blocks.filter(isResult).map((block): ChatMessage => {
    const toolCallId = block.string("tool_use_id") ?? "";
    const { content, images } = saidIn(blocksOf(block, "content"), `${path} tool_result`);
    return defined({
      role: "tool",
      // No template has a place for it, and a model can't guess it from every text.
      content: block.boolean("is_error") === true ? `Error: ${content}` : content,
      images,
      toolName: toolNames.get(toolCallId),
      toolCallId,
    });
  });
  const said = blocks.filter((block) => !isResult(block));
  if (said.length === 0 && results.length > 0) return results;
  return [...results, { role: "user", ...saidIn(said, path) }];
}

function parseAssistant(
  blocks: readonly Fields[],
  path: string,
  toolNames: Map<string, string>,
): ChatMessage {
  const texts: Fields[] = [];
  const thoughts: string[] = [];
  const toolCalls: ToolCall[] = [];
  for (const block of blocks) {
    switch (block.string("type")) {
      case "thinking":
        thoughts.push(block.string("thinking") ?? "");
        break;
      case "redacted_thinking":
        // Only who wrote it can read it.
        break;
      case "tool_use":
        toolCalls.push(parseToolUse(block, toolNames));
        break;
      default:
        texts.push(block);
    }
  }
  if (toolCalls.length > TOOL_CALLS_MAX) {
    throw invalid(`${path}: at most ${TOOL_CALLS_MAX} tool_use blocks, got ${toolCalls.length}`);
  }
  return defined({
    role: "assistant",
    content: textOf(texts, path),
    thinking: thoughts.join(BLOCK_GAP) || undefined,
    toolCalls: toolCalls.length === 0 ? undefined : toolCalls,
  });
}

function parseToolUse(block: Fields, toolNames: Map<string, string>): ToolCall {
  const id = block.string("id") ?? "";
  const name = block.string("name") ?? "";
  toolNames.set(id, name);
  return { id, name, arguments: block.object("input") ?? {} };
}

/** Content as blocks; text alone is one block of it. */
function blocksOf(fields: Fields, name: string): readonly Fields[] {
  const content = fields.raw(name);
  if (content === undefined) return [];
  if (typeof content !== "string") return fields.fieldsList(name, BLOCKS_MAX) ?? [];
  return [new Fields({ type: "text", text: content })];
}

/** Texts and images, in their order. */
function saidIn(
  blocks: readonly Fields[],
  path: string,
): Pick<ChatMessage, "content" | "images"> {
  const parts = blocks.map((block) =>
    block.string("type") === "image" ? parseImage(block, path) : blockText(block, path)
  );
  return joinParts(parts, BLOCK_GAP);
}

function parseImage(block: Fields, path: string): Uint8Array {
  const source = block.fields("source");
  const type = source.string("type");
  if (type === "url") return parseImageUrl(source.raw("url"));
  if (type !== "base64") {
    throw invalid(`${path}: images are read from base64, got ${JSON.stringify(type)}`);
  }
  const data = source.raw("data");
  if (typeof data === "string" || data instanceof InlineMedia) {
    return parseBase64(data, `${path}: an image`);
  }
  throw invalid(`${path}: an image without data`);
}

function textOf(blocks: readonly Fields[], path: string): string {
  return blocks.map((block) => blockText(block, path)).join(BLOCK_GAP);
}

function blockText(block: Fields, path: string): string {
  const type = block.string("type");
  switch (type) {
    case "text":
      return block.string("text") ?? "";
    case "document": {
      const source = block.fields("source");
      if (source.string("type") === "text") return source.string("data") ?? "";
      if (source.string("type") === "content") {
        return textOf(blocksOf(source, "content"), path);
      }
      throw invalid(`${path}: documents are read as plain text only, got ${source.string("type")}`);
    }
    case "image":
      throw invalid(`${path}: images are seen in what a user says and in results of tools`);
    default:
      throw invalid(`${path}: content blocks of type ${JSON.stringify(type)} are not supported`);
  }
}

function invalid(message: string): RequestError {
  return invalidRequest(message);
}
