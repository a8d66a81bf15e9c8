import type { Digest } from "../../base/mod.ts";
import type { Catalogue } from "../../core/cluster/mod.ts";
import { blobsOf } from "../../models/mod.ts";
import type { PeerAddress } from "../../ports/mod.ts";
import { entryOf } from "../catalogue/replicated_catalog.ts";

/** Another admitted member, as far as blobs are concerned. */
export interface BlobMember {
  readonly address: PeerAddress;
  readonly standing: "alive" | "suspect" | "down" | "left" | "unknown";
  readonly drained: boolean;
  /** As it last said; undefined = not told. */
  readonly freeBytes: number | undefined;
  /** Whether it said that it holds all blobs of this manifest. */
  holds(manifestDigest: string): boolean;
}

/** Members that can be asked for a blob: alive, drained or not, and known to hold a manifest that names it. */
export function holdersOfBlob(
  digest: Digest,
  catalogue: Catalogue,
  members: readonly BlobMember[],
): readonly PeerAddress[] {
  const naming = new Set<string>();
  for (const model of catalogue.models()) {
    const entry = naming.has(model.manifestDigest) ? undefined : entryOf(model);
    const names = entry && blobsOf(entry.manifest).some((layer) => layer.digest === digest);
    if (names) naming.add(model.manifestDigest);
  }
  return members
    .filter((member) =>
      member.standing === "alive" && [...naming].some((manifest) => member.holds(manifest))
    )
    .map(({ address }) => address);
}
