import { SchemaRefusal } from "../gbnf/mod.ts";

/** A JSON Schema that isn't `true` or `false`. */
export type SchemaObject = Readonly<Record<string, unknown>>;
/** Any JSON Schema. */
export type Schema = boolean | SchemaObject;

/** A schema and where it stands, as a JSON pointer. */
export interface Located {
  readonly schema: SchemaObject;
  readonly at: string;
}

/** Keywords that restrict what is valid, in ways that no grammar can follow. */
const UNENFORCEABLE = new Set([
  ..."not if then else contains minContains maxContains".split(" "),
  ..."dependencies dependentRequired dependentSchemas $dynamicRef $recursiveRef".split(" "),
]);
/** Keywords that this folder understands; `nullable` is OpenAPI's. */
const UNDERSTOOD = new Set([
  ..."$ref type enum const nullable anyOf oneOf allOf".split(" "),
  ..."properties required additionalProperties minProperties maxProperties".split(" "),
  ..."patternProperties propertyNames".split(" "),
  ..."items prefixItems additionalItems minItems maxItems uniqueItems".split(" "),
  ..."minLength maxLength pattern format".split(" "),
  ..."minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split(" "),
  ..."unevaluatedProperties unevaluatedItems".split(" "),
]);

/** Whether a keyword says something that a grammar follows. */
export function isUnderstood(name: string): boolean {
  return UNDERSTOOD.has(name);
}

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for the schemas that forbid everything. */
export function isNever(value: unknown): boolean {
  if (!isSchemaObject(value)) return value === false;
  const { not } = value;
  return not === true || (isSchemaObject(not) && Object.keys(not).length === 0);
}

/** Refuses values that are no schema. `true` is the schema without keywords. */
export function locate(value: unknown, at: string): Located {
  if (value === true || value === undefined) return { schema: {}, at };
  if (isNever(value)) throw new SchemaRefusal(at, "nothing is valid under `false`");
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

/** Keywords that a grammar follows, in the order of the schema. Those that nobody knows are annotations (JSON Schema core 6.5). */
export function restrictions({ schema }: Located): string[] {
  return Object.keys(schema).filter((name) =>
    UNDERSTOOD.has(name) && schema[name] !== undefined &&
    !(name === "allOf" && isEmptyList(schema[name]))
  );
}

/** Keywords that ask for what no grammar can follow. */
export function unenforceable({ schema }: Located): string[] {
  return Object.keys(schema).filter((name) => UNENFORCEABLE.has(name));
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
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
