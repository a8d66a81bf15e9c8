import { UnavailableError } from "../base/mod.ts";
import type { CatalogEntry, ListedModel, ShownModel, ShowRequest } from "../ports/mod.ts";
import { displayModelName } from "../protocol/mod.ts";

/** What a list says of a model besides its manifest. */
export type Described = Pick<ListedModel, "details" | "capabilities">;

/** Asks nodes that hold a model what its blobs say. Both resolve within seconds, with undefined when no holder answers. */
export interface ModelsElsewhere {
  describe(entry: CatalogEntry): Promise<Described | undefined>;
  /** @throws what the holder refuses the request with. */
  show(entry: CatalogEntry, request: ShowRequest): Promise<ShownModel | undefined>;
}

/** The catalog knows the model, and nobody who can be reached has its blobs. */
export function holdersLost(entry: CatalogEntry): UnavailableError {
  return new UnavailableError(
    "peer_lost",
    `model "${
      displayModelName(entry.name)
    }" is not on this node, and no node that holds it can be reached`,
  );
}
