import { Environment } from "@huggingface/jinja";

/** A value of the library, which doesn't export their classes. */
export interface Value {
  readonly type: string;
  // deno-lint-ignore no-explicit-any -- Differs by `type`, and the library has no union of them in its face.
  readonly value: any;
}

/** What a filter is given besides what it is applied to. */
export interface FilterCall {
  readonly args: () => readonly Value[];
  readonly apply: (name: string, value: Value) => Value;
  readonly hasKeywords: boolean;
}

type Make = new (value: unknown) => Value;

/** The library's class for values like this one. */
function classOf(plain: unknown): Make {
  return new Environment().set("of", plain).constructor as unknown as Make;
}

const TEXT = classOf("");
const LIST = classOf([]);
const MAP = classOf({});
const TRUTH = classOf(true);
const INTEGER = classOf(1);
const FLOAT = classOf(0.5);
const NULL = classOf(null);
const UNDEFINED = classOf(undefined);

/** A value of the library from a plain one; values inside lists stay as they are. What has no such value is none. */
export function valueOf(plain: unknown): Value {
  switch (typeof plain) {
    case "string":
      return new TEXT(plain);
    case "boolean":
      return new TRUTH(plain);
    case "number":
      return Number.isInteger(plain) ? new INTEGER(plain) : new FLOAT(plain);
    case "undefined":
      return new UNDEFINED(undefined);
  }
  if (!Array.isArray(plain)) return new NULL(null);
  return new LIST(plain.map((item) => isValue(item) ? item : valueOf(item)));
}

/** A map of the library, empty. */
function emptyMap(): Value {
  return new MAP(new Map());
}

/** Keys that are no texts, of maps that a template wrote. */
const OTHER_KEYS = new WeakMap<object, ReadonlyMap<string, Value>>();

/** A map with keys of any kind. */
export function objectOf(entries: readonly (readonly [Value, Value])[]): Value {
  const made = emptyMap();
  const others = new Map<string, Value>();
  for (const [key, value] of entries) {
    const text = textOf(key);
    made.value.set(text, value);
    if (!isText(key)) others.set(text, key);
  }
  if (others.size > 0) OTHER_KEYS.set(made.value, others);
  return made;
}

/** Entries of a map, with the keys as they were written. */
export function keysOf(of: Value): readonly (readonly [Value, Value])[] {
  const others = OTHER_KEYS.get(of.value);
  return [...of.value].map(([key, value]) => [others?.get(key) ?? valueOf(key), value]);
}

function isValue(item: unknown): item is Value {
  return typeof item === "object" && item !== null && "type" in item && "value" in item &&
    "__bool__" in item;
}

/** What is printed for a value: nothing for what isn't there. */
export function textOf(of: Value): string {
  if (of.type === "StringValue") return of.value;
  if (of.type === "NullValue" || of.type === "UndefinedValue") return "";
  return of.toString();
}

const isList = (of: Value): boolean => Array.isArray(of.value);
const isText = (of: Value): boolean => of.type === "StringValue";
const isMissing = (of: Value): boolean => of.type === "UndefinedValue" || of.type === "NullValue";

/** Filters that the library has for texts alone. */
const TEXT_FILTERS = ["upper", "lower", "title", "capitalize", "trim", "indent", "replace"];

/** A filter that the library lacks, for this operand; undefined = it has it. */
export function extraFilter(name: string, operand: Value, call: FilterCall): Value | undefined {
  if (TEXT_FILTERS.includes(name) && !isText(operand) && call.args().length === 0) {
    return call.apply(name, valueOf(textOf(operand)));
  }
  return FILTERS[name]?.(operand, call);
}

type Filter = (operand: Value, call: FilterCall) => Value | undefined;

const FILTERS: Readonly<Record<string, Filter>> = {
  string: (of) => of.type === "NullValue" ? valueOf("None") : isText(of) ? undefined : printed(of),
  default: (of, call) =>
    call.args().length > 0 || call.hasKeywords
      ? undefined
      : of.type === "UndefinedValue"
      ? valueOf("")
      : of,
  d: (of, call) => of.type === "UndefinedValue" ? call.args()[0] ?? valueOf("") : of,
  length: lengthOf,
  count: lengthOf,
  min: (of) => extreme(of, (a, b) => a < b),
  max: (of) => extreme(of, (a, b) => a > b),
  sum: (of) => isList(of) ? valueOf(numbers(of).reduce((sum, item) => sum + item, 0)) : undefined,
  list: (of) => isList(of) ? undefined : valueOf(itemsOf(of)),
  items: (of) => isMissing(of) ? valueOf([]) : hasOtherKeys(of) ? pairsOf(of) : undefined,
  dictsort: (of) => hasOtherKeys(of) ? sortedPairs(of) : undefined,
  first: (of) => endOf(of, 0),
  last: (of) => endOf(of, -1),
  reverse: (of) => isText(of) ? valueOf([...of.value].reverse().join("")) : undefined,
  join: (of, call) => joined(of, call),
  map: (of, call) => mapped(of, call),
  escape: (of) => of,
  e: (of) => of,
  forceescape: (of) => of,
  round: (of) => typeof of.value === "number" ? valueOf(Math.round(of.value)) : undefined,
  bool: (of) => of.type === "BooleanValue" ? undefined : valueOf(Boolean(of.value)),
};

function hasOtherKeys(of: Value): boolean {
  return of.value instanceof Map && OTHER_KEYS.has(of.value);
}

function pairsOf(of: Value): Value {
  return valueOf(keysOf(of).map((pair) => valueOf([...pair])));
}

function sortedPairs(of: Value): Value {
  const sorted = [...keysOf(of)].sort(([a], [b]) => a.value < b.value ? -1 : 1);
  return valueOf(sorted.map((pair) => valueOf([...pair])));
}

function printed(of: Value): Value {
  return valueOf(textOf(of));
}

function lengthOf(of: Value): Value | undefined {
  if (of.type === "UndefinedValue") return valueOf(0);
  return isList(of) || isText(of) ? valueOf(of.value.length) : undefined;
}

function itemsOf(of: Value): readonly unknown[] {
  if (isText(of)) return [...of.value];
  return of.value instanceof Map ? [...of.value.keys()] : [];
}

function numbers(of: Value): readonly number[] {
  return of.value.map((item: Value) => Number(item.value));
}

function extreme(of: Value, isBetter: (a: number, b: number) => boolean): Value | undefined {
  if (!isList(of)) return undefined;
  return of.value.reduce(
    (best: Value | undefined, item: Value) =>
      best === undefined || isBetter(item.value, best.value) ? item : best,
    undefined,
  ) ?? valueOf("");
}

/** The library answers an empty list with nothing at all. */
function endOf(of: Value, at: number): Value | undefined {
  if (isMissing(of)) return valueOf("");
  if (isText(of)) return valueOf([...of.value].at(at) ?? "");
  if (of.value instanceof Map) return valueOf([...of.value.keys()].at(at) ?? "");
  return isList(of) && of.value.length === 0 ? valueOf("") : undefined;
}

function joined(of: Value, { args }: FilterCall): Value | undefined {
  if (isMissing(of)) return valueOf("");
  const separator = args()[0];
  if (!isList(of)) return undefined;
  return valueOf(of.value.map(textOf).join(separator === undefined ? "" : textOf(separator)));
}

/** `map("upper")`: a filter over each item. */
function mapped(of: Value, { args, apply, hasKeywords }: FilterCall): Value | undefined {
  const filter = hasKeywords ? undefined : args()[0];
  if (filter === undefined || !isText(filter) || !isList(of)) return undefined;
  return valueOf(of.value.map((item: Value) => apply(filter.value, item)));
}

type Method = (of: Value, args: readonly Value[]) => Value | undefined;

/** A method of Python that the library lacks; undefined = it has it, or nobody does. */
export function extraMethod(
  name: string,
  of: Value,
  args: () => readonly Value[],
): Value | undefined {
  const kind = isText(of)
    ? TEXT_METHODS
    : isList(of)
    ? LIST_METHODS
    : of.type === "UndefinedValue" || of.type === "NullValue"
    ? NOTHING_METHODS
    : MAP_METHODS;
  return Object.hasOwn(kind, name) ? kind[name]?.(of, args()) : undefined;
}

const text = (args: readonly Value[], at = 0): string => {
  const arg = args[at];
  return arg === undefined ? "" : textOf(arg);
};

const TEXT_METHODS: Readonly<Record<string, Method>> = {
  strip: (of, args) => stripped(of, args, "both"),
  lstrip: (of, args) => stripped(of, args, "start"),
  rstrip: (of, args) => stripped(of, args, "end"),
  find: (of, args) => valueOf(of.value.indexOf(text(args))),
  index: (of, args) => valueOf(of.value.indexOf(text(args))),
  count: (of, args) => valueOf(text(args) === "" ? 0 : of.value.split(text(args)).length - 1),
  join: (of, args) => args[0] && isList(args[0]) ? joinedBy(of, args[0]) : undefined,
  removeprefix: (of, args) =>
    valueOf(of.value.startsWith(text(args)) ? of.value.slice(text(args).length) : of.value),
  removesuffix: (of, args) => valueOf(withoutSuffix(of.value, text(args))),
  splitlines: (of) => valueOf(of.value.split(/\r\n|\n|\r/)),
  isdigit: (of) => valueOf(/^\d+$/.test(of.value)),
  isalnum: (of) => valueOf(/^[\p{L}\p{N}]+$/u.test(of.value)),
  isspace: (of) => valueOf(/^\s+$/.test(of.value)),
};

const LIST_METHODS: Readonly<Record<string, Method>> = {
  append: (of, [item]) => {
    if (item !== undefined) of.value.push(item);
    return valueOf("");
  },
  extend: (of, [items]) => {
    if (items !== undefined && isList(items)) of.value.push(...items.value);
    return valueOf("");
  },
  pop: (of, [at]) => of.value.splice(at === undefined ? -1 : at.value, 1)[0],
  index: (of, [item]) => valueOf(of.value.findIndex((each: Value) => each.value === item?.value)),
  count: (of, [item]) =>
    valueOf(of.value.filter((each: Value) => each.value === item?.value).length),
};

const MAP_METHODS: Readonly<Record<string, Method>> = {
  items: (of) => hasOtherKeys(of) ? pairsOf(of) : undefined,
  update: (of, [more]) => {
    if (of.value instanceof Map && more?.value instanceof Map) {
      for (const [key, value] of more.value) of.value.set(key, value);
    }
    return valueOf("");
  },
};

/** What a template asks of a value that isn't there has nothing in it. */
const NOTHING_METHODS: Readonly<Record<string, Method>> = {
  items: () => valueOf([]),
  keys: () => valueOf([]),
  values: () => valueOf([]),
  get: (_of, args) => args[1] ?? valueOf(null),
  ...Object.fromEntries(
    ["strip", "lstrip", "rstrip", "upper", "lower", "title", "capitalize", "replace"].map((
      name,
    ) => [
      name,
      () => valueOf(""),
    ]),
  ),
  split: () => valueOf([]),
  startswith: () => valueOf(false),
  endswith: () => valueOf(false),
};

/** With characters to strip; the library strips white space alone. */
function stripped(of: Value, args: readonly Value[], side: "both" | "start" | "end"):
  | Value
  | undefined {
  if (args[0] === undefined || !isText(args[0])) return undefined;
  const drop = new Set(args[0].value);
  const characters: string[] = [...of.value];
  let from = 0;
  let to = characters.length;
  while (side !== "end" && from < to && drop.has(characters[from] ?? "")) from++;
  while (side !== "start" && to > from && drop.has(characters[to - 1] ?? "")) to--;
  return valueOf(characters.slice(from, to).join(""));
}

function joinedBy(of: Value, list: Value): Value {
  return valueOf(list.value.map(textOf).join(of.value));
}

function withoutSuffix(of: string, suffix: string): string {
  return suffix !== "" && of.endsWith(suffix) ? of.slice(0, of.length - suffix.length) : of;
}
