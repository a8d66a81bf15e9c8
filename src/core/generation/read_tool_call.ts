import type { ToolCall } from "../../protocol/mod.ts";

/** A call as written by the model, before it gets an index. */
type WrittenCall = Pick<ToolCall, "name" | "arguments">;
type JsonObject = Record<string, unknown>;

const NAME_KEYS = ["name", "tool_name", "function", "tool"] as const;
const ARGUMENT_KEYS = ["arguments", "parameters", "args", "input"] as const;

/**
 * Reads a call out of one JSON object: `{"name", "arguments"}` in the spellings models use, the same one level down under
 * `function`, `{"<tool>": {…}}`, or bare arguments when `before` (the text between tag and object) names the tool.
 * Undefined when no known tool is named or the arguments aren't an object.
 */
export function findToolCall(
  json: string,
  options: { readonly before: string; readonly toolNames: ReadonlySet<string> },
): WrittenCall | undefined {
  const value = parseObject(json);
  if (value === undefined) return undefined;
  return namedCall(value, options.toolNames) ?? namedBefore(value, options) ??
    keyedCall(value, options.toolNames);
}

function namedCall(value: JsonObject, toolNames: ReadonlySet<string>): WrittenCall | undefined {
  const nested = value["function"];
  if (isObject(nested)) return namedCall(nested, toolNames);
  for (const key of NAME_KEYS) {
    const name = value[key];
    if (typeof name !== "string" || !toolNames.has(name)) continue;
    const found = readArguments(value);
    return found === undefined ? undefined : { name, arguments: found };
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
  options: { readonly before: string; readonly toolNames: ReadonlySet<string> },
): WrittenCall | undefined {
  const words = options.before.match(/[^\s<>()[\]{}"'`=:,|]+/g) ?? [];
  const name = words.findLast((word) => options.toolNames.has(word));
  return name === undefined ? undefined : { name, arguments: value };
}

function keyedCall(value: JsonObject, toolNames: ReadonlySet<string>): WrittenCall | undefined {
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length !== 1 || only === undefined) return undefined;
  const [name, found] = only;
  return toolNames.has(name) && isObject(found) ? { name, arguments: found } : undefined;
}

function parseObject(json: string): JsonObject | undefined {
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
