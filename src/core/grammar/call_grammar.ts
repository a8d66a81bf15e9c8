import { GrammarBuilder, join, literal, SchemaRefusal, textWithout } from "../gbnf/mod.ts";
import {
  type ArgumentText,
  type CallsText,
  type CallText,
  isTextArgument,
} from "../tool_calls/mod.ts";
import { isNever, isSchemaObject, restrictions, type SchemaObject } from "./schema.ts";
import { membersText } from "./object_rule.ts";
import { type GrammarResult, SchemaRules, schemaToGrammar } from "./schema_to_grammar.ts";

/** Names and keys that every way of writing calls can hold. */
const PLAIN_NAME = /^[A-Za-z_$][\w.$-]{0,127}$/;
/** What else may be said of arguments that stand by themselves; other keywords speak of the object as a whole. */
const OBJECT_KEYWORDS = new Set([
  "type",
  "properties",
  "required",
  "additionalProperties",
  "unevaluatedProperties",
]);
/** What is said of a text that stands as it is, and not followed there. */
const TEXT_KEYWORDS = ["minLength", "maxLength", "pattern", "format", "anyOf", "oneOf"];
/** What ends a value where texts stand as they are, in whichever family. */
const VALUE_ENDS = [
  ...["param", "arg", "function", "invoke"].flatMap((tag) => [`<${tag}`, `</${tag}`]),
  ...["<｜DSML｜", "</｜DSML｜", "<minimax:", "</minimax:", "<atem:", "</atem:"],
];
/** Letters and digits of a call's id. */
const CALL_ID = "[a-zA-Z0-9]{9}";

/** A tool that may be called. */
export interface ForcedTool {
  readonly name: string;
  /** JSON Schema. */
  readonly parameters: SchemaObject;
}

/** How calls are to be written. */
export interface CallGrammarOptions {
  readonly calls: CallsText;
  /** What ends a value besides its own end: where texts stand as they are, none of it stands in them. */
  readonly literals: readonly string[];
  /** The prompt has this much of the answer already; "" = nothing. */
  readonly begun: string;
  /** Whether thinking may come first, where it is a part of the answer. */
  readonly thinks: boolean;
}

/**
 * A grammar for one call of one of the tools, as its family writes it. Parameters that no grammar can be made of allow any
 * object. Undefined where the family's way can't hold what a tool's schema asks for.
 */
export function callGrammar(
  tools: readonly ForcedTool[],
  options: CallGrammarOptions,
): GrammarResult | undefined {
  const { calls, begun, thinks } = options;
  if (!tools.every((tool) => canHold(calls.call, tool))) return undefined;
  try {
    const writer = new CallWriter(options);
    const { builder } = writer;
    const one = writer.calls(tools);
    const plain = join([written(withoutBegun(writer.head, begun)), one]);
    const gbnf = builder.text(
      calls.thinking === undefined || !thinks ? plain : builder.choice([
        plain,
        join([writer.thinking(calls.thinking), written(writer.head), one]),
      ]),
    );
    return { kind: "grammar", gbnf, ignored: writer.ignored };
  } catch (error) {
    if (error instanceof SchemaRefusal) return { kind: "refused", reason: error.message };
    throw error;
  }
}

class CallWriter {
  readonly builder = new GrammarBuilder();
  readonly ignored: string[] = [];
  /** What every call begins with. */
  readonly head: string;
  readonly #options: CallGrammarOptions;
  #text: string | undefined;

  constructor(options: CallGrammarOptions) {
    this.#options = options;
    this.head = options.calls.before + options.calls.call.before;
  }

  /** One call, behind its head. */
  calls(tools: readonly ForcedTool[]): string {
    const { call, after } = this.#options.calls;
    // JSON says itself where it ends; and what stands behind the calls may be what ends the answer.
    const endsItself = call.name !== "json" && call.arguments === "json";
    const tail = endsItself
      ? optional(call.after + after)
      : join([written(call.after), optional(after)]);
    return join([this.builder.choice(tools.map((tool) => this.#named(tool))), tail]);
  }

  thinking([before, after]: readonly [string, string]): string {
    const head = written(withoutBegun(before, this.#options.begun));
    return join([head, textWithout(this.builder, [after]), written(after)]);
  }

  #named(tool: ForcedTool): string {
    const { call } = this.#options.calls;
    const name = {
      bare: tool.name,
      json: JSON.stringify(tool.name),
      id: `functions.${tool.name}:0`,
    }[call.name];
    const id = call.idAfter === undefined
      ? ""
      : join([written(`${call.idAfter}"`), CALL_ID, written(`"`)]);
    const known = this.builder.ignored().length;
    const args = call.arguments === "json"
      ? this.#object(tool)
      : this.#arguments(tool, call.arguments);
    const ignored = this.builder.ignored().slice(known);
    this.ignored.push(...ignored.map((what) => `parameters of ${tool.name} ${what}`));
    const named = call.again === undefined ? name : name + call.again + name;
    return this.builder.rule("call", join([written(named + call.between), args, id]));
  }

  #object({ name, parameters }: ForcedTool): string {
    const alone = schemaToGrammar(parameters);
    if (alone.kind === "grammar") {
      return new SchemaRules(closedIfEmpty(parameters), this.builder).whole();
    }
    this.ignored.push(`parameters of ${name} ${alone.reason}`);
    return this.builder.shared("object");
  }

  /** The named ones in the schema's order, those that need not be there left out at will. */
  #arguments(tool: ForcedTool, argument: ArgumentText): string {
    const { properties, required } = namesOf(tool.parameters);
    const names = [...new Set([...properties, ...required])];
    const rules = new SchemaRules(tool.parameters, this.builder);
    const one = (name: string) =>
      this.builder.rule(
        "argument",
        join([
          written(argument.before + name + argument.between),
          this.#value(tool, { name, mark: argument.mark, rules }),
          written(argument.after),
        ]),
      );
    const members = names.map((name) => ({ text: one(name), isRequired: required.includes(name) }));
    const comma = written(argument.separator);
    const nothing = { other: "", count: { min: 0, max: 0 } };
    const text = membersText(this.builder, { members, comma, ...nothing });
    return text === "" || required.length > 0 ? text : `( ${text} )?`;
  }

  #value(
    tool: ForcedTool,
    argument: { readonly name: string; readonly mark: string; readonly rules: SchemaRules },
  ): string {
    const { name, mark, rules } = argument;
    const place = `#/properties/${name}`;
    if (mark === "json" || !isTextArgument(tool, name)) return rules.property(name);
    const schema = propertyOf(tool, name);
    const values = textsOf(schema);
    if (values !== undefined) {
      return this.builder.choice(values.map((value) => written(mark + value + mark)));
    }
    for (const keyword of TEXT_KEYWORDS) {
      if (schema[keyword] === undefined) continue;
      this.builder.ignore(`${place}/${keyword}`, "isn't followed where texts stand as they are");
    }
    this.#text ??= textWithout(this.builder, [
      ...this.#options.literals,
      ...mark === "" ? VALUE_ENDS : [mark],
    ]);
    return join([written(mark), this.#text, written(mark)]);
  }
}

/** Whether the call can be written so that it is read as it was meant. */
function canHold(call: CallText, { name, parameters }: ForcedTool): boolean {
  if (call.name !== "json" && !PLAIN_NAME.test(name)) return false;
  if (call.arguments === "json") return true;
  if (restrictions({ schema: parameters, at: "#" }).some((word) => !OBJECT_KEYWORDS.has(word))) {
    return false;
  }
  const { properties, required } = namesOf(parameters);
  const names = new Set([...properties, ...required]);
  // A tool that takes what nobody named has to be given a whole object.
  const isOpen = names.size === 0 &&
    (parameters["properties"] === undefined || parameters["additionalProperties"] !== undefined) &&
    !isNever(parameters["additionalProperties"] ?? true);
  return !isOpen && schemaToGrammar(parameters).kind === "grammar" &&
    [...names].every((key) => PLAIN_NAME.test(key)) &&
    [...names].every((key) => canStand(textsOf(propertyOf({ name, parameters }, key)) ?? []));
}

/** Texts that are read as they were written. */
function canStand(texts: readonly string[]): boolean {
  return texts.every((text) => !/[<\n\r]/.test(text));
}

/** The texts that a schema names, where it names them all. */
function textsOf(schema: SchemaObject): readonly string[] | undefined {
  const { enum: values, const: only } = schema;
  const all = Object.hasOwn(schema, "const") ? [only] : values;
  return Array.isArray(all) ? all.filter((value) => typeof value === "string") : undefined;
}

function propertyOf({ parameters }: ForcedTool, name: string): SchemaObject {
  const { properties } = parameters;
  const schema = isSchemaObject(properties) && Object.hasOwn(properties, name)
    ? properties[name]
    : undefined;
  return isSchemaObject(schema) ? schema : {};
}

function namesOf({ properties, required }: SchemaObject) {
  return {
    properties: isSchemaObject(properties) ? Object.keys(properties) : [],
    required: Array.isArray(required)
      ? required.filter((name): name is string => typeof name === "string")
      : [],
  };
}

/** A tool that names no parameters has none; left open, a model would have to make some up. */
function closedIfEmpty(parameters: SchemaObject): SchemaObject {
  const { properties, additionalProperties } = parameters;
  const isEmpty = isSchemaObject(properties) && Object.keys(properties).length === 0;
  return isEmpty && additionalProperties === undefined
    ? { ...parameters, additionalProperties: false }
    : parameters;
}

/** What is still to be written of a text whose beginning may stand in the prompt. */
function withoutBegun(text: string, begun: string): string {
  return begun !== "" && text.startsWith(begun) ? text.slice(begun.length) : text;
}

function written(text: string): string {
  return text === "" ? "" : literal(text);
}

function optional(text: string): string {
  return text === "" ? "" : `( ${literal(text)} )?`;
}
