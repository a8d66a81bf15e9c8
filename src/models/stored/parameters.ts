import { MODEL_OPTIONS, modelOptionField, type ModelOptionType } from "../modelfile/mod.ts";
import type { RequestOptions } from "../../ports/mod.ts";

/** PARAMETERs as stored: a JSON object whose keys are the contract's names. */
export type StoredParameters = Readonly<Record<string, unknown>>;

/** Reads a params blob; anything but an object counts as empty. */
export function parseParameters(bytes: Uint8Array): StoredParameters {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {}; // Defaults answer as well; a model is not lost for its sampling hints.
  }
}

/** The parameters this node knows, typed. Unknown keys and wrong types are left out. */
export function optionsOf(parameters: StoredParameters): RequestOptions {
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(parameters)) {
    const type = Object.hasOwn(MODEL_OPTIONS, key) ? MODEL_OPTIONS[key] : undefined;
    if (type === undefined || !isOfType(value, type)) continue;
    options[modelOptionField(key)] = type === "integer" ? Math.trunc(Number(value)) : value;
  }
  return options as RequestOptions;
}

/** Whether a JSON value may stand for an option of this type. */
export function isOfType(value: unknown, type: ModelOptionType): boolean {
  switch (type) {
    case "integer":
    case "float32":
      return typeof value === "number" && Number.isFinite(value);
    case "boolean":
      return typeof value === "boolean";
    case "array":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
  }
}
