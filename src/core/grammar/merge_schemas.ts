import { SchemaRefusal } from "../gbnf/mod.ts";
import {
  below,
  isSchemaObject,
  isUnderstood,
  type Located,
  readNamed,
  readTexts,
  type SchemaObject,
} from "./schema.ts";

const LARGER = new Set("minimum exclusiveMinimum minLength minItems minProperties".split(" "));
const SMALLER = new Set("maximum exclusiveMaximum maxLength maxItems maxProperties".split(" "));
/** Characters that are compared for one step of the budget. */
const CHARS_PER_STEP = 64;

/** Keywords of which two different ones leave nothing valid. */
const EXCLUSIVE = new Set(["const"]);

/** Where merging keeps account. */
export interface Ledger {
  /** Counts work, and ends it. */
  readonly spend: (steps: number) => void;
  /** Notes what can't be followed. */
  ignore(at: string, why: string): void;
}

/**
 * One schema that is valid where all of `parts` are, as far as the keywords allow it: of two that can't be put together the
 * first holds, with a note. Takes time in proportion to the parts, each of which is looked at once.
 */
export function mergeSchemas(parts: readonly Located[], ledger: Ledger): Located {
  const merger = new SchemaMerger(parts[0]?.at ?? "#", ledger);
  for (const part of parts) merger.add(part);
  return { schema: merger.schema(), at: parts[0]?.at ?? "#" };
}

class SchemaMerger {
  readonly #at: string;
  readonly #ledger: Ledger;
  /** Keywords that aren't collected below. */
  readonly #merged: Record<string, unknown> = {};
  readonly #required = new Set<string>();
  /** Parts of parts, by their JSON text: twice the same says no more than once. */
  readonly #allOf = new Map<string, unknown>();
  /** Schemas of one name; all must hold. */
  readonly #properties = new Map<string, unknown[]>();
  /** Names that all parts know that close their object; undefined = none does. */
  #closed: ReadonlySet<string> | undefined;
  /** Values that all parts allow, by their JSON text; undefined = no part names any. */
  #values: ReadonlyMap<string, unknown> | undefined;
  /** Schemas of all items, or of all other members. */
  readonly #inner = new Map<string, unknown[]>();

  constructor(at: string, ledger: Ledger) {
    this.#at = at;
    this.#ledger = ledger;
  }

  add(part: Located): void {
    for (const [name, value] of Object.entries(part.schema)) {
      this.#ledger.spend(1);
      if (value !== undefined) this.#keyword(name, value, part);
    }
  }

  schema(): SchemaObject {
    const { items, additionalProperties } = Object.fromEntries(
      [...this.#inner].map(([name, values]) => [name, all(values)]),
    );
    const named = [...this.#properties]
      .filter(([name]) => this.#closed === undefined || this.#closed.has(name))
      .map(([name, schemas]) => [name, all(schemas)] as const);
    return {
      ...this.#merged,
      ...(this.#required.size > 0 && { required: [...this.#required] }),
      ...(this.#allOf.size > 0 && { allOf: [...this.#allOf.values()] }),
      ...(this.#properties.size > 0 && { properties: Object.fromEntries(named) }),
      ...(this.#values !== undefined && { enum: [...this.#values.values()] }),
      ...(items !== undefined && { items }),
      ...(additionalProperties !== undefined && { additionalProperties }),
    };
  }

  #keyword(name: string, value: unknown, part: Located): void {
    switch (name) {
      case "properties":
        return this.#addProperties(part);
      case "required":
        this.#ledger.spend(readTexts(part, name).length);
        for (const text of readTexts(part, name)) this.#required.add(text);
        return;
      case "allOf":
        if (Array.isArray(value)) {
          for (const inner of value) this.#allOf.set(this.#text(inner), inner);
          return;
        }
        break;
      case "enum":
        return this.#intersect(value);
      case "items":
      case "additionalProperties":
        if (name === "additionalProperties" && value === false) this.#close(part);
        if (typeof value === "boolean" || isSchemaObject(value)) {
          const values = this.#inner.get(name) ?? [];
          values.push(value);
          this.#inner.set(name, values);
          return;
        }
        break;
    }
    const present = this.#merged[name];
    this.#merged[name] = present === undefined ? value : this.#together(name, [present, value]);
  }

  #addProperties(part: Located): void {
    for (const [name, schema] of Object.entries(readNamed(part, "properties"))) {
      this.#ledger.spend(1);
      const schemas = this.#properties.get(name);
      if (schemas === undefined) this.#properties.set(name, [schema]);
      else schemas.push(schema);
    }
  }

  /** A part that closes its object forbids the names that only other parts know. */
  #close(part: Located): void {
    const names = Object.keys(readNamed(part, "properties"));
    const before = this.#closed;
    this.#closed = new Set(before === undefined ? names : names.filter((name) => before.has(name)));
  }

  #intersect(value: unknown): void {
    const at = below(this.#at, "enum");
    if (!Array.isArray(value)) throw new SchemaRefusal(at, "must be a list that isn't empty");
    const before = this.#values;
    const values = new Map(value.map((item) => [this.#text(item), item] as const));
    const both = before === undefined
      ? values
      : new Map([...values].filter(([text]) => before.has(text)));
    if (before !== undefined && both.size === 0) {
      throw new SchemaRefusal(at, "no value suits both parts");
    }
    this.#values = both;
  }

  #together(name: string, values: readonly [unknown, unknown]): unknown {
    const [left, right] = values;
    if (typeof left === "number" && typeof right === "number") {
      if (LARGER.has(name)) return Math.max(left, right);
      if (SMALLER.has(name)) return Math.min(left, right);
    }
    if (!isUnderstood(name)) return left;
    if (name === "type") return mergeTypes(left, right, this.#at);
    if (this.#text(left) === this.#text(right)) return left;
    const why = `two different "${name}" can't be put together`;
    if (EXCLUSIVE.has(name)) throw new SchemaRefusal(below(this.#at, name), why);
    this.#ledger.ignore(below(this.#at, name), why);
    return left;
  }

  #text(value: unknown): string {
    const text = JSON.stringify(value) ?? "";
    this.#ledger.spend(1 + Math.floor(text.length / CHARS_PER_STEP));
    return text;
  }
}

/** One schema for several that must all hold; `false` allows nothing whatever the others say. */
function all(schemas: readonly unknown[]): unknown {
  if (schemas.includes(false)) return false;
  const saying = schemas.filter((schema) => schema !== true);
  return saying.length > 1 ? { allOf: saying } : saying[0] ?? true;
}

/** `integer` is a `number`, so both together are `integer`. */
function mergeTypes(left: unknown, right: unknown, at: string): unknown {
  const [a, b] = [left, right].map((value) =>
    new Set<unknown>(Array.isArray(value) ? value : [value])
  );
  const allows = (types: ReadonlySet<unknown> | undefined, type: unknown) =>
    types?.has(type) || (type === "integer" && types?.has("number"));
  const both = [...new Set([...a ?? [], ...b ?? []])].filter((type) =>
    allows(a, type) && allows(b, type)
  );
  if (both.length === 0) throw new SchemaRefusal(below(at, "type"), "no type suits both parts");
  return both;
}
