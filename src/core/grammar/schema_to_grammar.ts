import { GrammarBuilder, SchemaRefusal, valueChoice } from "../gbnf/mod.ts";
import { arrayRule, type Inside } from "./array_rule.ts";
import { mergeSchemas } from "./merge_schemas.ts";
import { numberRule } from "./number_rule.ts";
import { objectRule } from "./object_rule.ts";
import {
  below,
  isSchemaObject,
  locate,
  type Located,
  readSchemas,
  restrictions,
  type Schema,
  unenforceable,
} from "./schema.ts";
import { stringRule } from "./string_rule.ts";

/** Schemas inside schemas at most. */
export const SCHEMA_DEPTH_MAX = 64;
/** Values of one `enum` at most. */
export const SCHEMA_ENUM_MAX = 8_000;

/** What a schema comes to. `reason` names the place as a JSON pointer and is fit to be shown. */
export type GrammarResult =
  | {
    readonly kind: "grammar";
    readonly gbnf: string;
    /** What the schema asks for and the grammar doesn't, each with its place; fit to be shown. */
    readonly ignored: readonly string[];
  }
  | { readonly kind: "refused"; readonly reason: string };

type TypeName = "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";
const TYPE_NAMES: readonly TypeName[] = [
  "object",
  "array",
  "string",
  "number",
  "integer",
  "boolean",
  "null",
];
/** Which type a keyword speaks of, for schemas that don't name one. */
const TYPE_OF_KEYWORD: ReadonlyMap<string, TypeName> = new Map([
  ...keywordsOf("object", "properties required additionalProperties minProperties maxProperties"),
  ...keywordsOf("object", "patternProperties propertyNames unevaluatedProperties"),
  ...keywordsOf("array", "items prefixItems minItems maxItems uniqueItems unevaluatedItems"),
  ...keywordsOf("string", "minLength maxLength pattern"),
  ...keywordsOf("number", "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"),
]);

/** Keywords that may stand beside `enum` and `const`. */
const BESIDE_VALUES = new Set(["type", "enum", "const", "format"]);

function keywordsOf(type: TypeName, names: string): [string, TypeName][] {
  return names.split(" ").map((name) => [name, type]);
}

/** The grammar for `format: "json"`: any JSON object. */
export function jsonGrammar(): string {
  const builder = new GrammarBuilder();
  return builder.text(builder.shared("object"));
}

/**
 * Turns a JSON Schema into a llama.cpp grammar whose rule is `root`. Every text of the grammar is valid under the schema, but
 * for what is told as ignored, and where more than one choice of a `oneOf` matches. Not every valid text is in the grammar:
 * members keep the schema's order, and members nobody named are left out. What leaves nothing valid, or is no schema, is
 * refused with its place.
 */
export function schemaToGrammar(schema: Schema): GrammarResult {
  try {
    const builder = new GrammarBuilder();
    const gbnf = builder.text(new SchemaRules(schema, builder).whole());
    return { kind: "grammar", gbnf, ignored: builder.ignored() };
  } catch (error) {
    if (error instanceof SchemaRefusal) return { kind: "refused", reason: error.message };
    throw error;
  }
}

/** Writes the rules of one schema among others. @throws SchemaRefusal */
export class SchemaRules {
  readonly #builder: GrammarBuilder;
  readonly #root: Schema;
  /** Rules of `$ref`s that stand alone, by pointer; reserved before they are defined, so that they may be recursive. */
  readonly #references = new Map<string, string>();
  /** References on the way from the last bracket to here: meeting one again would be left recursion. */
  #open: ReadonlySet<string> = new Set();
  /** For each reference those that its texts may begin with. */
  readonly #beginsWith = new Map<string, Set<string>>();
  #depth = 0;

  constructor(schema: Schema, builder: GrammarBuilder) {
    this.#root = schema;
    this.#builder = builder;
  }

  whole(): string {
    return this.#convert(this.#root, "#");
  }

  /** Of an object whose members are written one by one. */
  property(name: string): string {
    const { properties } = isSchemaObject(this.#root) ? this.#root : {};
    const schema = isSchemaObject(properties) && Object.hasOwn(properties, name)
      ? properties[name]
      : {};
    return this.#convertInside(schema, below("#", "properties", name));
  }

  #convert(schema: unknown, at: string): string {
    this.#builder.spend(1);
    if (++this.#depth > SCHEMA_DEPTH_MAX) {
      throw new SchemaRefusal(at, `lies deeper than ${SCHEMA_DEPTH_MAX} schemas`);
    }
    const text = this.#located(locate(schema, at));
    this.#depth--;
    return text;
  }

  /** What stands behind a bracket may refer to what is around it. */
  readonly #convertInside = (schema: unknown, at: string): string => {
    const outside = this.#open;
    this.#open = new Set();
    const text = this.#convert(schema, at);
    this.#open = outside;
    return text;
  };

  readonly #inside: Inside = {
    convert: (schema, at) => this.#convertInside(schema, at),
    valuesOf: (schema, at) => this.#valuesOf(schema, at),
  };

  /** The values of a schema that names them all, also behind references and choices. */
  #valuesOf(schema: unknown, at: string, depth = 0): readonly unknown[] | undefined {
    this.#builder.spend(1);
    if (!isSchemaObject(schema) || depth > SCHEMA_DEPTH_MAX) return undefined;
    const { $ref, type, anyOf } = schema;
    const names = restrictions({ schema, at });
    const isOnly = (...known: readonly string[]) => names.every((name) => known.includes(name));
    if (typeof $ref === "string" && $ref.startsWith("#") && isOnly("$ref")) {
      return this.#valuesOf(this.#find($ref, at), $ref, depth + 1);
    }
    if (Array.isArray(anyOf) && isOnly("anyOf")) {
      const parts = anyOf.map((part) => this.#valuesOf(part, at, depth + 1));
      return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
    }
    const types = type === undefined ? TYPE_NAMES : this.#types({ schema, at });
    const fitting = (values: readonly unknown[]) =>
      values.filter((value) => types.some((name) => isOfType(value, name)));
    if (Object.hasOwn(schema, "const") && isOnly("type", "const")) {
      return fitting([schema["const"]]);
    }
    if (Array.isArray(schema["enum"]) && isOnly("type", "enum")) return fitting(schema["enum"]);
    return type === "boolean" && isOnly("type") ? [true, false] : undefined;
  }

  #located(located: Located): string {
    const { schema, at } = located;
    const keywords = restrictions(located);
    for (const name of unenforceable(located)) {
      this.#builder.ignore(below(at, name), "can't be followed by a grammar");
    }
    if (keywords.length === 0) return this.#builder.shared("value");
    const { nullable, ...rest } = schema;
    if (nullable !== undefined) {
      const text = this.#convert(rest, at);
      const isAsked = nullable === true;
      return isAsked ? this.#builder.choice([text, this.#builder.shared("null")]) : text;
    }
    if (schema["$ref"] !== undefined) return this.#reference(located, keywords.length > 1);
    if (schema["allOf"] !== undefined) return this.#merged(located);
    if (schema["anyOf"] !== undefined) return this.#alternatives(located, "anyOf");
    if (schema["oneOf"] !== undefined) return this.#alternatives(located, "oneOf");
    if (Object.hasOwn(schema, "const")) return this.#values(located, [schema["const"]]);
    if (schema["enum"] !== undefined) return this.#enumeration(located);
    return this.#builder.choice(this.#types(located).map((type) => this.#typed(located, type)));
  }

  #reference(located: Located, hasMore: boolean): string {
    const { schema, at } = located;
    const pointer = this.#pointer(located);
    if (hasMore) {
      const { $ref: _dropped, ...beside } = schema;
      return this.#opened([pointer], () => {
        const target = locate(this.#find(pointer, at), pointer);
        return this.#convertMerged([target, { schema: beside, at }], at);
      });
    }
    return this.#once(pointer, () => this.#convert(this.#find(pointer, at), pointer));
  }

  /** The rule that `convert` writes, written once however often `key` is met, and inside itself, too. */
  #once(key: string, convert: () => string): string {
    const known = this.#references.get(key);
    if (known !== undefined) return known;
    const name = this.#builder.reserve("ref");
    this.#references.set(key, name);
    this.#builder.define(name, this.#opened([key], convert));
    return name;
  }

  /**
   * What several schemas come to that must all hold. The same schemas may be met again and again behind references, twice
   * as often with each level: they are converted once.
   */
  #convertMerged(parts: readonly Located[], at: string): string {
    const { schema } = mergeSchemas(parts, this.#builder);
    const text = JSON.stringify(schema);
    this.#builder.spend(Math.floor(text.length / 64));
    const key = `= ${text}`;
    this.#enter(key, at);
    return this.#once(key, () => this.#convert(schema, at));
  }

  /** The `$ref`, if nothing but references stands between it and itself. */
  #pointer({ schema, at }: Located): string {
    const pointer = schema["$ref"];
    const place = below(at, "$ref");
    if (typeof pointer !== "string" || !/^#(\/|$)/.test(pointer)) {
      throw new SchemaRefusal(place, "only references into the schema itself are known");
    }
    this.#enter(pointer, place);
    return pointer;
  }

  /** Notes that a text of what is open may begin with one of `key`. */
  #enter(key: string, place: string): void {
    const from = [...this.#open].at(-1);
    if (from !== undefined) {
      const reached = this.#beginsWith.get(from) ?? new Set();
      this.#beginsWith.set(from, reached.add(key));
    }
    if (this.#open.has(key) || this.#leadsBack(key, from)) {
      throw new SchemaRefusal(place, "refers to itself with nothing in between");
    }
  }

  /** True when a text of `pointer` may begin with one of `target`: llama.cpp refuses such a circle. */
  #leadsBack(pointer: string, target: string | undefined): boolean {
    if (target === undefined) return false;
    const seen = new Set<string>();
    const next = [pointer];
    for (let reached = next.pop(); reached !== undefined; reached = next.pop()) {
      if (reached === target) return true;
      if (seen.has(reached)) continue;
      this.#builder.spend(1);
      seen.add(reached);
      next.push(...this.#beginsWith.get(reached) ?? []);
    }
    return false;
  }

  #opened(pointers: readonly string[], convert: () => string): string {
    const outside = this.#open;
    this.#open = new Set([...outside, ...pointers]);
    const text = convert();
    this.#open = outside;
    return text;
  }

  #find(pointer: string, at: string): unknown {
    let found: unknown = this.#root;
    this.#builder.spend(Math.floor(pointer.length / 64));
    for (const part of pointer.split("/").slice(1)) {
      const key = decodePointer(part);
      const inner: unknown = Array.isArray(found)
        ? found[Number(key)]
        : isSchemaObject(found) && Object.hasOwn(found, key)
        ? found[key]
        : undefined;
      if (inner === undefined) {
        throw new SchemaRefusal(below(at, "$ref"), `"${pointer}" is not there`);
      }
      found = inner;
    }
    return found;
  }

  #merged(located: Located): string {
    const { allOf: _dropped, ...beside } = located.schema;
    const parts: Located[] = [{ schema: beside, at: located.at }];
    const passed: string[] = [];
    readSchemas(located, "allOf").forEach((part, index) => {
      this.#builder.spend(1);
      const inner = this.#resolved(locate(part, below(located.at, "allOf", index)));
      passed.push(...inner.passed);
      parts.push(inner.found);
    });
    return this.#opened(passed, () => this.#convertMerged(parts, located.at));
  }

  /** A part with its own reference put in its place, and the references passed on the way. */
  #resolved(located: Located): { found: Located; passed: readonly string[] } {
    let found = located;
    const passed: string[] = [];
    while (found.schema["$ref"] !== undefined) {
      const pointer = this.#pointer(found);
      if (passed.includes(pointer)) {
        throw new SchemaRefusal(
          below(found.at, "$ref"),
          "refers to itself with nothing in between",
        );
      }
      passed.push(pointer);
      const { $ref: _dropped, ...beside } = found.schema;
      const target = locate(this.#find(pointer, found.at), pointer);
      found = mergeSchemas([target, { schema: beside, at: found.at }], this.#builder);
    }
    return { found, passed };
  }

  /** Keywords beside the choice hold for each of its parts. */
  #alternatives(located: Located, name: "anyOf" | "oneOf"): string {
    const { [name]: _dropped, ...beside } = located.schema;
    const common = { schema: beside, at: located.at };
    const isFree = restrictions(common).length === 0;
    const choices = readSchemas(located, name).map((part, index) => {
      const at = below(located.at, name, index);
      if (isFree) return this.#convert(part, at);
      const { found, passed } = this.#resolved(locate(part, at));
      return this.#opened(passed, () => this.#convertMerged([common, found], at));
    });
    return this.#builder.choice(choices);
  }

  #enumeration(located: Located): string {
    const values = located.schema["enum"];
    const at = below(located.at, "enum");
    if (!Array.isArray(values) || values.length === 0) {
      throw new SchemaRefusal(at, "must be a list that isn't empty");
    }
    if (values.length > SCHEMA_ENUM_MAX) {
      throw new SchemaRefusal(at, `holds more than ${SCHEMA_ENUM_MAX} values`);
    }
    return this.#values(located, values);
  }

  #values(located: Located, values: readonly unknown[]): string {
    for (const name of restrictions(located)) {
      if (BESIDE_VALUES.has(name)) continue;
      this.#builder.ignore(below(located.at, name), "isn't looked at beside given values");
    }
    const types = located.schema["type"] === undefined ? TYPE_NAMES : this.#types(located);
    const fitting = values.filter((value) => types.some((type) => isOfType(value, type)));
    if (fitting.length === 0) throw new SchemaRefusal(located.at, "no value is of the type");
    const texts = fitting.map((value) => JSON.stringify(value));
    return this.#builder.rule("one-of", valueChoice(this.#builder, texts));
  }

  #types({ schema, at }: Located): readonly TypeName[] {
    const written = schema["type"];
    if (written === undefined) {
      const meant = new Set<TypeName>();
      for (const name of Object.keys(schema)) {
        const type = TYPE_OF_KEYWORD.get(name) ??
          (name === "format" ? "string" as const : undefined);
        if (type !== undefined) meant.add(type);
      }
      // What is said of some types leaves the others as they are; whoever says it means these.
      return meant.size > 0 ? [...meant] : TYPE_NAMES.filter((type) => type !== "integer");
    }
    const names: unknown[] = Array.isArray(written) ? written : [written];
    const known = TYPE_NAMES.filter((type) => names.includes(type));
    if (known.length === 0 || known.length < new Set(names).size) {
      throw new SchemaRefusal(below(at, "type"), `unknown type ${JSON.stringify(written)}`);
    }
    // Every integer is a number, so one of the two is enough.
    return known.includes("number") ? known.filter((type) => type !== "integer") : known;
  }

  #typed(located: Located, type: TypeName): string {
    switch (type) {
      case "object":
        return isPlain(located, type)
          ? this.#builder.shared("object")
          : objectRule(this.#builder, { located, inside: this.#inside });
      case "array":
        return isPlain(located, type)
          ? this.#builder.shared("array")
          : arrayRule(this.#builder, { located, inside: this.#inside });
      case "string":
        return stringRule(this.#builder, located);
      case "number":
      case "integer":
        return numberRule(this.#builder, { located, type });
      default:
        return this.#builder.shared(type);
    }
  }
}

/** True when no keyword says more about the type. */
function isPlain({ schema }: Located, type: TypeName): boolean {
  return !Object.keys(schema).some((name) => TYPE_OF_KEYWORD.get(name) === type);
}

function isOfType(value: unknown, type: TypeName): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return isSchemaObject(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return kindOf(value) === type;
  }
}

function kindOf(value: unknown): string {
  return typeof value;
}

function decodePointer(part: string): string {
  const plain = part.replace(/%[0-9A-Fa-f]{2}/g, (code) => {
    const point = parseInt(code.slice(1), 16);
    return point < 0x80 ? String.fromCharCode(point) : code;
  });
  return plain.replaceAll("~1", "/").replaceAll("~0", "~");
}
