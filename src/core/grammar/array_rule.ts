import { type GrammarBuilder, join, SchemaRefusal } from "../gbnf/mod.ts";
import { below, type Located, readRange, readSchemas } from "./schema.ts";
import { uniqueItems } from "./unique_items.ts";

/** Most items under a `maxItems`: a larger limit is lowered to it, a larger `minItems` refused. */
export const ARRAY_ITEMS_MAX = 2_000;

/** What the rules of objects and arrays ask of the whole schema. */
export interface Inside {
  /** Converts a schema further down to an expression. */
  readonly convert: (schema: unknown, at: string) => string;
  /** The values of a schema that names them all; undefined for any other. */
  readonly valuesOf: (schema: unknown, at: string) => readonly unknown[] | undefined;
}

/**
 * An expression for a JSON array. Items named by position are all written; without a schema for more, there are no more,
 * unless `minItems` asks for them.
 */
export function arrayRule(
  builder: GrammarBuilder,
  options: { readonly located: Located; readonly inside: Inside },
): string {
  const { located, inside } = options;
  const { convert } = inside;
  const { schema, at } = located;
  const range = readRange(located, { min: "minItems", max: "maxItems" });
  if (range.min > ARRAY_ITEMS_MAX) {
    throw new SchemaRefusal(below(at, "minItems"), `is more than ${ARRAY_ITEMS_MAX}`);
  }
  const max = range.max === Infinity ? Infinity : Math.min(range.max, ARRAY_ITEMS_MAX);
  const positions = readPositions(located).slice(0, max);
  const fixed = positions.map((position) => convert(position.schema, position.at));
  const rest = restSchema(located, { fixed: fixed.length, min: range.min });
  const min = Math.max(0, range.min - fixed.length);
  const more = rest === undefined || max <= fixed.length
    ? { min: 0, max: 0 }
    : { min, max: max - fixed.length };
  if (more.max < min) {
    throw new SchemaRefusal(below(at, "minItems"), "asks for more items than are allowed");
  }
  if (schema["uniqueItems"] === true && max > 1) {
    const values = fixed.length > 0 || rest === undefined || more.max === 0
      ? undefined
      : inside.valuesOf(rest.schema, rest.at);
    const unique = values && uniqueItems(builder, { values, ...more });
    if (unique === "none") {
      throw new SchemaRefusal(below(at, "minItems"), "asks for more items than there are values");
    }
    if (unique !== undefined) return wrapUnique(builder, { items: unique, mayBeEmpty: min === 0 });
    builder.ignore(below(at, "uniqueItems"), "can't be followed by a grammar");
  }
  const item = rest === undefined || more.max === 0 ? "" : convert(rest.schema, rest.at);
  return wrap(builder, { fixed, item, more });
}

function wrapUnique(
  builder: GrammarBuilder,
  of: { readonly items: string; readonly mayBeEmpty: boolean },
): string {
  const ws = builder.shared("ws");
  const content = of.mayBeEmpty ? `( ${of.items} ${ws} )?` : join([of.items, ws]);
  return builder.rule("array", join([`"["`, ws, content, `"]"`]));
}

function readPositions(located: Located): { schema: unknown; at: string }[] {
  const { schema, at } = located;
  const name = schema["prefixItems"] !== undefined
    ? "prefixItems"
    : Array.isArray(schema["items"])
    ? "items"
    : undefined;
  if (name === undefined) return [];
  return readSchemas(located, name).map((item, index) => ({
    schema: item,
    at: below(at, name, index),
  }));
}

/** The schema of items behind those named by position; undefined when there must be none. */
function restSchema(
  { schema, at }: Located,
  of: { fixed: number; min: number },
): { schema: unknown; at: string } | undefined {
  const name = Array.isArray(schema["items"]) ? "additionalItems" : "items";
  const rest = schema[name];
  if ((rest ?? schema["unevaluatedItems"]) === false) return undefined;
  if (rest === undefined && of.fixed > 0 && of.min <= of.fixed) return undefined;
  return { schema: rest ?? schema["unevaluatedItems"], at: below(at, name) };
}

function wrap(
  builder: GrammarBuilder,
  of: { fixed: readonly string[]; item: string; more: { min: number; max: number } },
): string {
  const [ws, comma] = [builder.shared("ws"), builder.shared("comma")];
  const { fixed, item, more } = of;
  const body = fixed.flatMap((text, index) => index === 0 ? [text] : [comma, text]);
  let isOptional = body.length === 0;
  if (more.max > 0) {
    const following = { min: Math.max(0, more.min - 1), max: more.max - 1 };
    const next = builder.rule("next", join([comma, item]));
    if (body.length > 0) {
      body.push(builder.repeat(next, more));
    } else {
      body.push(item, builder.repeat(next, following));
      isOptional = more.min === 0;
    }
  }
  if (body.length === 0) return builder.rule("array", `"[" ${ws} "]"`);
  const inner = join([...body, ws]);
  const content = isOptional ? `( ${inner} )?` : inner;
  return builder.rule("array", join([`"["`, ws, content, `"]"`]));
}
