import { goSprint, goSprintf } from "./printf.ts";
import {
  goElements,
  GoFloat,
  goJson,
  GoMap,
  GoStruct,
  goText,
  goTruth,
  goTypeName,
  type GoValue,
} from "./value.ts";

/** A function's complaint about its arguments; the executor adds the place. */
export class GoCallError extends Error {}

/** The day that `currentDate` prints, and the one before it, as `YYYY-MM-DD`. */
export interface GoDates {
  readonly today: string;
  readonly yesterday: string;
}

type GoFunction = (values: readonly GoValue[], dates: GoDates) => GoValue;

/** Evaluated by the executor itself: they don't evaluate all their arguments, or name them. */
const LAZY = ["and", "or", "call"];

/** Go's own functions and those of contract section 3. */
const FUNCTIONS: Readonly<Record<string, GoFunction>> = {
  not: (values) => !goTruth(one("not", values)),
  eq: (values) => {
    const [first, ...others] = values;
    if (others.length === 0) throw new GoCallError("missing argument for comparison");
    return others.some((other) => equal(first, other));
  },
  ne: (values) => !equal(...two("ne", values)),
  lt: (values) => order(...two("lt", values)) < 0,
  le: (values) => order(...two("le", values)) <= 0,
  gt: (values) => order(...two("gt", values)) > 0,
  ge: (values) => order(...two("ge", values)) >= 0,
  len: (values) => lengthOf(one("len", values)),
  index: (values) => index(values),
  slice: (values) => slice(values),
  print: goSprint,
  println: (values) => values.map(goText).join(" ") + "\n",
  printf: (values) => {
    const [format, ...rest] = values;
    if (typeof format !== "string") throw new GoCallError("printf needs a format text");
    return goSprintf(format, rest);
  },
  html: (values) => goSprint(values).replace(/[\0"'&<>]/g, (character) => HTML[character] ?? ""),
  js: (values) => goSprint(values).replace(/[\\'"<>&=\p{Cc}]/gu, escapeJs),
  urlquery: (values) =>
    encodeURIComponent(goSprint(values).toWellFormed()).replace(/%20/g, "+")
      .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`),
  json: (values) => goJson(one("json", values)),
  currentDate: (_values, dates) => dates.today,
  yesterdayDate: (_values, dates) => dates.yesterday,
  toTypeScriptType: (values) => typeScriptType(one("toTypeScriptType", values)),
};

/** Every name a template may call. */
export const GO_FUNCTION_NAMES: ReadonlySet<string> = new Set([...LAZY, ...Object.keys(FUNCTIONS)]);

/** Calls a function that evaluates all its arguments. @throws GoCallError */
export function callGoFunction(
  name: string,
  options: { readonly values: readonly GoValue[]; readonly dates: GoDates },
): GoValue {
  const found = FUNCTIONS[name];
  if (found === undefined) {
    throw new GoCallError(`${JSON.stringify(name)} is not a defined function`);
  }
  return found(options.values, options.dates);
}

const HTML: Readonly<Record<string, string>> = {
  "\0": "\ufffd",
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
};

function escapeJs(character: string): string {
  if (character === "\\" || character === "'" || character === '"') return `\\${character}`;
  return `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function one(name: string, values: readonly GoValue[]): GoValue {
  if (values.length !== 1) {
    throw new GoCallError(`wrong number of args for ${name}: want 1 got ${values.length}`);
  }
  return values[0];
}

function two(name: string, values: readonly GoValue[]): [GoValue, GoValue] {
  if (values.length !== 2) {
    throw new GoCallError(`wrong number of args for ${name}: want 2 got ${values.length}`);
  }
  return [values[0], values[1]];
}

/** What may be compared: a plain value, nil, or nothing. */
function comparable(
  value: GoValue,
): { type: string; plain: string | number | boolean } | undefined {
  if (value instanceof GoFloat) return { type: "float64", plain: value.value };
  if (typeof value === "boolean" || typeof value === "number" || typeof value === "string") {
    return { type: goTypeName(value), plain: value };
  }
  return undefined;
}

function equal(a: GoValue, b: GoValue): boolean {
  if (a === undefined || b === undefined) return a === b;
  const [left, right] = [comparable(a), comparable(b)];
  if (left === undefined || right === undefined) {
    throw new GoCallError(`non-comparable types ${goTypeName(a)} and ${goTypeName(b)}`);
  }
  if (left.type !== right.type) throw incompatible(left.type, right.type);
  return left.plain === right.plain;
}

function order(a: GoValue, b: GoValue): number {
  const [left, right] = [comparable(a), comparable(b)];
  if (left === undefined || right === undefined) {
    throw new GoCallError("invalid type for comparison");
  }
  if (left.type !== right.type) throw incompatible(left.type, right.type);
  if (left.type === "bool") throw new GoCallError("invalid type for comparison");
  return left.plain < right.plain ? -1 : left.plain > right.plain ? 1 : 0;
}

function incompatible(left: string, right: string): GoCallError {
  return new GoCallError(`incompatible types for comparison: ${left} and ${right}`);
}

/** Bytes for text, as Go counts. */
function lengthOf(value: GoValue): number {
  if (typeof value === "string") return new TextEncoder().encode(value).length;
  if (value instanceof GoMap) return value.entries.size;
  const items = goElements(value);
  if (items === undefined) {
    throw new GoCallError(
      value === undefined ? "len of nil pointer" : `len of type ${goTypeName(value)}`,
    );
  }
  return items.length;
}

function index(values: readonly GoValue[]): GoValue {
  const [first, ...keys] = values;
  let value = first;
  for (const key of keys) value = indexOne(value, key);
  return value;
}

function indexOne(value: GoValue, key: GoValue): GoValue {
  if (value === undefined) throw new GoCallError("index of untyped nil");
  if (value instanceof GoMap) {
    if (typeof key !== "string") {
      throw new GoCallError(`value has type ${goTypeName(key)}; should be string`);
    }
    return value.entries.get(key);
  }
  const items = typeof value === "string"
    ? [...new TextEncoder().encode(value)]
    : goElements(value);
  if (items === undefined) throw new GoCallError(`can't index item of type ${goTypeName(value)}`);
  if (typeof key !== "number") {
    throw new GoCallError(`cannot index slice/array with type ${goTypeName(key)}`);
  }
  if (key < 0 || key >= items.length) throw new GoCallError(`index out of range: ${key}`);
  return items[key];
}

function slice(values: readonly GoValue[]): GoValue {
  const [value, ...bounds] = values;
  if (value === undefined) throw new GoCallError("slice of untyped nil");
  const items = typeof value === "string" ? new TextEncoder().encode(value) : goElements(value);
  if (items === undefined) throw new GoCallError(`can't slice item of type ${goTypeName(value)}`);
  if (bounds.length > 3) throw new GoCallError(`too many slice indexes: ${bounds.length}`);
  const [start = 0, end = items.length] = bounds;
  for (const bound of [...bounds, start, end]) {
    if (typeof bound !== "number") {
      throw new GoCallError(`cannot index slice/array with type ${goTypeName(bound)}`);
    }
    if (bound < 0 || bound > items.length) throw new GoCallError(`index out of range: ${bound}`);
  }
  if (start > end) throw new GoCallError(`invalid slice index: ${start} > ${end}`);
  const part = items.slice(Number(start), Number(end));
  return part instanceof Uint8Array ? new TextDecoder().decode(part) : part;
}

const TYPE_SCRIPT = new Map(Object.entries({
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  array: "any[]",
  object: "Record<string, any>",
  null: "null",
}));

/** A tool property's type in TypeScript's words; `any` for anything else. */
function typeScriptType(value: GoValue): string {
  if (!(value instanceof GoStruct)) return "any";
  const alternatives = goElements(value.field("AnyOf")) ?? [];
  if (alternatives.length > 0) return alternatives.map(typeScriptType).join(" | ");
  const type = value.field("Type");
  const names = goElements(type) ?? [];
  if (names.length === 0) return "any";
  return names.map((name) => TYPE_SCRIPT.get(String(name)) ?? "any").join(" | ");
}
