import type { ModelDetails } from "../../ports/mod.ts";
import type { GgufFacts } from "../gguf/mod.ts";
import type { ModelConfig } from "./model_config.ts";
import type { TemplateCapabilities } from "../template/mod.ts";

/** Contract 1.10 `details`: the config's word first, then the weights'. */
export function detailsOf(
  config: ModelConfig,
  facts: GgufFacts | undefined,
  parentModel = "",
): ModelDetails {
  const contextLength = config.contextLength ?? facts?.contextLength ?? 0;
  const embeddingLength = config.embeddingLength ?? facts?.embeddingLength ?? 0;
  return {
    parentModel,
    format: config.format,
    family: config.family,
    families: config.families.length > 0 ? config.families : null,
    parameterSize: config.parameterSize,
    quantizationLevel: config.quantization,
    ...(contextLength > 0 && { contextLength }),
    ...(embeddingLength > 0 && { embeddingLength }),
  };
}

/** The config blob of a model made from these weights. */
export function configOf(facts: GgufFacts): ModelConfig {
  return {
    format: "gguf",
    family: facts.architecture,
    families: [facts.architecture],
    parameterSize: formatParameterCount(facts.parameterCount),
    quantization: facts.quantization,
    capabilities: [],
  };
}

/** A parameter count as people write it: `8B`, `7.2B`, `4.20M`, `135K`. */
function formatParameterCount(count: number): string {
  if (count >= 1e9) return `${trimWhole(count / 1e9, 1)}B`;
  if (count >= 1e6) return `${trimWhole(count / 1e6, 2)}M`;
  if (count >= 1e3) return `${(count / 1e3).toFixed(0)}K`;
  return String(count);
}

function trimWhole(value: number, decimals: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(decimals);
}

/** The capability strings of contract 1.6, in its order. */
export function capabilitiesOf(parts: {
  readonly weights: GgufFacts;
  readonly projectors: readonly GgufFacts[];
  readonly template: TemplateCapabilities;
}): readonly string[] {
  const all = [parts.weights, ...parts.projectors];
  const has: Readonly<Record<string, boolean>> = {
    completion: !parts.weights.hasPooling,
    embedding: parts.weights.hasPooling,
    vision: all.some((facts) => facts.hasVision),
    audio: all.some((facts) => facts.hasAudio),
    tools: !parts.weights.hasPooling && parts.template.tools,
    insert: !parts.weights.hasPooling && parts.template.insert,
    thinking: !parts.weights.hasPooling && parts.template.thinking,
  };
  return Object.keys(has).filter((name) => has[name]);
}
