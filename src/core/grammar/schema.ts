import { SchemaRefusal } from "./refusal.ts";

/** A JSON Schema that isn't `true` or `false`. */
export type SchemaObject = Readonly<Record<string, unknown>>;
/** Any JSON Schema. */
export type Schema = boolean | SchemaObject;

/** A schema and where it stands, as a JSON pointer. */
export interface Located {
  readonly schema: SchemaObject;
  readonly at: string;
}

/** Keywords that don't restrict what is valid. */
const ANNOTATIONS = new Set([
  "$schema",
  "$id",
  "id",
  "$comment",
  "$anchor",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "example",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
  "contentEncoding",
  "contentMediaType",
  "contentSchema",
  "discriminator",
  "externalDocs",
  "xml",
  "strict",
  "name",
]);
/** Keywords that this folder understands; `nullable` is OpenAPI's. */
const UNDERSTOOD = new Set([
  ..."$ref type enum const nullable anyOf oneOf allOf".split(" "),
  ..."properties required additionalProperties minProperties maxProperties".split(" "),
  ..."items prefixItems additionalItems minItems maxItems uniqueItems".split(" "),
  ..."minLength maxLength pattern format".split(" "),
  ..."minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split(" "),
  ..."unevaluatedProperties unevaluatedItems".split(" "),
]);

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Refuses values that are no schema. `true` is the schema without keywords. */
export function locate(value: unknown, at: string): Located {
  if (value === true || value === undefined) return { schema: {}, at };
  if (value === false) throw new SchemaRefusal(at, "nothing is valid under `false`");
  if (!isSchemaObject(value)) throw new SchemaRefusal(at, "is not a schema");
  return { schema: value, at };
}

/** Characters of one name in a pointer that is shown, and of the whole. */
const SHOWN_NAME_CHARS_MAX = 64;
const SHOWN_CHARS_MAX = 1_000;

/** A pointer one step further down, to be shown: long names are cut, because each schema inside repeats them. */
export function below(at: string, ...keys: readonly (string | number)[]): string {
  if (at.length > SHOWN_CHARS_MAX) return at;
  const escaped = keys.map((key) => {
    const text = String(key);
    const shown = text.length > SHOWN_NAME_CHARS_MAX
      ? `${text.slice(0, SHOWN_NAME_CHARS_MAX)}...`
      : text;
    return shown.replaceAll("~", "~0").replaceAll("/", "~1");
  });
  return [at, ...escaped].join("/");
}

/** Keywords that say something, in the order of the schema. Refuses those that can't be put into a grammar. */
export function restrictions({ schema, at }: Located): string[] {
  const names = Object.keys(schema).filter((name) =>
    !ANNOTATIONS.has(name) && !name.startsWith("x-") && schema[name] !== undefined
  );
  for (const name of names) {
    if (!UNDERSTOOD.has(name)) {
      throw new SchemaRefusal(below(at, name), `"${name}" can't be put into a grammar`);
    }
  }
  return names;
}

/** A whole number >= 0, or undefined. */
function readCount({ schema, at }: Located, name: string): number | undefined {
  const value = schema[name];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new SchemaRefusal(below(at, name), "must be a whole number from 0 up");
}

/** Bounds from two keywords; `max` is Infinity without one. */
export function readRange(
  located: Located,
  names: { readonly min: string; readonly max: string },
): { readonly min: number; readonly max: number } {
  const min = readCount(located, names.min) ?? 0;
  const max = readCount(located, names.max) ?? Infinity;
  if (min > max) {
    throw new SchemaRefusal(below(located.at, names.min), `is more than ${names.max}`);
  }
  return { min, max };
}

/** A list of schemas, at least one. */
export function readSchemas({ schema, at }: Located, name: string): readonly unknown[] {
  const value = schema[name];
  if (!Array.isArray(value) || value.length === 0) {
    throw new SchemaRefusal(below(at, name), "must be a list of schemas that isn't empty");
  }
  return value;
}

/** A list of texts; [] without the keyword. */
export function readTexts({ schema, at }: Located, name: string): readonly string[] {
  const value = schema[name];
  if (value === undefined) return [];
  const isText = (item: unknown): item is string => typeof item === "string";
  if (Array.isArray(value) && value.every(isText)) return value;
  throw new SchemaRefusal(below(at, name), "must be a list of texts");
}

/** Schemas by name; {} without the keyword. */
export function readNamed({ schema, at }: Located, name: string): SchemaObject {
  const value = schema[name];
  if (value === undefined) return {};
  if (isSchemaObject(value)) return value;
  throw new SchemaRefusal(below(at, name), "must be an object");
}
