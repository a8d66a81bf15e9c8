import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../../config/mod.ts";
import { createEngine, createQuantizer } from "../../inference/mod.ts";
import {
  createTemplateWorkers,
  ensureEmbeddedModel,
  TemplateInspector,
  type TemplateWorkers,
  UploadQuota,
} from "../../models/mod.ts";
import type { BlobStore, Log, Metrics } from "../../ports/mod.ts";
import {
  openBlobStore,
  openModelCatalog,
  openRegistryKey,
  pruneModels,
  writeFileDurably,
} from "../../storage/mod.ts";
import { manifestPrefixOf } from "../../protocol/mod.ts";
import { KnownModels, ModelSharing } from "../../library/mod.ts";
import { systemClock } from "../clock.ts";
import { clusterFolderOf } from "../foundation.ts";
import { type Machine, SchedulerDriver } from "../../slots/mod.ts";
import type { Cluster } from "./cluster.ts";
import { meteredEngine, type SpeedMeter } from "./speed_meter.ts";

/** Loaded models at most when the configuration leaves it open (contract 4.2, no GPU). */
const AUTO_LOADED_MODELS_MAX = 3;
/** Copies of a model where the configuration leaves it open. */
const AUTO_REPLICAS = 2;

/** What the parts of a node are made with. */
export interface PartsOptions {
  readonly config: Config;
  readonly runnerCommand: readonly string[];
  readonly templateWorkerCommand: readonly string[];
  readonly version: string;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The scheduler of this node's own runners. */
export function openDriver(
  options: PartsOptions,
  seen: { readonly machine: Machine; readonly speed: SpeedMeter },
): SchedulerDriver {
  const { config, log, metrics, runnerCommand } = options;
  const { scheduler } = config;
  const { machine, speed } = seen;
  const engine = createEngine({ command: runnerCommand, env: {}, log, clock: systemClock });
  return new SchedulerDriver({
    engine: meteredEngine(engine, speed),
    clock: systemClock,
    machine,
    log,
    metrics,
    loadTimeoutMs: scheduler.loadTimeoutMs,
    options: {
      loadedModelsMax: scheduler.loadedModelsMax || AUTO_LOADED_MODELS_MAX,
      queueRequestsMax: scheduler.queueRequestsMax,
      keepAliveMs: scheduler.keepAliveMs,
      reserveBytes: scheduler.memoryReserveBytes,
      cores: machine.cores,
      threads: scheduler.threads,
    },
  });
}

/** The models of this node in its cluster, and the blobs below them. */
export async function openModels(
  options: PartsOptions & { readonly embeddedModelPath: string },
  from: { readonly cluster: Cluster; readonly machine: Machine },
): Promise<{
  readonly sharing: ModelSharing;
  readonly blobs: BlobStore;
  readonly uploads: UploadQuota;
  readonly templates: TemplateWorkers;
}> {
  const { config, log, metrics, runnerCommand } = options;
  const { cluster, machine } = from;
  const { modelsFolder, dataFolder, prune, allowsPrivateRegistry } = config.storage;
  const nowMs = () => systemClock.nowMs();
  const { settings, group, transport, router } = cluster;
  // What is garbage is known only when this node has caught up with the catalogue.
  const blobs = await openBlobStore(modelsFolder, { log, nowMs, noPrune: true });
  const folder = await openModelCatalog(modelsFolder);
  const known = await KnownModels.open(clusterFolderOf(dataFolder), settings.clusterId);
  if (known.isNew) {
    // Only once: whoever deletes it does not want it back with the next start of some node.
    const ggufPath = options.embeddedModelPath;
    await ensureEmbeddedModel({ blobs, catalog: folder, ggufPath, log });
    await known.begin();
  }
  const templates = await openTemplates(options);
  const sharing = new ModelSharing({
    self: settings.self.nodeId,
    group,
    blobs,
    folder,
    known,
    transport,
    router,
    metrics,
    clock: systemClock,
    log,
    templates: templates.inspector,
    // Half the cores: answers go on while weights are rewritten.
    quantizer: createQuantizer({
      command: runnerCommand,
      env: {},
      threads: Math.max(1, Math.floor(machine.cores / 2)),
    }),
    userAgent: userAgentOf(options.version),
    registryKey: openRegistryKey(join(dataFolder, "id_ed25519")),
    allowsPrivateRegistry,
    noPrune: !prune,
    members: () => cluster.members(),
    isDrained: () => cluster.isDrained(),
    freeBytes: () => freeBytes(modelsFolder),
    tellFreeBytes: (bytes) => cluster.gossip.tellDisk({ freeBytes: bytes }),
    placement: {
      replicasDefault: config.cluster.replicas || AUTO_REPLICAS,
      replicateAfterMs: config.cluster.replicateAfterMs,
      repairAfterMs: config.cluster.repairAfterMs,
    },
    ...(prune && {
      prune: async () => {
        const alsoReferenced = group.catalogue.referencedBlobs();
        await pruneModels(modelsFolder, { log, nowMs, alsoReferenced });
      },
    }),
    onHeldChanged: (held) =>
      cluster.gossip.tellInventory(
        held.map(manifestPrefixOf),
      ),
  });
  const uploads = boundUploads(blobs, { group, modelsFolder });
  return { sharing, blobs, uploads, templates: templates.workers };
}

function boundUploads(
  blobs: BlobStore,
  of: { readonly group: Cluster["group"]; readonly modelsFolder: string },
): UploadQuota {
  return new UploadQuota({
    blobs,
    usedBlobs: () => of.group.catalogue.referencedBlobs(),
    freeBytes: () => freeBytes(of.modelsFolder),
  });
}

/** What renders templates, and remembers what they can do. */
async function openTemplates({ config, templateWorkerCommand }: PartsOptions) {
  const workers = createTemplateWorkers({ command: templateWorkerCommand, clock: systemClock });
  const path = join(config.storage.dataFolder, "templates.json");
  const inspector = await TemplateInspector.open({
    workers,
    file: {
      read: () => Deno.readFile(path).catch(() => undefined),
      write: (bytes) => writeFileDurably(path, bytes),
    },
  });
  return { workers, inspector };
}

async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return undefined; // The system doesn't say.
  }
}

/** In the form registries know from their usual clients (contract 2.4). */
function userAgentOf(version: string): string {
  const machine = `${Deno.build.arch === "aarch64" ? "arm64" : "amd64"} ${Deno.build.os}`;
  return `ollama/${version} (${machine}) odist/${version}`;
}
