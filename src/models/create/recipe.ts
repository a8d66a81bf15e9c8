import { RequestError } from "../../base/mod.ts";
import {
  isOfType,
  MODEL_OPTIONS,
  optionsOf,
  readLineRules,
  type StoredParameters,
} from "../modelfile/mod.ts";
import type { CatalogEntry, CreateRequest, QuantizationTarget } from "../../ports/mod.ts";
import { type BlobLayer, displayModelName } from "../../protocol/mod.ts";
import {
  configOf,
  detailsOf,
  isLayerOf,
  type LayerKind,
  layersOf,
  type ModelConfig,
  type ModelContent,
  type TemplateInspector,
} from "../stored/mod.ts";
import type { GgufFacts } from "../gguf/mod.ts";
import { KNOWN_TEMPLATES, type KnownTemplate } from "../template/mod.ts";
import type { GgufPart, PartSources } from "./gguf_part.ts";
import { readAdapterParts, readDraftParts, readFileParts } from "./model_parts.ts";
import { resolveQuantization } from "./quantization.ts";

/** A model that another one is made from. */
export interface ParentModel {
  readonly entry: CatalogEntry;
  readonly content: ModelContent;
}

/** What a new model will be, checked and not yet written. */
export interface Recipe {
  readonly config: ModelConfig;
  /** Blobs that are there already, or that {@link Recipe.merges} brings. */
  readonly kept: readonly BlobLayer[];
  /** Weights to be put together from parts. */
  readonly merges: readonly GgufPart[];
  /** Parts among `kept` that are to be replaced by themselves in another precision. */
  readonly quantize: readonly PartToQuantize[];
  /** Texts to store, in the manifest's order. */
  readonly added: readonly { readonly kind: LayerKind; readonly text: string }[];
  /** The known template that the weights' own turned out to be. */
  readonly detected?: string;
  /** Whether GGUF files of the request were read. */
  readonly readFiles: boolean;
}

/** A part and the precision that it is brought to. */
export interface PartToQuantize {
  readonly part: GgufPart;
  readonly target: QuantizationTarget;
  /** It is the model itself, whose precision the model's configuration names. */
  readonly isModel: boolean;
}

/** What {@link writeRecipe} reads from. */
interface RecipeSources extends PartSources {
  readonly templates: Pick<TemplateInspector, "inspect">;
}

/**
 * Works out the new model from its parent or files and what the request changes (contract 1.11). Reads everything it
 * checks and writes nothing, so a refused request leaves no trace.
 *
 * @throws RequestError for anything the model can't be made of.
 */
export async function writeRecipe(
  request: CreateRequest,
  parent: ParentModel | undefined,
  sources: RecipeSources,
): Promise<Recipe> {
  await checkTexts(request, sources);
  const files = parent === undefined ? await readFileParts(request.files ?? {}, sources) : [];
  const adapters = await readAdapterParts(request.adapters ?? {}, sources);
  const drafts = await readDraftParts(request.draftFiles ?? {}, sources);
  const inherited = parent === undefined ? [] : inheritedLayers(parent, request);
  const weights = await findWeights(files, inherited, sources);
  if (weights === undefined && parent?.content.config.remoteHost === undefined) {
    throw new RequestError("invalid_gguf", "the files hold no model, only parts of one");
  }
  const known = parent === undefined && request.template === undefined
    ? await detectTemplate(weights?.facts, sources)
    : undefined;
  return {
    quantize: [
      ...toQuantize(request.quantize, weights, true),
      ...toQuantize(request.draftQuantize, requireDraft(request, drafts), false),
    ],
    config: mergeConfig(request, { parent, weights }),
    kept: [...inherited, ...[...files, ...adapters, ...drafts].map(({ layer }) => layer)],
    merges: files.filter((part) => part.merged !== undefined),
    added: addedTexts(
      known === undefined ? request : withTemplate(request, known),
      parent?.content.parameters ?? {},
    ),
    ...(known !== undefined && { detected: known.name }),
    readFiles: files.length + adapters.length + drafts.length > 0,
  };
}

/** @throws RequestError `invalid_request` for a precision that the part can't have. */
function toQuantize(
  wish: string | undefined,
  part: GgufPart | undefined,
  isModel: boolean,
): readonly PartToQuantize[] {
  if (wish === undefined || part === undefined) return [];
  const target = resolveQuantization(wish, part.facts);
  return target === undefined ? [] : [{ part, target, isModel }];
}

/** @throws RequestError `invalid_request` when a precision is wanted for one that is not there. */
function requireDraft(
  { draftQuantize }: CreateRequest,
  [draft]: readonly GgufPart[],
): GgufPart | undefined {
  if (draftQuantize === undefined || draft !== undefined) return draft;
  const text = "draft_quantize is for the model in draft_files, and there is none";
  throw new RequestError("invalid_request", text);
}

async function checkTexts(request: CreateRequest, { templates }: RecipeSources): Promise<void> {
  if (request.template !== undefined) {
    const { failure } = await templates.inspect({ goTemplate: request.template });
    if (failure !== undefined) {
      throw new RequestError("invalid_template", `template error: ${failure}`);
    }
  }
  const parameters = normalized(request.parameters);
  for (const [key, value] of Object.entries(parameters)) {
    const type = Object.hasOwn(MODEL_OPTIONS, key) ? MODEL_OPTIONS[key] : undefined;
    if (type !== undefined && !isOfType(value, type)) {
      throw new RequestError("invalid_option", `option "${key}" must be of type ${type}`, {
        status: 400,
      });
    }
  }
  readLineRules(optionsOf(parameters).volatileLines ?? []);
}

/** A Go template in the stead of one that says the same; a template that can't be used is left to whoever uses it. */
async function detectTemplate(
  weights: GgufFacts | undefined,
  { templates }: RecipeSources,
): Promise<KnownTemplate | undefined> {
  if (weights?.chatTemplate === undefined) return undefined;
  const { traits } = await templates.inspect({ jinjaTemplate: weights.chatTemplate });
  return KNOWN_TEMPLATES.find(({ name }) => name === traits.known);
}

/** The template's own stop strings, unless the request brings others. */
function withTemplate(request: CreateRequest, known: KnownTemplate): CreateRequest {
  const { goTemplate, stops } = known;
  return {
    ...request,
    template: goTemplate,
    parameters: { stop: [...stops], ...request.parameters },
  };
}

/** The parent's layers that the request doesn't replace. They say where they come from, as a push can then mount them. */
function inheritedLayers(parent: ParentModel, request: CreateRequest): readonly BlobLayer[] {
  const replaced: LayerKind[] = [];
  if (request.template !== undefined) replaced.push("template", "prompt");
  if (request.system !== undefined) replaced.push("system");
  if (request.messages !== undefined && request.messages.length > 0) replaced.push("messages");
  if (hasParameters(request)) replaced.push("params");
  if (Object.keys(request.adapters ?? {}).length > 0) replaced.push("adapter");
  if (Object.keys(request.draftFiles ?? {}).length > 0) replaced.push("draft");
  const from = displayModelName(parent.entry.name);
  return parent.entry.manifest.layers.filter((layer) => !isLayerOf(layer, ...replaced))
    .map((layer) => ({ ...layer, from }));
}

async function findWeights(
  files: readonly GgufPart[],
  inherited: readonly BlobLayer[],
  sources: PartSources,
): Promise<GgufPart | undefined> {
  const [layer] = layersOf({ layers: inherited }, "model");
  if (layer) return { layer, facts: await sources.facts.get(layer.digest) };
  return files.find((part) => part.facts.kind === "model");
}

function mergeConfig(
  request: CreateRequest,
  base: { readonly parent: ParentModel | undefined; readonly weights: GgufPart | undefined },
): ModelConfig {
  const { parent, weights } = base;
  const inherited = parent?.content.config;
  const own = weights && configOf(weights.facts);
  // The weights know themselves best; a stub for a remote model has only its parent's word.
  const config = { ...inherited, ...own };
  const { renderer, parser, requires } = { ...config, ...withoutUndefined(request) };
  const { contextLength, embeddingLength } = detailsOf(
    { ...EMPTY_CONFIG, ...config },
    weights?.facts,
  );
  return {
    ...EMPTY_CONFIG,
    ...config,
    ...withoutUndefined({ renderer, parser, requires, contextLength, embeddingLength }),
  };
}

const EMPTY_CONFIG: ModelConfig = {
  format: "gguf",
  family: "",
  families: [],
  parameterSize: "",
  quantization: "",
  capabilities: [],
};

function addedTexts(request: CreateRequest, inherited: StoredParameters): Recipe["added"] {
  const added: { kind: LayerKind; text: string }[] = [];
  const add = (kind: LayerKind, text: string | undefined) => {
    if (text !== undefined && text !== "") added.push({ kind, text });
  };
  add("template", request.template);
  add("system", request.system);
  for (const license of request.license) add("license", license);
  if (hasParameters(request)) {
    add("params", JSON.stringify({ ...inherited, ...normalized(request.parameters) }));
  }
  if (request.messages !== undefined && request.messages.length > 0) {
    add("messages", JSON.stringify(request.messages));
  }
  return added;
}

function hasParameters(request: CreateRequest): boolean {
  return Object.keys(request.parameters ?? {}).length > 0;
}

/** One stop text is as good as a list of one; stored it is always a list. */
function normalized(parameters: CreateRequest["parameters"]): StoredParameters {
  const { stop, ...others } = parameters ?? {};
  if (stop === undefined) return others;
  return { ...others, stop: typeof stop === "string" ? [stop] : stop };
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

function withoutUndefined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Defined<T>;
}
