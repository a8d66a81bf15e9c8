import { formatCount } from "../../base/mod.ts";
import type { ModelDetails } from "../../ports/mod.ts";
import type { GgufFacts } from "../gguf/mod.ts";
import type { TemplateCapabilities } from "../template/mod.ts";

/** The config blob of a model (contract 2.3). Empty text where the blob says nothing. */
export interface ModelConfig {
  readonly format: string;
  readonly family: string;
  readonly families: readonly string[];
  /** Parameter size such as `8.0B`. */
  readonly parameterSize: string;
  /** Such as `Q4_K_M`. */
  readonly quantization: string;
  readonly renderer?: string;
  readonly parser?: string;
  readonly requires?: string;
  readonly remoteHost?: string;
  readonly remoteModel?: string;
  readonly capabilities: readonly string[];
  readonly contextLength?: number;
  readonly embeddingLength?: number;
}

/** Media type of the config blob in a manifest. */
export const CONFIG_MEDIA_TYPE = "application/vnd.docker.container.image.v1+json";

/** Reads a config blob; fields of a wrong type count as absent, since some registries write less. */
export function parseModelConfig(bytes: Uint8Array): ModelConfig {
  const fields = new FieldReader(parseObject(bytes));
  return {
    format: fields.text("model_format") ?? "",
    family: fields.text("model_family") ?? "",
    families: fields.texts("model_families"),
    parameterSize: fields.text("model_type") ?? "",
    quantization: fields.text("file_type") ?? "",
    capabilities: fields.texts("capabilities"),
    ...definedOnly({
      renderer: fields.text("renderer"),
      parser: fields.text("parser"),
      requires: fields.text("requires"),
      remoteHost: fields.text("remote_host"),
      remoteModel: fields.text("remote_model"),
      contextLength: fields.count("context_length"),
      embeddingLength: fields.count("embedding_length"),
    }),
  };
}

/** The bytes of a config blob. */
export function encodeModelConfig(config: ModelConfig): Uint8Array {
  const families = config.families.length > 0 ? config.families : undefined;
  const capabilities = config.capabilities.length > 0 ? config.capabilities : undefined;
  return new TextEncoder().encode(JSON.stringify({
    model_format: config.format || undefined,
    model_family: config.family || undefined,
    model_families: families,
    model_type: config.parameterSize || undefined,
    file_type: config.quantization || undefined,
    renderer: config.renderer,
    parser: config.parser,
    requires: config.requires,
    remote_host: config.remoteHost,
    remote_model: config.remoteModel,
    capabilities,
    context_length: config.contextLength,
    embedding_length: config.embeddingLength,
    architecture: "amd64",
    os: "linux",
  }));
}

class FieldReader {
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(fields: Readonly<Record<string, unknown>>) {
    this.#fields = fields;
  }

  text(key: string): string | undefined {
    const value = this.#fields[key];
    return typeof value === "string" && value !== "" ? value : undefined;
  }

  texts(key: string): readonly string[] {
    const value = this.#fields[key];
    return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  }

  count(key: string): number | undefined {
    const value = this.#fields[key];
    return typeof value === "number" && value > 0 ? value : undefined;
  }
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {}; // A broken config loses descriptions only; the weights say what matters.
  }
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

function definedOnly<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Defined<T>;
}

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
    parameterSize: formatCount(facts.parameterCount),
    quantization: facts.quantization,
    capabilities: [],
  };
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
    // Weights with a vision tower of their own are answered from as text alone.
    vision: parts.projectors.some((facts) => facts.hasVision),
    audio: all.some((facts) => facts.hasAudio),
    tools: !parts.weights.hasPooling && parts.template.tools,
    insert: !parts.weights.hasPooling && parts.template.insert,
    thinking: !parts.weights.hasPooling && parts.template.thinking,
  };
  return Object.keys(has).filter((name) => has[name]);
}
