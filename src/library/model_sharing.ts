import type { NodeId } from "../base/mod.ts";
import type { Catalogue, PlacementOptions } from "../core/catalogue/mod.ts";
import {
  type AwayHolders,
  createModelStore,
  type ModelStore,
  type ModelStoreOptions,
} from "../models/mod.ts";
import type {
  BlobPeers,
  BlobStore,
  CatalogEntry,
  Metrics,
  ModelCatalog,
  Transport,
} from "../ports/mod.ts";
import type { CatalogueCommand } from "../protocol/mod.ts";
import type { CatalogueGroup } from "../group/mod.ts";
import type { KnownModels } from "./known_models.ts";
import { LocalCopies } from "./local_copies.ts";
import { entryOf, LocalModels, ReplicatedCatalog } from "./replicated_catalog.ts";
import { BLOB_PURPOSE, SHOW_PURPOSE, type StreamRouter } from "../calls/mod.ts";
import { describeModel } from "./describe.ts";
import { BlobServer } from "./blob_server.ts";
import { askedForBlob, type BlobMember, holdersOfBlob } from "./members.ts";
import { HeldElsewhere, showServer } from "./models_elsewhere.ts";
import { PeerBlobs } from "./peer_blobs.ts";
import { type NamedPinnedFiles, readPinnedFile } from "./pinned_files.ts";
import { PlacementDriver } from "./placement_driver.ts";
import { Quarantine } from "./quarantine.ts";

/** What sharing models takes. */
export interface ModelSharingOptions
  extends
    Omit<ModelStoreOptions, "catalog" | "localCatalog" | "peers" | "elsewhere" | "onFetched"> {
  readonly self: NodeId;
  readonly group: CatalogueGroup;
  /** The same group as clients' requests use it; default {@link group}. */
  readonly requests?: CatalogueGroup;
  readonly blobs: BlobStore;
  /** As {@link BlobServer} wants it. */
  readonly pinned?: NamedPinnedFiles;
  /** The manifests in this node's own folder. */
  readonly folder: ModelCatalog;
  readonly known: Pick<KnownModels, "has" | "note" | "forget" | "isKept" | "keep">;
  /** This node's name, which tells its own models from the cluster's. */
  readonly nodeName: string;
  readonly transport: Pick<Transport, "openStream">;
  readonly router: Pick<StreamRouter, "register">;
  readonly metrics: Metrics;
  /** All admitted members but this one. */
  readonly members: () => readonly BlobMember[];
  /** See `HeldElsewhereParts.away`. */
  readonly away?: (manifestDigest: string) => AwayHolders;
  /** Whether this node is drained. */
  readonly isDrained: () => boolean;
  /** Where this node keeps blobs; undefined = can't be told. */
  readonly freeBytes: () => Promise<number | undefined>;
  /** Tells the other nodes how many bytes are free here. */
  readonly tellFreeBytes?: (freeBytes: number) => void;
  readonly placement: PlacementOptions;
  /** Clears old garbage out of the folder once, when it is first in line with the catalogue; absent = never. */
  readonly prune?: () => Promise<void>;
  /** Called with the digests of the manifests that this node holds whole, after they changed. */
  readonly onHeldChanged?: (held: readonly string[]) => void;
}

/**
 * The models of a node in a cluster: a store over the catalogue that all nodes agree on, a folder that is kept in line with
 * it, and blobs that go from node to node.
 */
export class ModelSharing {
  readonly catalog: ReplicatedCatalog;
  readonly models: ModelStore;
  /** Where blobs are had from that are not here. */
  readonly peers: BlobPeers;
  readonly copies: LocalCopies;
  readonly placement: PlacementDriver;
  readonly quarantine: Quarantine;
  /** A file of {@link ModelSharingOptions.pinned}, from here or from whichever other member has it; undefined = nobody. */
  readonly pinnedFile: (
    packageName: string,
    name: string,
  ) => Promise<ReadableStream<Uint8Array> | undefined>;

  constructor(options: ModelSharingOptions) {
    const { group, blobs, folder, onHeldChanged } = options;
    this.pinnedFile = async (packageName, name) => {
      const digest = options.pinned?.digestOf(packageName, name);
      return await options.pinned?.file(packageName, name) ??
        (digest && await readPinnedFile(options, digest));
    };
    this.quarantine = new Quarantine({
      ...options,
      isElsewhere: (digest) => holdersOfBlob(digest, group.catalogue, options.members()).length > 0,
      onBlobLost: () => this.copies.noteChanged("all"),
    });
    options.router.register(
      BLOB_PURPOSE,
      new BlobServer({ ...options, isQuarantined: (digest) => this.quarantine.has(digest) }),
    );
    const peers = this.peers = new PeerBlobs({
      ...options,
      holdersOf: (digest) => askedForBlob(digest, group.catalogue, options.members()),
      saysToHold: (digest, nodeId) =>
        holdersOfBlob(digest, group.catalogue, options.members())
          .some((holder) => holder.nodeId === nodeId),
      reportCorrupt: (digest, nodeId) => this.quarantine.report(digest, nodeId),
    });
    const elsewhere = new HeldElsewhere({
      ...options,
      describeAt: (peer, entry) => describeModel(options, peer, entry),
    });
    const locals = new LocalModels({
      known: options.known,
      catalogued: (name) => group.catalogue.findModel(name),
      nodeName: () => options.nodeName,
    });
    this.catalog = new ReplicatedCatalog({
      ...options,
      group: options.requests ?? group,
      copies: () => this.copies,
      locals,
    });
    this.models = createModelStore({
      ...options,
      catalog: this.catalog,
      localCatalog: { list: async () => [...await folder.list(), ...catalogued(group.catalogue)] },
      blobs,
      peers,
      elsewhere,
      onFetched: (entry) => this.copies.settle([entry.name]),
    });
    options.router.register(SHOW_PURPOSE, showServer(this.models));
    const copies: LocalCopies = new LocalCopies({
      ...options,
      locals,
      models: this.models,
      onHeldChanged: () => onHeldChanged?.(copies.held()),
    });
    this.copies = copies;
    this.placement = new PlacementDriver({
      ...options,
      models: this.models,
      copies,
      options: options.placement,
    });
  }

  /** Once the group runs. */
  start(): void {
    this.copies.start();
    this.placement.start();
    this.quarantine.look();
  }

  /** Entries with commands of these kinds were applied; `"all"`: any, as after a snapshot. Cheap. */
  noteApplied(kinds: ReadonlySet<CatalogueCommand["kind"]> | "all"): void {
    const has = (...of: readonly CatalogueCommand["kind"][]) =>
      kinds === "all" || of.some((kind) => kinds.has(kind));
    if (has("put_model", "copy_model", "delete_model")) this.copies.noteNews();
    if (has("quarantine_blob")) this.quarantine.look();
  }

  /** Resolves when nothing is fetched, read or written any more. */
  async close(): Promise<void> {
    await this.placement.close();
    await this.copies.close();
    await this.quarantine.settled();
  }
}

/** Everything the cluster names, whatever a node's own models hide of it. */
function catalogued(catalogue: Catalogue): readonly CatalogEntry[] {
  return catalogue.models().flatMap((model) => entryOf(model) ?? []);
}
