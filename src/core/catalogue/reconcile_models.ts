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
  /** Whether this node keeps it as its own, beside the catalogue. */
  isKept(model: NamedManifest): boolean;
  /** False: a quorum does not answer, so the catalogue may be an old one, and nothing can be told it. */
  readonly isCurrent: boolean;
  /** Whether all blobs of a manifest of the catalogue are on this node. */
  isWholeHere(manifestDigest: string): boolean;
}

/** What to do to the folder, or to tell the catalogue. */
export type LocalModelOrder =
  /** The catalogue's manifest goes into the folder, in place of what may be there. */
  | { readonly kind: "write"; readonly name: ModelName; readonly manifestDigest: string }
  /**
   * What the folder has under the name goes, as the cluster had it and has it no more; by `write` too where one follows.
   */
  | {
    readonly kind: "remove";
    readonly name: ModelName;
    readonly manifestDigest: string;
    readonly because: "deleted" | "replaced";
  }
  /**
   * The catalogue has the name for another model, and this one was never the cluster's: it stays where it is, as this node's
   * own, and the catalogue's is not written in its place.
   */
  | { readonly kind: "keep"; readonly name: ModelName; readonly manifestDigest: string }
  /** The catalogue has never heard of it: it is to be told. */
  | { readonly kind: "import"; readonly name: ModelName; readonly manifestDigest: string };

/**
 * Brings the folder of a node and the cluster's catalogue together. What the catalogue had once follows it. What was never
 * the cluster's stays in the folder whatever happens: it is offered to the catalogue once a quorum answers, and where the name
 * is taken it stays this node's own. By name.
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
  if (wanted === undefined) return local === undefined ? [] : judgeUnlisted(local, facts);
  const { name, manifestDigest } = wanted;
  if (local?.manifestDigest === manifestDigest) return [];
  const write = facts.isWholeHere(manifestDigest)
    ? [{ kind: "write", name, manifestDigest } as const]
    : [];
  if (local === undefined) return write;
  if (facts.isKnown(local)) return [{ kind: "remove", ...local, because: "replaced" }, ...write];
  return facts.isKept(local) || !facts.isCurrent ? [] : [{ kind: "keep", ...local }];
}

function judgeUnlisted(
  local: NamedManifest,
  facts: LocalModelFacts,
): readonly LocalModelOrder[] {
  if (facts.isKnown(local)) return [{ kind: "remove", ...local, because: "deleted" }];
  return facts.isKept(local) || !facts.isCurrent ? [] : [{ kind: "import", ...local }];
}

/** What a node's own model and the cluster's of one name are asked for by. */
export interface OwnModelFacts {
  /** What the folder holds under the name. */
  readonly local: NamedManifest;
  /** What the catalogue has under it; undefined = nothing. */
  readonly catalogue: Pick<NamedManifest, "manifestDigest"> | undefined;
  readonly isKnown: boolean;
  readonly isKept: boolean;
}

/**
 * Whether a model in the folder is this node's own. `named`: it goes by its name here, before the cluster's, until it was
 * offered; `aside`: the name is the cluster's, so it goes by `name@node`; `no`: it is the cluster's, or was.
 */
export function judgeOwnModel(facts: OwnModelFacts): "named" | "aside" | "no" {
  const { local, catalogue, isKnown, isKept } = facts;
  if (isKnown || catalogue?.manifestDigest === local.manifestDigest) return "no";
  return isKept ? "aside" : "named";
}
