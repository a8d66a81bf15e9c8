import { errorMessage } from "../base/mod.ts";
import type { CatalogEntry, ListedModel, Log } from "../ports/mod.ts";
import { displayModelName, type Manifest } from "../protocol/mod.ts";
import { isWholeHere } from "./blob_holds.ts";
import type { Described, ModelsElsewhere } from "./models_elsewhere.ts";
import {
  capabilitiesOf,
  type DefinitionSources,
  detailsOf,
  knownCapabilities,
  layersOf,
  templateSourcesOf,
} from "./stored/mod.ts";

/** Models described at once: each may be a question to another node. */
const DESCRIBED_AT_ONCE_MAX = 8;

/** What listing reads from. */
interface ListSources extends DefinitionSources {
  readonly log: Log;
  readonly elsewhere?: ModelsElsewhere;
}

/**
 * Contract 1.10 `/api/tags`, in the order given. A model whose blobs are damaged, or held by nobody who answers, is
 * listed with what its manifest says.
 */
export async function listModels(
  entries: readonly CatalogEntry[],
  sources: ListSources,
): Promise<readonly ListedModel[]> {
  const rows: ListedModel[] = [];
  const waiting = [...entries.entries()];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, entry] = next;
      rows[index] = await listModel(entry, sources);
    }
  };
  await Promise.all(Array.from({ length: DESCRIBED_AT_ONCE_MAX }, work));
  return rows;
}

async function listModel(entry: CatalogEntry, sources: ListSources): Promise<ListedModel> {
  const described = await describe(entry, sources)
    .catch((error) => describeElsewhere(entry, sources, error));
  return {
    name: displayModelName(entry.name),
    namespace: entry.name.namespace,
    modifiedAtMs: entry.modifiedAtMs,
    size: manifestSizeBytes(entry.manifest),
    digest: entry.manifestDigest,
    ...(entry.isLocal && { isLocal: true as const }),
    ...described,
  };
}

/** What it can't be described with here, another node may have; damage here is worth a line. */
async function describeElsewhere(
  entry: CatalogEntry,
  sources: ListSources,
  error: unknown,
): Promise<Described> {
  const { elsewhere, blobs, log } = sources;
  if (elsewhere === undefined || await isWholeHere(entry.manifest, blobs)) {
    const model = displayModelName(entry.name);
    log.log("warn", "model_unreadable", { model, reason: errorMessage(error) });
  }
  return await elsewhere?.describe(entry) ?? UNREADABLE;
}

/** Bytes of all layers and the config. */
function manifestSizeBytes(manifest: Manifest): number {
  return manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size);
}

const UNREADABLE: Described = {
  details: {
    parentModel: "",
    format: "",
    family: "",
    families: null,
    parameterSize: "",
    quantizationLevel: "",
  },
  capabilities: [],
};

async function describe(entry: CatalogEntry, sources: DefinitionSources): Promise<Described> {
  const content = await sources.contents.read(entry);
  const { config } = content;
  const [layer] = layersOf(entry.manifest, "model");
  if (layer === undefined) {
    return { details: detailsOf(config, undefined), capabilities: config.capabilities };
  }
  const weights = await sources.facts.get(layer.digest);
  const projectors = await Promise.all(
    layersOf(entry.manifest, "projector").map((projector) => sources.facts.get(projector.digest)),
  );
  const template = knownCapabilities(templateSourcesOf(content, weights), sources);
  return {
    details: detailsOf(config, weights, layer.from),
    capabilities: capabilitiesOf({ weights, projectors, template }),
  };
}
