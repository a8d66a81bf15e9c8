import { RequestError } from "../../base/mod.ts";
import {
  MODEL_OPTIONS,
  modelOptionField,
  type ModelOptionType,
} from "../../models/modelfile/mod.ts";
import type { RequestOptions } from "../../ports/mod.ts";

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
    const type = Object.hasOwn(MODEL_OPTIONS, name) ? MODEL_OPTIONS[name] : undefined;
    if (type === undefined || value === null) continue;
    parsed[modelOptionField(name)] = readOption(name, type, value);
  }
  return parsed as RequestOptions;
}

function readOption(name: string, type: ModelOptionType, value: unknown): unknown {
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
