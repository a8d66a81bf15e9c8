import {
  formatModelfile,
  MODEL_OPTIONS,
  type Modelfile,
  modelOptionField,
} from "./modelfile/mod.ts";
import type { CatalogEntry, RequestOptions, ShownModel, ShowRequest } from "../ports/mod.ts";
import { type BlobLayer, displayModelName } from "../protocol/mod.ts";
import type { Gguf, GgufValue } from "./gguf/mod.ts";
import {
  capabilitiesOf,
  type DefinitionSources,
  detailsOf,
  knownCapabilities,
  type LayerKind,
  layersOf,
  type ModelContent,
  readFacts,
  type StoredTemplates,
  templateSourcesOf,
} from "./stored/mod.ts";

/** Column at which values of the parameters text begin (contract 1.10). */
const PARAMETER_COLUMNS = 30;
/** What is rendered without any template. */
const PROMPT_ALONE = "{{ .Prompt }}";
/** Metadata that show has other places for. */
const HIDDEN_METADATA = ["general.name", "tokenizer.chat_template"];

/**
 * Contract 1.10 `/api/show`.
 *
 * @throws UnavailableError `load_failed` naming what is missing or damaged.
 */
export async function showModel(
  entry: CatalogEntry,
  request: ShowRequest,
  sources: DefinitionSources,
): Promise<ShownModel> {
  const content = await sources.contents.read(entry);
  const modelfile = modelfileOf(entry, content, { request, sources });
  const { config } = content;
  return {
    ...(content.licenses.length > 0 && { license: content.licenses.join("\n") }),
    modelfile: formatShownModelfile(entry, modelfile),
    parameters: formatParameters(content.parameters),
    ...(modelfile.system !== undefined && { system: modelfile.system }),
    messages: content.messages,
    modifiedAtMs: entry.modifiedAtMs,
    ...(entry.isLocal && { isLocal: true as const }),
    ...(config.requires !== undefined && { requires: config.requires }),
    ...await showWeights(entry, content, { verbose: request.verbose, sources }),
  };
}

type ShownWeights = Pick<
  ShownModel,
  "details" | "template" | "modelInfo" | "projectorInfo" | "tensors" | "capabilities"
>;

/** What the GGUF files say; a stub for a remote model has none. */
async function showWeights(
  entry: CatalogEntry,
  content: ModelContent,
  options: { readonly verbose: boolean; readonly sources: DefinitionSources },
): Promise<ShownWeights> {
  const { sources } = options;
  const [layer] = layersOf(entry.manifest, "model");
  const { config } = content;
  if (layer === undefined) {
    return {
      details: detailsOf(config, undefined),
      modelInfo: {},
      capabilities: config.capabilities,
    };
  }
  const weights = await readFacts(layer, entry, sources.facts);
  const projectorLayers = layersOf(entry.manifest, "projector");
  const projectors = await Promise.all(
    projectorLayers.map((projector) => readFacts(projector, entry, sources.facts)),
  );
  const readHeader = async (blob: BlobLayer) =>
    await sources.facts.readHeader(blob.digest, options.verbose ? "all" : "none");
  const gguf = await readHeader(layer);
  const projector = projectorLayers[0] && await readHeader(projectorLayers[0]);
  return {
    details: detailsOf(config, weights, layer.from),
    // Clients read off it what a model can do, so the one in the weights is shown, too.
    template: shownTemplate(templateSourcesOf(content, weights), sources),
    modelInfo: shownMetadata(gguf, weights.parameterCount),
    ...(projector && { projectorInfo: shownMetadata(projector) }),
    tensors: gguf.tensors.map(({ name, type, shape }) => ({ name, type: type.name, shape })),
    capabilities: capabilitiesOf({
      weights,
      projectors,
      template: knownCapabilities(templateSourcesOf(content, weights), sources),
    }),
  };
}

/** The template that is used, as far as that is known. */
function shownTemplate(template: StoredTemplates, { templates }: DefinitionSources): string {
  const { goTemplate, jinjaTemplate } = template;
  const usesJinja = templates.find(template)?.traits.kind === "jinja";
  const [first, second] = usesJinja ? [jinjaTemplate, goTemplate] : [goTemplate, jinjaTemplate];
  return first ?? second ?? PROMPT_ALONE;
}

/** The Modelfile that would make this model again, with what the request changes in print. */
function modelfileOf(
  entry: CatalogEntry,
  content: ModelContent,
  context: { readonly request: ShowRequest; readonly sources: DefinitionSources },
): Modelfile {
  const { request, sources } = context;
  const { config, goTemplate } = content;
  const system = request.system ?? content.system;
  const pathsOf = (...kinds: readonly LayerKind[]) =>
    request.namesFiles === false
      ? []
      : layersOf(entry.manifest, ...kinds).map((layer) => sources.blobs.path(layer.digest));
  const weights = pathsOf("model", "projector");
  return {
    from: weights.length > 0 ? weights : [displayModelName(entry.name)],
    adapters: pathsOf("adapter"),
    drafts: pathsOf("draft"),
    ...(goTemplate !== undefined && { template: goTemplate }),
    ...(system !== "" && { system }),
    ...(config.renderer !== undefined && { renderer: config.renderer }),
    ...(config.parser !== undefined && { parser: config.parser }),
    ...(config.requires !== undefined && { requires: config.requires }),
    parameters: { ...content.parameters, ...storedNames(request.options) },
    licenses: content.licenses,
    messages: content.messages,
    obsoleteParameters: [],
  };
}

function formatShownModelfile(entry: CatalogEntry, modelfile: Modelfile): string {
  return [
    '# Modelfile generated by "odist show"',
    "# To build a new Modelfile based on this, replace FROM with:",
    `# FROM ${displayModelName(entry.name)}`,
    "",
    formatModelfile(modelfile),
  ].join("\n");
}

/** Options under the names that PARAMETER lines have. */
function storedNames(options: RequestOptions): Record<string, unknown> {
  const byField: Readonly<Record<string, unknown>> = { ...options };
  return Object.fromEntries(
    Object.keys(MODEL_OPTIONS)
      .map((name) => [name, byField[modelOptionField(name)]] as const)
      .filter(([, value]) => value !== undefined),
  );
}

function formatParameters(parameters: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(parameters).flatMap(([key, value]) =>
    (Array.isArray(value) ? value : [value]).map((item) =>
      `${key.padEnd(PARAMETER_COLUMNS)} ${
        typeof item === "string" ? quoteLikeGo(item) : String(item)
      }`
    )
  );
  return lines.join("\n");
}

/** Clients unquote these lines as Go text, which has no `\u0007` for what it calls `\a`. */
function quoteLikeGo(text: string): string {
  const short: Readonly<Record<string, string>> = { "\\u0007": "\\a", "\\u000b": "\\v" };
  return JSON.stringify(text).replaceAll(
    /\\\\|\\u00([01][0-9a-f])/g,
    (escape, code) => code === undefined ? escape : short[escape] ?? `\\x${code}`,
  );
}

/** Arrays that were not read print as null unless they are empty (contract 1.10). */
function shownMetadata(gguf: Gguf, parameterCount?: number): Readonly<Record<string, unknown>> {
  const shown = (value: GgufValue) => {
    if (typeof value !== "object") return value;
    return value.values ?? (value.count === 0 ? [] : null);
  };
  const rows = [...gguf.metadata].filter(([key]) => !HIDDEN_METADATA.includes(key))
    .map(([key, value]) => [key, shown(value)] as const);
  if (parameterCount !== undefined) rows.push(["general.parameter_count", parameterCount]);
  return Object.fromEntries(rows);
}
