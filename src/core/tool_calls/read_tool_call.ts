import type { ToolCall } from "../../protocol/mod.ts";
import type { ToolNames } from "./tool_names.ts";

/** A call as written by the model, before it gets an index. */
export type WrittenCall = Pick<ToolCall, "name" | "arguments">;
export type JsonObject = Record<string, unknown>;

const NAME_KEYS = ["name", "tool_name", "function", "tool"] as const;
const ARGUMENT_KEYS = ["arguments", "parameters", "args", "input"] as const;

/**
 * Reads a call out of one JSON object: `{"name", "arguments"}` in the spellings models use, the same one level down under
 * `function`, `{"<tool>": {…}}`, or bare arguments when `before` (the text between tag and object) names the tool.
 * Undefined when no known tool is named or the arguments aren't an object.
 */
export function findToolCall(
  json: string,
  options: { readonly before: string; readonly tools: ToolNames },
): WrittenCall | undefined {
  const value = parseObject(json);
  if (value === undefined) return undefined;
  return namedCall(value, options.tools) ?? namedBefore(value, options) ??
    keyedCall(value, options.tools);
}

function namedCall(value: JsonObject, tools: ToolNames): WrittenCall | undefined {
  const nested = value["function"];
  if (isObject(nested)) return namedCall(nested, tools);
  for (const key of NAME_KEYS) {
    const name = value[key];
    const tool = typeof name === "string" ? tools.find(name) : undefined;
    if (tool === undefined) continue;
    const found = readArguments(value);
    return found === undefined ? undefined : { name: tool.name, arguments: found };
  }
  return undefined;
}

/** Missing arguments are no arguments; text is read as JSON, because some templates quote them. */
function readArguments(value: JsonObject): JsonObject | undefined {
  for (const key of ARGUMENT_KEYS) {
    const found = value[key];
    if (found === undefined) continue;
    if (found === null) return {};
    if (isObject(found)) return found;
    return typeof found === "string" ? parseObject(found) : undefined;
  }
  return {};
}

function namedBefore(
  value: JsonObject,
  options: { readonly before: string; readonly tools: ToolNames },
): WrittenCall | undefined {
  const words = options.before.match(/[^\s<>()[\]{}"'`=,|｜]+/g) ?? [];
  const tool = words.map((word) => options.tools.find(word)).findLast((found) => found);
  return tool === undefined ? undefined : { name: tool.name, arguments: value };
}

function keyedCall(value: JsonObject, tools: ToolNames): WrittenCall | undefined {
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length !== 1 || only === undefined) return undefined;
  const [name, found] = only;
  const tool = tools.find(name);
  return tool !== undefined && isObject(found) ? { name: tool.name, arguments: found } : undefined;
}

/** Undefined when it is none. */
export function parseObject(json: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : undefined;
  } catch {
    // Not JSON: the model wrote something else in braces, which is ordinary content.
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
