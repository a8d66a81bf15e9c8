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
};

/** The option's field in code: `num_ctx` is `numCtx`. */
export function modelOptionField(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
