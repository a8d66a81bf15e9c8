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
  /** Members that can't be reached now, and so may be why a model can't be had. */
  away(entry: CatalogEntry): AwayHolders;
}

/** Names of members that can't be reached. */
export interface AwayHolders {
  /** Said, when they were last heard, that they hold the model. */
  readonly holders: readonly string[];
  readonly others: readonly string[];
}

/** Members named in a message; the rest is counted. */
const NAMED_MAX = 5;

/** The catalog knows the model, and nobody who can be reached has its blobs. */
export function holdersLost(entry: CatalogEntry, away?: AwayHolders): UnavailableError {
  const model = displayModelName(entry.name);
  const text = `model "${model}" is not on this node, and no node that holds it can be reached`;
  return new UnavailableError("peer_lost", `${text}${hintOf(away)}`, { retryAfterMs: 5_000 });
}

function hintOf(away: AwayHolders | undefined): string {
  if (away === undefined) return "";
  const { holders, others } = away;
  if (holders.length > 0) {
    const [verb, object] = holders.length === 1 ? ["holds", "it"] : ["hold", "one of them"];
    const are = holders.length === 1 ? "is" : "are";
    return `: ${listed(holders)} ${verb} it and ${are} down; start ${object} again`;
  }
  if (others.length === 0) return "";
  return `: ${listed(others)} ${others.length === 1 ? "is" : "are"} down and may hold it`;
}

function listed(names: readonly string[]): string {
  const named = names.slice(0, NAMED_MAX);
  const more = names.length - named.length;
  const all = more > 0 ? [...named, `${more} more`] : named;
  return all.length < 2 ? all.join() : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
}
