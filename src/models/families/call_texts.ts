/**
 * How families write calls, as data, and the piece of a chat template that prints the call `c` so.
 *
 * @module
 */
import type { ArgumentText, CallText } from "../../core/generation/mod.ts";

/** A literal, as a chat template prints it. */
export function literal(text: string): string {
  return text === "" ? "" : `{{- ${JSON.stringify(text)} -}}`;
}

/** `{"name": …, "arguments": …}` under the given keys. */
export function jsonCall(name = "name", args = "arguments"): CallText {
  const between = `, "${args}": `;
  return { before: `{"${name}": `, name: "json", between, arguments: "json", after: "}" };
}

/** As {@link jsonCall} with the id behind the arguments. */
export function jsonCallWithId(): CallText {
  return { ...jsonCall(), idAfter: ', "id": ' };
}

/** `{"name": {…}}`. */
export function keyedCall(): CallText {
  return { before: "{", name: "json", between: ": ", arguments: "json", after: "}" };
}

/** The name, then the arguments as JSON. */
export function namedCall(before: string, between: string, after: string): CallText {
  return { before, name: "bare", between, arguments: "json", after };
}

/** As {@link namedCall} with the id in the name's place. */
export function identifiedCall(before: string, between: string, after: string): CallText {
  return { before, name: "id", between, arguments: "json", after };
}

function spreadCall(
  around: readonly [before: string, between: string, after: string],
  argument: ArgumentText,
): CallText {
  const [before, between, after] = around;
  return { before, name: "bare", between, arguments: argument, after };
}

/** `<function=name><parameter=key>…`. */
export function xmlCall(): CallText {
  return spreadCall(["<function=", ">\n", "</function>"], {
    before: "<parameter=",
    between: ">\n",
    after: "\n</parameter>\n",
    separator: "",
    mark: "",
  });
}

/** `<invoke name="name"><parameter name="key">…`, in tags with a prefix. */
export function invokeCall(
  tags: { readonly call: string; readonly parameter: string; readonly prefix?: string },
): CallText {
  const { call, parameter, prefix = "" } = tags;
  return spreadCall([`<${prefix}${call} name="`, '">\n', `</${prefix}${call}>`], {
    before: `<${prefix}${parameter} name="`,
    between: '">',
    after: `</${prefix}${parameter}>\n`,
    separator: "",
    mark: "",
  });
}

/** `name<arg_key>…</arg_key><arg_value>…</arg_value>`. */
export function pairsCall(): CallText {
  return spreadCall(["", "\n", ""], {
    before: "<arg_key>",
    between: "</arg_key>\n<arg_value>",
    after: "</arg_value>\n",
    separator: "",
    mark: "",
  });
}

/** `name(key=value, …)`. */
export function pythonCall(): CallText {
  const argument = { before: "", between: "=", after: "", separator: ", ", mark: "json" };
  return spreadCall(["", "(", ")"], argument);
}

/** `call:name{key:value,…}` with a family's own quotation marks. */
export function bracesCall(quote: string): CallText {
  const argument = { before: "", between: ":", after: "", separator: ",", mark: quote };
  return spreadCall(["call:", "{", "}"], argument);
}

const NAMES: Readonly<Record<CallText["name"], string>> = {
  bare: "{{- c.function.name -}}",
  json: "{{- c.function.name | tojson -}}",
  id: "{{- c.id -}}",
};

/** Prints the call `c`. */
export function callTemplate(call: CallText): string {
  const { before, name, again, between, idAfter, after } = call;
  const args = call.arguments === "json"
    ? "{{- c.function.arguments | tojson -}}"
    : argumentsTemplate(call.arguments);
  const id = idAfter === undefined ? "" : literal(idAfter) + "{{- c.id | tojson -}}";
  const named = again === undefined ? NAMES[name] : NAMES[name] + literal(again) + NAMES[name];
  return literal(before) + named + literal(between) + args + id + literal(after);
}

function argumentsTemplate(argument: ArgumentText): string {
  const { before, between, after, separator, mark } = argument;
  const value = mark === "json"
    ? "{{- v | tojson -}}"
    : "{%- if v is string -%}" + literal(mark) + "{{- v -}}" + literal(mark) +
      "{%- else -%}{{- v | tojson -}}{%- endif -%}";
  return "{%- for k, v in c.function.arguments.items() -%}" +
    literal(before) + "{{- k -}}" + literal(between) + value + literal(after) +
    (separator === "" ? "" : "{%- if not loop.last -%}" + literal(separator) + "{%- endif -%}") +
    "{%- endfor -%}";
}
