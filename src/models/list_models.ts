import { errorMessage } from "../base/mod.ts";
import type { CatalogEntry, ListedModel, Log } from "../ports/mod.ts";
import { displayModelName, type Manifest } from "../protocol/mod.ts";
import { layersOf } from "./stored/layer_types.ts";
import { capabilitiesOf, detailsOf } from "./stored/model_details.ts";
import { type DefinitionSources, templateSourcesOf } from "./stored/model_definition.ts";

/** Contract 1.10 `/api/tags`, in the order given. A model whose blobs are damaged is listed with what is known of it. */
export async function listModels(
  entries: readonly CatalogEntry[],
  sources: DefinitionSources,
  log: Log,
): Promise<readonly ListedModel[]> {
  const rows: ListedModel[] = [];
  for (const entry of entries) {
    const described = await describe(entry, sources).catch((error) => {
      const model = displayModelName(entry.name);
      log.log("warn", "model_unreadable", { model, reason: errorMessage(error) });
      return UNREADABLE;
    });
    rows.push({
      name: displayModelName(entry.name),
      namespace: entry.name.namespace,
      modifiedAtMs: entry.modifiedAtMs,
      size: manifestSizeBytes(entry.manifest),
      digest: entry.manifestDigest,
      ...described,
    });
  }
  return rows;
}

/** Bytes of all layers and the config. */
function manifestSizeBytes(manifest: Manifest): number {
  return manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size);
}

type Described = Pick<ListedModel, "details" | "capabilities">;

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
  const template = sources.templates.inspect(templateSourcesOf(content, weights));
  return {
    details: detailsOf(config, weights),
    capabilities: capabilitiesOf({ weights, projectors, template }),
  };
}
