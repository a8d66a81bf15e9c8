import type { RequestOptions } from "../../ports/mod.ts";

/** How the value of an option is written in JSON. `array` is a list of strings. */
export type ModelOptionType = "integer" | "float32" | "boolean" | "array";

/**
 * Every option of contract 1.7 by its name on the wire. Requests, PARAMETER lines and stored parameters share these; the
 * field in code is the same name in camel case.
 */
export const MODEL_OPTIONS: Readonly<Record<string, ModelOptionType>> = {
  num_ctx: "integer",
  num_batch: "integer",
  num_gpu: "integer",
  main_gpu: "integer",
  use_mmap: "boolean",
  shard: "boolean",
  num_thread: "integer",
  num_keep: "integer",
  num_predict: "integer",
  seed: "integer",
  temperature: "float32",
  top_k: "integer",
  top_p: "float32",
  min_p: "float32",
  typical_p: "float32",
  repeat_last_n: "integer",
  repeat_penalty: "float32",
  presence_penalty: "float32",
  frequency_penalty: "float32",
  stop: "array",
  // odist's own.
  exact: "boolean",
  volatile_lines: "array",
  speculate: "boolean",
};

/** The option's field in code: `num_ctx` is `numCtx`. */
export function modelOptionField(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

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
