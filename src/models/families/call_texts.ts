/**
 * Pieces of chat templates that print the call `c`. Values that are no text are printed as JSON.
 *
 * @module
 */

/** A literal, as a chat template prints it. */
export function literal(text: string): string {
  return text === "" ? "" : `{{- ${JSON.stringify(text)} -}}`;
}

const NAME = "{{- c.function.name -}}";
const ARGUMENTS = "{{- c.function.arguments | tojson -}}";
const VALUE = "{%- if v is string -%}{{- v -}}{%- else -%}{{- v | tojson -}}{%- endif -%}";

/** `{"name": …, "arguments": …}` under the given keys. */
export function jsonCall(name = "name", args = "arguments"): string {
  return literal(`{"${name}": `) + "{{- c.function.name | tojson -}}" + literal(`, "${args}": `) +
    ARGUMENTS + literal("}");
}

/** The name, then the arguments as JSON. */
export function namedCall(before: string, between: string, after: string): string {
  return literal(before) + NAME + literal(between) + ARGUMENTS + literal(after);
}

/** As {@link namedCall} with the id in the name's place. */
export function identifiedCall(before: string, between: string, after: string): string {
  return literal(before) + "{{- c.id -}}" + literal(between) + ARGUMENTS + literal(after);
}

function eachArgument(body: string): string {
  return "{%- for k, v in c.function.arguments.items() -%}" + body + "{%- endfor -%}";
}

/** `<function=name><parameter=key>…`. */
export function xmlCall(): string {
  return literal("<function=") + NAME + literal(">\n") +
    eachArgument(
      literal("<parameter=") + "{{- k -}}" + literal(">\n") + VALUE + literal("\n</parameter>\n"),
    ) + literal("</function>");
}

/** `<invoke name="name"><parameter name="key">…`, in tags with a prefix. */
export function invokeCall(
  tags: { readonly call: string; readonly parameter: string; readonly prefix?: string },
): string {
  const { call, parameter, prefix = "" } = tags;
  return literal(`<${prefix}${call} name="`) + NAME + literal('">\n') +
    eachArgument(
      literal(`<${prefix}${parameter} name="`) + "{{- k -}}" + literal('">') + VALUE +
        literal(`</${prefix}${parameter}>\n`),
    ) + literal(`</${prefix}${call}>`);
}

/** `name<arg_key>…</arg_key><arg_value>…</arg_value>`. */
export function pairsCall(): string {
  return NAME + literal("\n") +
    eachArgument(
      literal("<arg_key>") + "{{- k -}}" + literal("</arg_key>\n<arg_value>") + VALUE +
        literal("</arg_value>\n"),
    );
}

/** `name(key=value, …)`. */
export function pythonCall(): string {
  return NAME + literal("(") +
    eachArgument(
      "{{- k -}}" + literal("=") + "{{- v | tojson -}}{%- if not loop.last -%}" + literal(", ") +
        "{%- endif -%}",
    ) + literal(")");
}

/** `call:name{key:value,…}` with a family's own quotation marks. */
export function bracesCall(quote: string): string {
  return literal("call:") + NAME + literal("{") +
    eachArgument(
      "{{- k -}}" + literal(":") + "{%- if v is string -%}" + literal(quote) + "{{- v -}}" +
        literal(quote) + "{%- else -%}{{- v | tojson -}}{%- endif -%}" +
        "{%- if not loop.last -%}" + literal(",") + "{%- endif -%}",
    ) + literal("}");
}
