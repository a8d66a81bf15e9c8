import { RequestError } from "../../base/mod.ts";
import type { GgufFacts } from "../gguf/mod.ts";

/** Targets as the contract names them, with the one alias. */
const TARGETS: Readonly<Record<string, string>> = {
  F32: "F32",
  F16: "F16",
  BF16: "BF16",
  Q4_K_S: "Q4_K_S",
  Q4_K_M: "Q4_K_M",
  Q4_K: "Q4_K_M",
  Q8_0: "Q8_0",
};
const SOURCES = ["F16", "BF16", "F32"];

/**
 * Checks a wish to quantise. Weights that already have the wanted type pass; nothing here changes weights, so every
 * other wish is refused.
 *
 * @throws RequestError `invalid_request`, in the contract's words where it has some.
 */
export function checkQuantization(wish: string, weights: GgufFacts): void {
  const target = TARGETS[wish.toUpperCase()];
  if (target === undefined) {
    throw new RequestError(
      "invalid_request",
      `unsupported quantization type ${wish.toUpperCase()} - supported types are ` +
        "F32, F16, Q4_K_S, Q4_K_M, Q8_0",
    );
  }
  if (weights.quantization === target) return;
  if (!SOURCES.includes(weights.quantization)) {
    throw new RequestError(
      "invalid_request",
      "quantization is only supported for F16, BF16 and F32 models",
    );
  }
  throw new RequestError(
    "invalid_request",
    `quantizing ${weights.quantization} model to ${target} is not supported by this server: ` +
      "quantize the file with llama-quantize first",
  );
}
