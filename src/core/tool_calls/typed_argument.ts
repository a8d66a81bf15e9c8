import type { CallableTool } from "./call_format.ts";

/** Whether an argument that is written as bare text is that text, whatever else it may look like. */
export function isTextArgument(tool: Pick<CallableTool, "parameters">, key: string): boolean {
  const types = typesOf(property(tool, key));
  return types.length > 0 && types.every((type) => type === "string");
}

/** An argument that was written as bare text: what its schema wants, else whatever the text is as JSON. */
export function typedArgument(tool: CallableTool, key: string, text: string): unknown {
  const types = typesOf(property(tool, key));
  if (isTextArgument(tool, key)) return text;
  const value = parse(text);
  if (value === undefined) return text;
  const isText = typeof value === "string";
  // Of `"12"` in quotation marks, or a number where text may stand, the schema says which is meant.
  if (types.includes("string") && !types.includes(typeName(value))) return isText ? value : text;
  return value;
}

function property(tool: Pick<CallableTool, "parameters">, key: string): unknown {
  const { properties } = tool.parameters;
  return isObject(properties) ? properties[key] : undefined;
}

/** Types a schema allows, as far as it says; `null` left out, unless the text can only be that. */
function typesOf(schema: unknown): readonly string[] {
  if (!isObject(schema)) return [];
  const { type, anyOf, oneOf } = schema;
  if (typeof type === "string") return [type];
  if (Array.isArray(type)) return type.filter((item) => typeof item === "string");
  const parts = Array.isArray(anyOf) ? anyOf : Array.isArray(oneOf) ? oneOf : [];
  return parts.flatMap(typesOf);
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

/** Python's words are among what models write. */
function parse(text: string): unknown {
  const words: Readonly<Record<string, string>> = { True: "true", False: "false", None: "null" };
  const trimmed = text.trim();
  try {
    return JSON.parse(words[trimmed] ?? trimmed);
  } catch {
    // Not JSON: then it is the text it is.
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
