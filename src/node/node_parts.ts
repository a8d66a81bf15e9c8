import { join } from "node:path";
import type { Config } from "../config/mod.ts";
import { TemplateInspector, UploadQuota } from "../models/mod.ts";
import type { BlobStore } from "../ports/mod.ts";
import { manifestPrefixOf, parseAddress, splitAddresses } from "../protocol/mod.ts";
import { openBackendFolder } from "../inference/mod.ts";
import { KnownModels, ModelSharing } from "../library/mod.ts";
import { JournalBook } from "../core/journals/mod.ts";
import {
  JournalServer,
  PeersWork,
  ResponseFolder,
  ResponseServer,
  SharedJournals,
  SharedResponses,
  WorkServer,
} from "../responses/mod.ts";
import { JOURNAL_PURPOSE, RESPONSE_PURPOSE, WORK_PURPOSE } from "../calls/mod.ts";
import type { SplitEngine } from "../shards/mod.ts";
import { clusterFolderOf } from "./foundation.ts";
import {
  type DeviceRooms,
  meteredEngine,
  openProving,
  type ProofExchange,
  SchedulerDriver,
  type SpeedMeter,
} from "../slots/mod.ts";
import type { Cluster, NodePorts, StoredModels } from "./assembly/mod.ts";

/** Loaded models at most when the configuration leaves it open (contract 4.2), by GPU where there are any. */
const AUTO_LOADED_MODELS_MAX = 3;
/** Copies of a model where the configuration leaves it open. */
const AUTO_REPLICAS = 2;

/** What the parts of a node are made with. */
export interface PartsOptions {
  readonly config: Config;
  readonly ports: NodePorts;
  readonly version: string;
}

/** The scheduler of this node's own runners. */
export async function openDriver(
  { config, ports }: PartsOptions,
  by: {
    readonly speed: SpeedMeter;
    readonly splitting: SplitEngine;
    readonly devices: DeviceRooms;
    readonly weightOf: (tenant: string) => number;
  },
): Promise<{ readonly driver: SchedulerDriver; readonly proofs: ProofExchange }> {
  const { scheduler } = config;
  const { machine, clock, log, metrics, recorder } = ports;
  const { speed, splitting, devices, weightOf } = by;
  const reserveBytes = scheduler.memoryReserveBytes;
  const file = ports.openFile(join(config.storage.dataFolder, "proofs.json"));
  const proving = await openProving({ engine: splitting, file, clock, log, reserveBytes });
  const { prover } = proving;
  const keepsOnDisk = config.storage.cacheDiskBytes > 0;
  const driver = new SchedulerDriver({
    ...{ splitting, prover, clock, machine, devices, log, metrics, weightOf, recorder },
    engine: meteredEngine(proving.engine, speed, { ...ports, keepsOnDisk }),
    memoryLimitBytes: scheduler.memoryLimitBytes || Infinity,
    kvOffload: config.engine.kvOffload,
    loadTimeoutMs: scheduler.loadTimeoutMs,
    options: {
      loadedModelsMax: scheduler.loadedModelsMax ||
        AUTO_LOADED_MODELS_MAX * Math.max(1, devices.rooms().length),
      queueRequestsMax: scheduler.queueRequestsMax,
      keepAliveMs: scheduler.keepAliveMs,
      reserveBytes,
      cores: machine.cores,
      threads: scheduler.threads,
    },
  });
  return { driver, proofs: proving.exchange };
}

/** The models of this node in its cluster, and the blobs below them. */
export async function openModels(
  options: PartsOptions,
  cluster: Cluster,
): Promise<{
  readonly sharing: ModelSharing;
  readonly blobs: BlobStore;
  readonly uploads: UploadQuota;
  readonly freeBytes: StoredModels["freeBytes"];
}> {
  const { config, ports } = options;
  const { clock, log, metrics, quantizer, registryKey } = ports;
  const { dataFolder, prune, allowsPrivateRegistry } = config.storage;
  const { settings, group, requests, transport, router } = cluster;
  const stored = await ports.openModels();
  const { blobs, catalog: folder } = stored;
  const freeBytes = () => stored.freeBytes();
  const known = await KnownModels.open(
    ports.openFile(join(clusterFolderOf(dataFolder), "known_models.json")),
    settings.clusterId,
  );
  if (known.isNew) {
    // Only once: whoever deletes it does not want it back with the next start of some node.
    await stored.addEmbedded();
    await known.begin();
  }
  const sharing = new ModelSharing({
    self: settings.self.nodeId,
    nodeName: settings.self.name,
    group,
    requests,
    blobs,
    pinned: openBackendFolder(dataFolder, { command: [], env: {} }),
    folder,
    known,
    transport,
    router,
    metrics,
    clock,
    log,
    templates: await TemplateInspector.open({
      workers: ports.templates,
      file: ports.openFile(join(dataFolder, "templates.json")),
    }),
    quantizer,
    userAgent: userAgentOf(options.version),
    registryKey,
    allowsPrivateRegistry,
    noPrune: !prune,
    members: () => cluster.views.members(),
    away: (manifestDigest) => cluster.views.awayHolders(manifestDigest),
    isDrained: () => cluster.views.isDrained(),
    freeBytes,
    tellFreeBytes: (bytes) => cluster.gossip.tellDisk({ freeBytes: bytes }),
    placement: {
      replicasDefault: config.cluster.replicas || AUTO_REPLICAS,
      replicateAfterMs: config.cluster.replicateAfterMs,
      repairAfterMs: config.cluster.repairAfterMs,
    },
    ...(prune && {
      prune: () => stored.prune(group.catalogue.referencedBlobs()),
    }),
    onHeldChanged: (held) => cluster.gossip.tellInventory(held.map(manifestPrefixOf)),
  });
  const uploads = new UploadQuota({
    blobs,
    usedBlobs: () => group.catalogue.referencedBlobs(),
    freeBytes,
  });
  return { sharing, blobs, uploads, freeBytes };
}

/** Responses that clients may come back for, here and on another node. */
export async function openResponses(
  { config, ports }: PartsOptions,
  cluster: Cluster,
): Promise<
  {
    readonly responses: SharedResponses;
    readonly journals: SharedJournals;
    readonly elsewhere: PeersWork;
    close(): Promise<void>;
  }
> {
  const { clock, log, drawSeed } = ports;
  const { transport } = cluster;
  const members = () =>
    cluster.views.members().map(({ address, standing, drained }) => ({
      ...{ address, standing, drained },
      name: cluster.group.catalogue.findMember(address.nodeId)?.label ?? "",
    }));
  const disk = await ports.openDisk(join(config.storage.dataFolder, "responses"));
  const folder = await ResponseFolder.open(disk, { clock });
  const run = crypto.randomUUID();
  cluster.router.register(RESPONSE_PURPOSE, new ResponseServer({ folder, clock, run }));
  const peers = { members, transport, clock, log };
  const { self } = cluster.settings;
  const responses = new SharedResponses({ self, run, folder, drawSeed, ...peers });
  const elsewhere = new PeersWork(peers);
  cluster.router.register(WORK_PURPOSE, new WorkServer(() => elsewhere.own));
  const book = new JournalBook();
  const [address = ""] = splitAddresses(cluster.settings.facts.clusterAddress);
  const ownAddress = () => parseAddress(address)?.hostname ?? "";
  const journals = new SharedJournals({ self: self.nodeId, book, ownAddress, ...peers });
  cluster.router.register(JOURNAL_PURPOSE, new JournalServer({ book, journals, clock }));
  const both = [journals, responses];
  const stop = cluster.membership.onMemberChanged(() => both.forEach((it) => it.membersChanged()));
  const close = async () => {
    stop();
    journals.close();
    await folder.close();
  };
  return { responses, journals, elsewhere, close };
}

/** In the form registries know from their usual clients (contract 2.4). */
function userAgentOf(version: string): string {
  const machine = `${Deno.build.arch === "aarch64" ? "arm64" : "amd64"} ${Deno.build.os}`;
  return `ollama/${version} (${machine}) odist/${version}`;
}
