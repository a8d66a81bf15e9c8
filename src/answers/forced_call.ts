import { schemaToGrammar } from "../core/grammar/mod.ts";
import { RequestError } from "../base/mod.ts";
import type { ToolChoice } from "../ports/mod.ts";
import type { Tool } from "../protocol/mod.ts";

/** Levels of a tool's parameters that are searched for references; schemas nested deeper are refused as grammars. */
const REFERENCE_DEPTH_MAX = 128;

type Schema = Readonly<Record<string, unknown>>;

/** What an answer that must be a call is held to. */
export interface ForcedCall {
  readonly grammar: string;
  /** What of the tools' parameters is not enforced, fit to be shown. */
  readonly warnings: readonly string[];
}

/** Tools that may be called, by the request's choice. @throws RequestError `invalid_request` when it names none of them. */
export function offeredTools(
  tools: readonly Tool[],
  choice: ToolChoice | undefined,
): readonly Tool[] {
  if (choice === undefined) return tools;
  if (choice === "none") return [];
  if (choice === "required") {
    if (tools.length > 0) return tools;
    throw new RequestError("invalid_request", "tool_choice wants a tool call, but tools is empty");
  }
  const named = tools.filter((tool) => tool.function.name === choice.name);
  if (named.length > 0) return tools;
  const names = tools.map((tool) => tool.function.name).join(", ") || "none";
  throw new RequestError(
    "invalid_request",
    `tool_choice wants a call of "${choice.name}", which is not among the tools: ${names}`,
  );
}

/**
 * A grammar for one call as JSON, the syntax that is read whatever the model's own is: `{"name": …, "arguments": …}`.
 * Parameters that no grammar can be made of allow any object. Undefined where the answer may be text.
 *
 * @throws RequestError `invalid_format` when the tools together are too much for a grammar.
 */
export function forcedCall(
  tools: readonly Tool[],
  choice: ToolChoice | undefined,
): ForcedCall | undefined {
  if (choice === undefined || choice === "none") return undefined;
  const callable = choice === "required"
    ? tools
    : tools.filter((tool) => tool.function.name === choice.name).slice(0, 1);
  const warnings: string[] = [];
  const isOnly = callable.length === 1;
  const calls = callable.map((tool, index) => {
    const { name, parameters } = tool.function;
    const alone = schemaToGrammar(parameters);
    if (alone.kind === "refused") warnings.push(`parameters of ${name} ${alone.reason}`);
    const enforced = alone.kind === "refused" ? { type: "object" } : closedIfEmpty(parameters);
    return callSchema(name, enforced, isOnly ? "#" : `#/anyOf/${index}`);
  });
  const result = schemaToGrammar(isOnly ? calls[0] ?? {} : { anyOf: calls });
  if (result.kind === "refused") {
    throw new RequestError("invalid_format", `tool_choice: ${result.reason}`, { status: 400 });
  }
  return {
    grammar: result.gbnf,
    warnings: [...warnings, ...result.ignored.map((what) => `tool_choice ${what}`)],
  };
}

function callSchema(name: string, parameters: Schema, place: string): Schema {
  return {
    type: "object",
    properties: {
      name: { const: name },
      arguments: movedReferences(parameters, `${place}/properties/arguments`, 0),
    },
    required: ["name", "arguments"],
    additionalProperties: false,
  };
}

/** A tool that names no parameters has none; left open, a model would have to make some up. */
function closedIfEmpty(parameters: Schema): Schema {
  const { properties, additionalProperties } = parameters;
  const isEmpty = typeof properties === "object" && properties !== null &&
    Object.keys(properties).length === 0;
  return isEmpty && additionalProperties === undefined
    ? { ...parameters, additionalProperties: false }
    : parameters;
}

/** The schema as a part of a larger one, at `place`: what its references point to moved, too. */
function movedReferences<T>(schema: T, place: string, depth: number): T {
  if (typeof schema !== "object" || schema === null || depth > REFERENCE_DEPTH_MAX) return schema;
  const moved = (key: string, value: unknown) =>
    key === "$ref" && typeof value === "string" && /^#(\/|$)/.test(value)
      ? `${place}${value.slice(1)}`
      : movedReferences(value, place, depth + 1);
  if (Array.isArray(schema)) {
    return schema.map((item) => movedReferences(item, place, depth + 1)) as T;
  }
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, moved(key, value)]),
  ) as T;
}
