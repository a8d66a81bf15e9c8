import type { ModelName } from "../../protocol/mod.ts";
import { modelKey } from "./apply_models.ts";

/** A name and the manifest it points at, by the hash of the manifest's bytes in hex. */
export interface NamedManifest {
  readonly name: ModelName;
  readonly manifestDigest: string;
}

/** What decides over the manifests in a node's folder. */
export interface LocalModelFacts {
  /** What the folder holds. */
  readonly local: readonly NamedManifest[];
  /** What the catalogue says, as of now or later than anything `known` remembers. */
  readonly catalogue: readonly NamedManifest[];
  /** Whether the catalogue is known to have pointed the name at this manifest before. */
  isKnown(model: NamedManifest): boolean;
  /** Whether all blobs of a manifest of the catalogue are on this node. */
  isWholeHere(manifestDigest: string): boolean;
}

/** What to do to the folder, or to tell the catalogue. */
export type LocalModelOrder =
  /** The catalogue's manifest goes into the folder, in place of what may be there. */
  | { readonly kind: "write"; readonly name: ModelName; readonly manifestDigest: string }
  /**
   * What the folder has under the name goes; by `write` too where one follows for the name. With `blobs: "kept"` its blobs
   * stay until the folder is pruned.
   */
  | {
    readonly kind: "remove";
    readonly name: ModelName;
    readonly manifestDigest: string;
    readonly because: "deleted" | "replaced" | "conflict";
    readonly blobs: "removed" | "kept";
  }
  /** The catalogue has never heard of it: it is to be told. */
  | { readonly kind: "import"; readonly name: ModelName; readonly manifestDigest: string };

/**
 * Brings the folder of a node and the cluster's catalogue together. The catalogue wins every name it has. What it does not
 * have was deleted while the node looked away, if it is known to have been there, and else is new to the cluster. By name.
 */
export function reconcileModels(facts: LocalModelFacts): readonly LocalModelOrder[] {
  const local = new Map(facts.local.map((model) => [modelKey(model.name), model]));
  const wanted = new Map(facts.catalogue.map((model) => [modelKey(model.name), model]));
  const keys = [...new Set([...local.keys(), ...wanted.keys()])].sort();
  return keys.flatMap((key) => reconcileName(local.get(key), wanted.get(key), facts));
}

function reconcileName(
  local: NamedManifest | undefined,
  wanted: NamedManifest | undefined,
  facts: LocalModelFacts,
): readonly LocalModelOrder[] {
  if (wanted === undefined) return local === undefined ? [] : [judgeUnlisted(local, facts)];
  const { name, manifestDigest } = wanted;
  if (local?.manifestDigest === manifestDigest) return [];
  const orders: LocalModelOrder[] = [];
  if (local !== undefined) {
    const isKnown = facts.isKnown(local);
    orders.push({
      kind: "remove",
      ...local,
      because: isKnown ? "replaced" : "conflict",
      // Bytes that were never the cluster's are the user's: they get the time until the next prune.
      blobs: isKnown ? "removed" : "kept",
    });
  }
  if (facts.isWholeHere(manifestDigest)) orders.push({ kind: "write", name, manifestDigest });
  return orders;
}

function judgeUnlisted(local: NamedManifest, facts: LocalModelFacts): LocalModelOrder {
  if (!facts.isKnown(local)) return { kind: "import", ...local };
  return { kind: "remove", ...local, because: "deleted", blobs: "removed" };
}
