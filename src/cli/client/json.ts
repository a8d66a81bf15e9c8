import { printable, printableText } from "../../base/mod.ts";

/** What a node sends: fields may be missing or of another type than expected. */
export type JsonObject = { readonly [key: string]: unknown };

/** Anything that is an object and no list. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The field when it is a text, as one line that is safe to print. */
export function textOf(object: JsonObject, key: string): string | undefined {
  const text = rawTextOf(object, key);
  return text === undefined ? undefined : printable(text);
}

/** The field when it is a text, with its lines, safe to print. */
export function linesOf(object: JsonObject, key: string): string | undefined {
  const text = rawTextOf(object, key);
  return text === undefined ? undefined : printableText(text);
}

/** The field when it is a text, as it came: for programs and files, not for terminals. */
export function rawTextOf(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  return typeof value === "string" ? value : undefined;
}

/** The field when it is a number. */
export function numberOf(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  return typeof value === "number" ? value : undefined;
}

/** The field when it is an object, else an empty one. */
export function objectOf(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}

/** The objects in a list field; an absent list is empty. */
export function objectsOf(object: JsonObject, key: string): readonly JsonObject[] {
  const value = object[key];
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

/** The texts in a list field, safe to print; an absent list is empty. */
export function textsOf(object: JsonObject, key: string): readonly string[] {
  const value = object[key];
  return Array.isArray(value) ? value.filter((one) => typeof one === "string").map(printable) : [];
}
