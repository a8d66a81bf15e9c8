import { invalidRequest, type RequestError } from "../../base/mod.ts";
import { InlineMedia } from "./inline_media.ts";

/** `T` without `undefined` values: keys that may be undefined become optional. */
export type Defined<T> =
  & { [Key in keyof T as undefined extends T[Key] ? never : Key]: T[Key] }
  & { [Key in keyof T as undefined extends T[Key] ? Key : never]?: Exclude<T[Key], undefined> };

/** Drops keys whose value is undefined, so that an absent field and an undefined one are the same to the ports. */
export function defined<T extends object>(values: T): Defined<T> {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) if (value !== undefined) kept[key] = value;
  return kept as Defined<T>;
}

/**
 * One JSON object as contract 1.0 reads it: names match in any case, null counts as absent, unknown names are ignored,
 * and of two spellings of one name the last wins. Every reader throws RequestError `invalid_request` on a wrong type.
 */
export class Fields {
  readonly #values = new Map<string, unknown>();
  readonly #path: string;

  /** `path` is where the object lies in the body, for error texts: "" is the body itself. */
  constructor(value: unknown, path = "") {
    this.#path = path;
    if (value === null || value === undefined) return;
    if (!isObject(value)) throw wrongType(path === "" ? "the request body" : path, "object", value);
    for (const key of Object.keys(value)) {
      const entry = value[key];
      if (entry !== null) this.#values.set(key.toLowerCase(), entry);
    }
  }

  /** All of them as sent, by names in lower case. */
  all(): Readonly<Record<string, unknown>> {
    return Object.fromEntries(this.#values);
  }

  /** The value as sent, or undefined. `name` is given in lower case, as in all readers. */
  raw(name: string): unknown {
    return this.#values.get(name);
  }

  string(name: string): string | undefined {
    const value = this.#values.get(name);
    if (value === undefined || typeof value === "string") return value;
    throw wrongType(this.#at(name), "string", value);
  }

  boolean(name: string): boolean | undefined {
    const value = this.#values.get(name);
    if (value === undefined || typeof value === "boolean") return value;
    throw wrongType(this.#at(name), "boolean", value);
  }

  /** A finite number. */
  number(name: string): number | undefined {
    const value = this.#values.get(name);
    if (value === undefined || (typeof value === "number" && Number.isFinite(value))) return value;
    throw wrongType(this.#at(name), "finite number", value);
  }

  /** A number without fraction that JavaScript holds exactly. */
  integer(name: string): number | undefined {
    const value = this.#values.get(name);
    if (value === undefined || (typeof value === "number" && Number.isSafeInteger(value))) {
      return value;
    }
    throw wrongType(this.#at(name), "integer", value);
  }

  list(name: string): readonly unknown[] | undefined {
    const value = this.#values.get(name);
    if (value === undefined || Array.isArray(value)) return value;
    throw wrongType(this.#at(name), "list", value);
  }

  /** `countMax` strings at most. */
  strings(name: string, countMax: number): readonly string[] | undefined {
    return this.#shortList(name, countMax)?.map((item, index) => {
      if (typeof item === "string") return item;
      throw wrongType(`${this.#at(name)}[${index}]`, "string", item);
    });
  }

  /** `countMax` images or recordings at most, each as base64 or decoded already. */
  media(name: string, countMax: number): readonly (string | InlineMedia)[] | undefined {
    return this.#shortList(name, countMax)?.map((item, index) => {
      if (typeof item === "string" || item instanceof InlineMedia) return item;
      throw wrongType(`${this.#at(name)}[${index}]`, "string", item);
    });
  }

  integers(name: string): readonly number[] | undefined {
    return this.list(name)?.map((item, index) => {
      if (typeof item === "number" && Number.isSafeInteger(item)) return item;
      throw wrongType(`${this.#at(name)}[${index}]`, "integer", item);
    });
  }

  /** An object whose keys are the caller's own, in its own case and order: options, schemas, arguments. */
  object(name: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.#values.get(name);
    if (value === undefined || isObject(value)) return value;
    throw wrongType(this.#at(name), "object", value);
  }

  stringMap(name: string): Readonly<Record<string, string>> | undefined {
    const value = this.object(name);
    if (value === undefined) return undefined;
    const entries = Object.entries(value).map(([key, entry]): [string, string] => {
      if (typeof entry === "string") return [key, entry];
      throw wrongType(`${this.#at(name)}.${key}`, "string", entry);
    });
    return Object.fromEntries(entries);
  }

  /** An object of declared fields; an absent one reads as empty. */
  fields(name: string): Fields {
    return new Fields(this.#values.get(name), this.#at(name));
  }

  /** Objects of declared fields, `countMax` at most: each costs some hundred bytes, however short it was sent. */
  fieldsList(name: string, countMax: number): readonly Fields[] | undefined {
    return this.#shortList(name, countMax)
      ?.map((item, index) => new Fields(item, `${this.#at(name)}[${index}]`));
  }

  /** Whether the field was sent with a value other than null. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  #shortList(name: string, countMax: number): readonly unknown[] | undefined {
    const list = this.list(name);
    if (list === undefined || list.length <= countMax) return list;
    throw invalidRequest(
      `cannot read ${this.#at(name)}: at most ${countMax} are accepted, got ${list.length}`,
    );
  }

  #at(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }
}

/** True for a JSON object: not a list, not null. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The JSON type of a value, for error texts. */
export function typeName(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "list";
  if (typeof value === "number") return `number ${value}`;
  return typeof value;
}

function wrongType(path: string, wanted: string, value: unknown): RequestError {
  return invalidRequest(`cannot read ${path}: wants ${wanted}, got ${typeName(value)}`);
}
