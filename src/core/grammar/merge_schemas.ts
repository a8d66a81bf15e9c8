import { SchemaRefusal } from "./refusal.ts";
import {
  below,
  isSchemaObject,
  type Located,
  readNamed,
  readTexts,
  type SchemaObject,
} from "./schema.ts";

const LARGER = new Set("minimum exclusiveMinimum minLength minItems minProperties".split(" "));
const SMALLER = new Set("maximum exclusiveMaximum maxLength maxItems maxProperties".split(" "));

/**
 * One schema that is valid where both are, as far as the keywords allow it. What both restrict in ways that can't be put
 * together is refused.
 */
export function mergeSchemas(a: Located, b: Located): Located {
  const merged: Record<string, unknown> = { ...a.schema };
  for (const [name, value] of Object.entries(b.schema)) {
    const present = merged[name];
    if (present === undefined) merged[name] = value;
    else if (value !== undefined && JSON.stringify(present) !== JSON.stringify(value)) {
      merged[name] = mergeKeyword({ name, values: [present, value], a, b });
    }
  }
  dropForbidden(merged, [a, b]);
  return { schema: merged, at: a.at };
}

interface Conflict {
  readonly name: string;
  readonly values: readonly [unknown, unknown];
  readonly a: Located;
  readonly b: Located;
}

function mergeKeyword(conflict: Conflict): unknown {
  const { name, values, a, b } = conflict;
  const [left, right] = values;
  if (typeof left === "number" && typeof right === "number") {
    if (LARGER.has(name)) return Math.max(left, right);
    if (SMALLER.has(name)) return Math.min(left, right);
  }
  switch (name) {
    case "properties":
      return mergeProperties(a, b);
    case "required":
      return [...new Set([...readTexts(a, name), ...readTexts(b, name)])];
    case "type":
      return mergeTypes(conflict);
    case "enum":
      return intersect(conflict);
    case "additionalProperties":
    case "items":
      return mergeInner(conflict);
    case "allOf":
      if (Array.isArray(left) && Array.isArray(right)) return [...left, ...right];
      break;
    case "title":
    case "description":
    case "default":
    case "examples":
    case "$defs":
    case "definitions":
    case "$schema":
    case "$id":
      return left;
  }
  throw new SchemaRefusal(below(a.at, name), `two different "${name}" can't be put together`);
}

function mergeProperties(a: Located, b: Located): SchemaObject {
  const [left, right] = [readNamed(a, "properties"), readNamed(b, "properties")];
  const merged: Record<string, unknown> = { ...left };
  for (const [name, value] of Object.entries(right)) {
    merged[name] = Object.hasOwn(left, name) ? { allOf: [left[name], value] } : value;
  }
  return merged;
}

/** `integer` is a `number`, so both together are `integer`. */
function mergeTypes({ values, a }: Conflict): unknown {
  const [left = [], right = []] = values.map((value): unknown[] =>
    Array.isArray(value) ? value : [value]
  );
  const allows = (types: unknown[], type: unknown) =>
    types.includes(type) || (type === "integer" && types.includes("number"));
  const both = [...new Set([...left, ...right])].filter((type) =>
    allows(left, type) && allows(right, type)
  );
  if (both.length === 0) throw new SchemaRefusal(below(a.at, "type"), "no type suits both parts");
  return both;
}

function intersect({ values, a }: Conflict): unknown {
  const [left, right] = values;
  if (Array.isArray(left) && Array.isArray(right)) {
    const known = new Set(right.map((value) => JSON.stringify(value)));
    const both = left.filter((value) => known.has(JSON.stringify(value)));
    if (both.length > 0) return both;
  }
  throw new SchemaRefusal(below(a.at, "enum"), "no value suits both parts");
}

function mergeInner({ name, values, a }: Conflict): unknown {
  const [left, right] = values;
  if (left === false || right === false) return false;
  if (left === true) return right;
  if (right === true) return left;
  if (isSchemaObject(left) && isSchemaObject(right)) return { allOf: [left, right] };
  throw new SchemaRefusal(below(a.at, name), `two different "${name}" can't be put together`);
}

/** A part that closes its object forbids the names that only the other part knows. */
function dropForbidden(merged: Record<string, unknown>, parts: readonly [Located, Located]): void {
  const properties = merged["properties"];
  if (!isSchemaObject(properties)) return;
  const kept = Object.entries(properties).filter(([name]) =>
    parts.every((part) =>
      part.schema["additionalProperties"] !== false ||
      Object.hasOwn(readNamed(part, "properties"), name)
    )
  );
  merged["properties"] = Object.fromEntries(kept);
}
