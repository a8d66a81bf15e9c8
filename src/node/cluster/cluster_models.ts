import { createModelStore, type ModelStore, type ModelStoreOptions } from "../../models/mod.ts";
import type { ModelCatalog } from "../../ports/mod.ts";
import type { CatalogueGroup } from "./catalogue_group.ts";
import type { KnownModels } from "./known_models.ts";
import { LocalCopies } from "./local_copies.ts";
import { ReplicatedCatalog } from "./replicated_catalog.ts";

/** What {@link createClusterModels} puts together. */
export interface ClusterModelsOptions extends Omit<ModelStoreOptions, "catalog" | "localCatalog"> {
  readonly group: CatalogueGroup;
  /** The manifests in this node's own folder. */
  readonly folder: ModelCatalog;
  readonly known: Pick<KnownModels, "has" | "note" | "forget">;
  /** As in `LocalCopiesParts`. */
  readonly prune?: () => Promise<void>;
  /** As in `LocalCopiesParts`. */
  readonly onHeldChanged?: () => void;
}

/** The models of a node in a cluster. */
export interface ClusterModels {
  readonly catalog: ReplicatedCatalog;
  readonly models: ModelStore;
  /** To be started once the group runs, and told of changes of the catalogue. */
  readonly copies: LocalCopies;
}

/** A model store over the cluster's catalogue, and what keeps this node's folder in line with it. */
export function createClusterModels(options: ClusterModelsOptions): ClusterModels {
  const { group, folder, clock } = options;
  const catalog = new ReplicatedCatalog({
    group,
    clock,
    settle: (names) => copies.settle(names),
  });
  const models = createModelStore({ ...options, catalog, localCatalog: folder });
  const copies: LocalCopies = new LocalCopies({ ...options, models });
  return { catalog, models, copies };
}
