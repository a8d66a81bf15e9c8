/** A Go float64: JavaScript numbers stand for Go's integers, because Go prints and compares the two differently. */
export class GoFloat {
  constructor(readonly value: number) {}
}

/** A Go map with string keys. It is walked and printed in sorted order, as Go does. */
export class GoMap {
  constructor(
    readonly entries: ReadonlyMap<string, GoValue>,
    /** Prints itself as JSON instead of `map[…]`. */
    readonly options: { readonly printsJson: boolean } = { printsJson: false },
  ) {}

  sorted(): [string, GoValue][] {
    return [...this.entries].sort(([a], [b]) => a < b ? -1 : 1);
  }
}

/** A Go struct: named fields in order, their JSON keys, and whether it prints itself as JSON. */
export class GoStruct {
  readonly #fields: ReadonlyMap<string, GoField>;

  constructor(
    fields: Readonly<Record<string, GoField>>,
    readonly options: { readonly printsJson: boolean } = { printsJson: false },
  ) {
    this.#fields = new Map(Object.entries(fields));
  }

  /** Nil for a field that isn't there: templates are written for many servers. */
  field(name: string): GoValue {
    return this.#fields.get(name)?.value;
  }

  fields(): IterableIterator<GoField> {
    return this.#fields.values();
  }
}

/** A struct's field. `json` "" = not part of the JSON; `omitsEmpty` = left out when it is a zero value. */
export interface GoField {
  readonly value: GoValue;
  readonly json: string;
  readonly omitsEmpty?: boolean;
}

/** A list that prints itself in its own way; plain arrays print as Go slices do. */
export class GoList {
  constructor(
    readonly items: readonly GoValue[],
    /** `json`: as JSON. `type_names`: one name alone, several as a slice (JSON Schema's `type`). */
    readonly prints: "json" | "type_names",
  ) {}
}

/** Anything a template can hold. `undefined` is Go's nil. */
export type GoValue =
  | undefined
  | boolean
  | number
  | string
  | GoFloat
  | GoList
  | GoMap
  | GoStruct
  | readonly GoValue[];

/** A JSON value as Go's decoder gives it: numbers are floats, objects are maps. */
export function goFromJson(value: unknown): GoValue {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return new GoFloat(value);
  if (Array.isArray(value)) return value.map(goFromJson);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return new GoMap(new Map(entries.map(([key, item]) => [key, goFromJson(item)])));
}

/** False for nil, false, 0, "" and what is empty. A struct is always true. */
export function goTruth(value: GoValue): boolean {
  if (value instanceof GoFloat) return value.value !== 0;
  if (value instanceof GoMap) return value.entries.size > 0;
  if (value instanceof GoList) return value.items.length > 0;
  if (value instanceof GoStruct) return true;
  if (isGoList(value)) return value.length > 0;
  return Boolean(value);
}

export function isGoList(value: GoValue): value is readonly GoValue[] {
  return Array.isArray(value);
}

/** The elements of a list of any kind; undefined for what isn't one. */
export function goElements(value: GoValue): readonly GoValue[] | undefined {
  if (value instanceof GoList) return value.items;
  return isGoList(value) ? value : undefined;
}

/** The Go type's name, for messages. */
export function goTypeName(value: GoValue): string {
  if (value === undefined) return "nil";
  if (value instanceof GoFloat) return "float64";
  if (value instanceof GoMap) return "map[string]interface {}";
  if (value instanceof GoStruct) return "struct";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return "int";
  return typeof value === "string" ? "string" : "[]interface {}";
}

/** As Go's `%v` prints it. */
export function goText(value: GoValue): string {
  if (value === undefined) return "<nil>";
  if (value instanceof GoFloat) return goFloatText(value.value);
  if (value instanceof GoList) {
    if (value.prints === "json") return goJson(value);
    if (value.items.length === 0) return "";
    return goText(value.items.length === 1 ? value.items[0] : value.items);
  }
  if (value instanceof GoMap) {
    if (value.options.printsJson) return goJson(value);
    return `map[${value.sorted().map(([key, item]) => `${key}:${goText(item)}`).join(" ")}]`;
  }
  if (value instanceof GoStruct) {
    if (value.options.printsJson) return goJson(value);
    return `{${[...value.fields()].map((field) => goText(field.value)).join(" ")}}`;
  }
  if (isGoList(value)) return `[${value.map(goText).join(" ")}]`;
  return String(value);
}

/** Go's shortest `%v` of a float64: an exponent from 1e6 up and below 1e-4. */
export function goFloatText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (Object.is(value, -0)) return "-0";
  const [digits = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/**
 * As Go's `json.Marshal` writes it: maps sorted, structs in field order, no blanks, and `<`, `>`, `&` escaped, because
 * prompts rendered elsewhere have them escaped too.
 */
export function goJson(value: GoValue): string {
  if (value === undefined) return "null";
  if (value instanceof GoFloat) return JSON.stringify(value.value);
  if (value instanceof GoList) {
    // Ollama's list of no tools is a nil slice.
    if (value.prints === "json" && value.items.length === 0) return "null";
    const single = value.prints === "type_names" && value.items.length === 1;
    return goJson(single ? value.items[0] : value.items);
  }
  if (value instanceof GoMap) {
    return `{${value.sorted().map(([key, item]) => `${jsonText(key)}:${goJson(item)}`).join(",")}}`;
  }
  if (value instanceof GoStruct) {
    const shown = [...value.fields()].filter((field) =>
      field.json !== "" && (field.omitsEmpty !== true || goTruth(field.value))
    );
    return `{${shown.map((field) => `${jsonText(field.json)}:${goJson(field.value)}`).join(",")}}`;
  }
  if (isGoList(value)) return `[${value.map(goJson).join(",")}]`;
  return typeof value === "string" ? jsonText(value) : JSON.stringify(value);
}

function jsonText(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
