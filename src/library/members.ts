import type { Digest } from "../base/mod.ts";
import type { Catalogue } from "../core/catalogue/mod.ts";
import { blobsOf } from "../models/mod.ts";
import type { ModelPlacement, PeerAddress } from "../ports/mod.ts";
import { displayModelName } from "../protocol/mod.ts";
import type { Holder } from "./holders.ts";
import { entryOf } from "./replicated_catalog.ts";

/** Another admitted member, as far as blobs are concerned. */
export interface BlobMember {
  readonly address: PeerAddress;
  readonly standing: "alive" | "suspect" | "down" | "left" | "unknown";
  /** On purpose: its copies count, and it can be woken for them. */
  readonly asleep: boolean;
  readonly drained: boolean;
  /** As it last said; undefined = not told. */
  readonly freeBytes: number | undefined;
  /** Whether it said that it holds all blobs of this manifest. */
  holds(manifestDigest: string): boolean;
}

/** Members asked about what nobody is known to hold. */
const STRANGERS_ASKED_MAX = 16;

/** Members that are alive, drained or not, and said that they hold a manifest which names the blob. */
export function holdersOfBlob(
  digest: Digest,
  catalogue: Catalogue,
  members: readonly BlobMember[],
): readonly PeerAddress[] {
  const naming = manifestsNaming(digest, catalogue);
  return alive(members).filter((member) => naming.some((manifest) => member.holds(manifest)))
    .map(({ address }) => address);
}

/**
 * Whom to ask for a blob that the catalogue names: its holders, or while none is known everybody. A model is in the
 * catalogue at once, and who holds it is heard of a second later.
 */
export function askedForBlob(
  digest: Digest,
  catalogue: Catalogue,
  members: readonly BlobMember[],
): readonly PeerAddress[] {
  const holders = holdersOfBlob(digest, catalogue, members);
  if (holders.length > 0 || manifestsNaming(digest, catalogue).length === 0) return holders;
  return strangers(members);
}

/** As {@link askedForBlob}, for all blobs of a manifest; `areKnown`: they said that they hold it. */
export function askedForManifest(
  manifestDigest: string,
  members: readonly BlobMember[],
): { readonly asked: readonly PeerAddress[]; readonly areKnown: boolean } {
  const holders = alive(members).filter((member) => member.holds(manifestDigest));
  if (holders.length === 0) return { asked: strangers(members), areKnown: false };
  return { asked: holders.map(({ address }) => address), areKnown: true };
}

/** Which members hold each model of the catalogue whole, as they told; this node knows of itself. */
export function placementOf(
  { copies }: { readonly copies: { held(): readonly string[] } },
  catalogue: Catalogue,
  by: {
    readonly self: { readonly name: string };
    readonly views: { holders(manifestDigest: string): readonly Pick<Holder, "name">[] };
  },
): readonly ModelPlacement[] {
  const here = new Set(copies.held());
  const labels = new Map(catalogue.members().map(({ nodeId, label }) => [nodeId, label]));
  return catalogue.models().map(({ name, manifestDigest, pins: pinned }) => {
    const own = here.has(manifestDigest) ? [by.self.name] : [];
    const nodes = [...own, ...by.views.holders(manifestDigest).map(({ name }) => name)];
    const pins = pinned.map((nodeId) => labels.get(nodeId) ?? nodeId).sort();
    return { name: displayModelName(name), digest: manifestDigest, nodes: nodes.sort(), pins };
  });
}

/** Names of the catalogue's models that this node holds and none of `others` does. */
export function onlyHere(
  { copies }: { readonly copies: { held(): Iterable<string> } },
  catalogue: Catalogue,
  others: readonly BlobMember[],
): readonly string[] {
  const held = new Set(copies.held());
  return catalogue.models()
    .filter(({ manifestDigest }) =>
      held.has(manifestDigest) && !others.some((member) => member.holds(manifestDigest))
    )
    .map(({ name }) => displayModelName(name));
}

/** Those who are there, whatever they hold: not more than may be asked. */
export function strangers(members: readonly BlobMember[]): readonly PeerAddress[] {
  return alive(members).slice(0, STRANGERS_ASKED_MAX).map(({ address }) => address);
}

function alive(members: readonly BlobMember[]): readonly BlobMember[] {
  return members.filter(({ standing }) => standing === "alive");
}

function manifestsNaming(digest: Digest, catalogue: Catalogue): readonly string[] {
  const naming = new Set<string>();
  for (const model of catalogue.models()) {
    const entry = naming.has(model.manifestDigest) ? undefined : entryOf(model);
    const names = entry && blobsOf(entry.manifest).some((layer) => layer.digest === digest);
    if (names) naming.add(model.manifestDigest);
  }
  return [...naming];
}
