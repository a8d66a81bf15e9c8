import { invalidRequest, parseGoDuration, RequestError } from "../../base/mod.ts";
import {
  type ChatMessage,
  IMAGES_MAX,
  type ThinkLevel,
  type Tool,
  type ToolCall,
} from "../../protocol/mod.ts";
import { defined, type Fields, isObject, typeName } from "./fields.ts";
import { InlineMedia } from "./inline_media.ts";
import { DURATION_MS_MAX } from "./time.ts";
import {
  MODEL_OPTIONS,
  modelOptionField,
  type ModelOptionType,
} from "../../models/modelfile/mod.ts";
import type { RequestOptions } from "../../ports/mod.ts";

/**
 * The option `volatile_lines` of requests whose body has no place for options, as a JSON list of texts; in answers, how many lines
 * were dropped and moved.
 */
export const LINES_HEADER = "x-odist-volatile-lines";
/** Characters of it that are shown where it is refused. */
const SHOWN_CHARS_MAX = 200;
/** Alternatives per token that may be asked for at most. */
const TOP_LOGPROBS_MAX = 20;
/** Messages of one conversation at most. */
export const MESSAGES_MAX = 16_384;
/** Tools that one request offers at most. */
const TOOLS_MAX = 2_048;
/** Calls in one message at most. */
export const TOOL_CALLS_MAX = 1_024;
/** Texts of one embedding request at most: their vectors are held until the last is there. */
const EMBED_INPUTS_MAX = 8_192;
const THINK_LEVELS: ReadonlySet<unknown> = new Set(["high", "medium", "low", "max", true, false]);

/**
 * `keep_alive` in milliseconds: a Go duration or a number of seconds; anything negative is Infinity, absent undefined.
 *
 * @throws RequestError `invalid_request` on other text, among it a bare number in quotes, and on other types.
 */
export function parseKeepAlive(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number") return boundKeepAlive(value * 1000);
  if (typeof value !== "string") {
    throw invalidRequest(
      `cannot read keep_alive: wants a duration such as "5m" or a number of seconds, got ${
        typeName(value)
      }`,
    );
  }
  const durationMs = parseGoDuration(value);
  if (durationMs !== undefined) return boundKeepAlive(durationMs);
  const quoted = JSON.stringify(value);
  throw invalidRequest(
    /^[-+]?[\d.]+$/.test(value)
      ? `time: missing unit in duration ${quoted}`
      : `time: invalid duration ${quoted}`,
  );
}

function boundKeepAlive(durationMs: number): number {
  return durationMs < 0 || durationMs > DURATION_MS_MAX ? Infinity : durationMs;
}

/** `think`: a boolean or a level. @throws RequestError `invalid_request` on anything else. */
export function parseThink(value: unknown): ThinkLevel | undefined {
  if (value === undefined || value === null) return undefined;
  if (THINK_LEVELS.has(value)) return value as ThinkLevel;
  const shown = typeof value === "string" ? value : typeName(value);
  throw invalidRequest(
    `invalid think value: "${shown}" (must be "high", "medium", "low", "max", true, or false)`,
  );
}

/** Undefined without the header. @throws RequestError `invalid_request` for anything but a list of texts. */
export function readLinesWish(headers: Headers): readonly string[] | undefined {
  const given = headers.get(LINES_HEADER);
  if (given === null) return undefined;
  const wish = parsedOr(given, undefined);
  if (isTexts(wish)) return wish;
  throw invalidRequest(
    'X-Odist-Volatile-Lines must be a JSON list of texts, such as ["drop:x-request-id:"]: ' +
      `current value is ${given.slice(0, SHOWN_CHARS_MAX)}`,
  );
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function parsedOr(text: string, otherwise: unknown): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return otherwise; // The caller says what is wanted.
  }
}

/** `format`: `"json"`, a JSON Schema object, or nothing. @throws RequestError `invalid_format` on anything else. */
export function parseFormat(
  value: unknown,
): "json" | Readonly<Record<string, unknown>> | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (value === "json" || isObject(value)) return value;
  // A list may be nested deeper than the serializer can follow, so it is not printed.
  const shown = Array.isArray(value) ? "[...]" : JSON.stringify(value);
  throw new RequestError(
    "invalid_format",
    `invalid format: ${JSON.stringify(shown)}; expected "json" or a valid JSON Schema object`,
  );
}

/** Alternatives per token, or -1 when no log probabilities are wanted. @throws RequestError `invalid_request`. */
export function parseTopLogprobs(fields: Fields): number {
  const wanted = fields.boolean("logprobs") ?? false;
  const alternatives = fields.integer("top_logprobs") ?? 0;
  if (alternatives < 0 || alternatives > TOP_LOGPROBS_MAX) {
    throw invalidRequest(`top_logprobs must be between 0 and ${TOP_LOGPROBS_MAX}`);
  }
  return wanted ? alternatives : -1;
}

/** Standard padded base64, never a data URI. @throws RequestError `invalid_request`. */
export function parseBase64(text: string | InlineMedia, what: string): Uint8Array {
  if (text instanceof InlineMedia) {
    if (text.head === "") return text.bytes;
    throw invalidRequest(`illegal base64 data in ${what}`);
  }
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch (cause) {
    throw new RequestError("invalid_request", `illegal base64 data in ${what}`, { cause });
  }
}

export function parseImages(fields: Fields): readonly Uint8Array[] {
  return (fields.media("images", IMAGES_MAX) ?? []).map((image, index) =>
    parseBase64(image, `images[${index}]`)
  );
}

/** The messages of /api/chat and of a Modelfile. Roles are lower-cased and otherwise taken as they are. */
export function parseMessages(fields: Fields): readonly ChatMessage[] {
  return (fields.fieldsList("messages", MESSAGES_MAX) ?? []).map((message) => {
    const images = parseImages(message);
    const toolCalls = message.fieldsList("tool_calls", TOOL_CALLS_MAX)?.map(parseToolCall) ?? [];
    return defined({
      role: (message.string("role") ?? "").toLowerCase(),
      content: message.string("content") ?? "",
      thinking: message.string("thinking") || undefined,
      images: images.length === 0 ? undefined : images,
      toolCalls: toolCalls.length === 0 ? undefined : toolCalls,
      toolName: message.string("tool_name") || undefined,
      toolCallId: message.string("tool_call_id") || undefined,
    });
  });
}

function parseToolCall(call: Fields): ToolCall {
  const called = call.fields("function");
  return defined({
    id: call.string("id"),
    index: called.integer("index"),
    name: called.string("name") ?? "",
    arguments: called.object("arguments") ?? {},
  });
}

/** The tools of a chat; the parameter schema keeps its own keys and their order. */
export function parseTools(fields: Fields): readonly Tool[] {
  return (fields.fieldsList("tools", TOOLS_MAX) ?? []).map((tool) => {
    const described = tool.fields("function");
    return {
      type: tool.string("type") || "function",
      function: defined({
        name: described.string("name") ?? "",
        description: described.string("description") || undefined,
        parameters: described.object("parameters") ?? { type: "object", properties: {} },
      }),
    };
  });
}

/** The texts of a list to be embedded, undefined for anything else. @throws RequestError `invalid_request` for too many. */
export function parseEmbedTexts(input: unknown): readonly string[] | undefined {
  if (!Array.isArray(input)) return undefined;
  if (input.length > EMBED_INPUTS_MAX) {
    throw invalidRequest(
      `cannot read input: at most ${EMBED_INPUTS_MAX} are accepted, got ${input.length}`,
    );
  }
  return input.every((item) => typeof item === "string") ? input : undefined;
}

/**
 * Types the options of a request. Unknown keys and nulls are ignored; a fraction given for an integer is cut. Ranges
 * are checked where the model and the defaults are known, not here.
 *
 * @throws RequestError `invalid_option` (500, as the contract has it) on a wrong type, 400 on a number no machine holds.
 */
export function parseOptions(
  options: Readonly<Record<string, unknown>> | undefined,
): RequestOptions {
  const parsed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options ?? {})) {
    const type = Object.hasOwn(MODEL_OPTIONS, name) ? MODEL_OPTIONS[name] : undefined;
    if (type === undefined || value === null) continue;
    parsed[modelOptionField(name)] = readOption(name, type, value);
  }
  return parsed as RequestOptions;
}

function readOption(name: string, type: ModelOptionType, value: unknown): unknown {
  switch (type) {
    case "integer":
    case "float32":
      if (typeof value === "number") return readNumber(name, type, value);
      break;
    case "boolean":
      if (typeof value === "boolean") return value;
      break;
    case "array":
      if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
      break;
  }
  throw new RequestError("invalid_option", `option "${name}" must be of type ${type}`);
}

function readNumber(name: string, type: "integer" | "float32", value: number): number {
  const wanted = type === "integer" ? Math.trunc(value) : value;
  const bound = type === "integer" ? Number.MAX_SAFE_INTEGER : 3.4e38;
  if (Math.abs(wanted) <= bound) return wanted;
  throw new RequestError(
    "invalid_option",
    `option "${name}" must be between ${-bound} and ${bound}: current value is ${value}`,
    { status: 400 },
  );
}
