import { RequestError } from "../../base/mod.ts";
import type { RequestOptions } from "../../ports/mod.ts";

type OptionType = "integer" | "boolean" | "float32" | "array";

/** Every option of contract 1.7: its name on the wire, its name in the ports, its type. */
const OPTION_TABLE: Readonly<Record<string, readonly [keyof RequestOptions, OptionType]>> = {
  num_ctx: ["numCtx", "integer"],
  num_batch: ["numBatch", "integer"],
  num_gpu: ["numGpu", "integer"],
  main_gpu: ["mainGpu", "integer"],
  use_mmap: ["useMmap", "boolean"],
  num_thread: ["numThread", "integer"],
  num_keep: ["numKeep", "integer"],
  num_predict: ["numPredict", "integer"],
  seed: ["seed", "integer"],
  temperature: ["temperature", "float32"],
  top_k: ["topK", "integer"],
  top_p: ["topP", "float32"],
  min_p: ["minP", "float32"],
  typical_p: ["typicalP", "float32"],
  repeat_last_n: ["repeatLastN", "integer"],
  repeat_penalty: ["repeatPenalty", "float32"],
  presence_penalty: ["presencePenalty", "float32"],
  frequency_penalty: ["frequencyPenalty", "float32"],
  stop: ["stop", "array"],
};

/**
 * Types the options of a request. Unknown keys and nulls are ignored; a fraction given for an integer is cut. Ranges
 * are checked where the model and the defaults are known, not here.
 *
 * @throws RequestError `invalid_option` (500, as the contract has it) on a wrong type, 400 on a number no machine holds.
 */
export function parseOptions(
  options: Readonly<Record<string, unknown>> | undefined,
): RequestOptions {
  const parsed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options ?? {})) {
    const row = Object.hasOwn(OPTION_TABLE, name) ? OPTION_TABLE[name] : undefined;
    if (row === undefined || value === null) continue;
    const [key, type] = row;
    parsed[key] = readOption(name, type, value);
  }
  return parsed as RequestOptions;
}

function readOption(name: string, type: OptionType, value: unknown): unknown {
  switch (type) {
    case "integer":
    case "float32":
      if (typeof value === "number") return readNumber(name, type, value);
      break;
    case "boolean":
      if (typeof value === "boolean") return value;
      break;
    case "array":
      if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
      break;
  }
  throw new RequestError("invalid_option", `option "${name}" must be of type ${type}`);
}

function readNumber(name: string, type: "integer" | "float32", value: number): number {
  const wanted = type === "integer" ? Math.trunc(value) : value;
  const bound = type === "integer" ? Number.MAX_SAFE_INTEGER : 3.4e38;
  if (Math.abs(wanted) <= bound) return wanted;
  throw new RequestError(
    "invalid_option",
    `option "${name}" must be between ${-bound} and ${bound}: current value is ${value}`,
    { status: 400 },
  );
}
