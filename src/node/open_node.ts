import { Inference, Vocabularies } from "../answers/mod.ts";
import type { Config } from "../config/mod.ts";
import type { CatalogueGroup } from "../group/mod.ts";
import { openIncidents } from "../incidents/mod.ts";
import { type BlobMember, type ModelSharing, onlyHere } from "../library/mod.ts";
import { openSleeping, openWaking, type Sleeping, type WakeDriver } from "../members/mod.ts";
import { drawId } from "../http/mod.ts";
import type { PeersWork, SharedJournals, SharedResponses } from "../responses/mod.ts";
import { UnavailableError } from "../base/mod.ts";
import { Credentials, roomGauges, setNodeGauges, tenantWeight } from "../operators/mod.ts";
import {
  type CatalogueCommand,
  encodeApiKey,
  encodeJoinToken,
  manifestPrefixOf,
} from "../protocol/mod.ts";
import { hashSecret, tokenVerifier } from "../transport/mod.ts";
import { lendTo, SplitEngine } from "../shards/mod.ts";
import type { BlobPeers, BlobStore } from "../ports/mod.ts";
import {
  createServing,
  DeviceRooms,
  ownFigures,
  type ProofExchange,
  type SchedulerDriver,
  type Serving,
  SpeedMeter,
} from "../slots/mod.ts";
import {
  Cluster,
  type Machinery,
  type MachineryOptions,
  type NodePorts,
  openMachinery,
} from "./assembly/mod.ts";
import { createNodeApi, type NodeApi } from "./node_api.ts";
import { openDriver, openModels, openResponses } from "./node_parts.ts";

/** What a node is opened with. */
export interface OpenNodeOptions
  extends Pick<MachineryOptions, "version" | "hostName" | "outsideAddress" | "signal" | "onFatal"> {
  readonly config: Config;
  readonly ports: NodePorts;
}

/** A node that takes part in its cluster, and is not served to clients yet. */
export interface OpenNode {
  readonly machinery: Machinery;
  readonly cluster: Cluster;
  readonly sharing: ModelSharing;
  readonly driver: SchedulerDriver;
  readonly serving: Serving;
  readonly api: NodeApi;
  readonly responses: SharedResponses;
  readonly journals: SharedJournals;
  readonly elsewhere: PeersWork;
  readonly credentials: Credentials;
  readonly waking: WakeDriver;
  readonly sleeping: Sleeping;
  readonly saveIncident: ReturnType<typeof openIncidents>;
  /** Sets the gauges that are read when somebody asks. */
  lookAround(): void;
  /** Ends what runs, says goodbye, and closes all but the ports. */
  close(): Promise<void>;
}

/** Kinds of commands by which what lies in this node's folder may change. */
const MODEL_KINDS = ["put_model", "copy_model", "delete_model", "quarantine_blob"] as const;

/** As the contract's call ids have them: small letters and digits. */
const TOOL_CALL_ID_CHARS = 8;

/**
 * Puts a node together over its ports.
 *
 * @throws what {@link openMachinery} throws, and what opening the models folder does. Nothing is left running then.
 */
export async function openNode(options: OpenNodeOptions): Promise<OpenNode> {
  const { config, ports } = options;
  const speed = new SpeedMeter();
  const splitting = new SplitEngine({ ...ports, speed });
  const { gpuReserveBytes: reserveBytes, tensorSplit: shares } = config.scheduler;
  const devices = new DeviceRooms(ports.devices, { reserveBytes, shares });
  await devices.look();
  const late: { machinery?: Machinery } = {};
  const { driver, proofs } = await openDriver(options, {
    ...{ speed, splitting, devices },
    weightOf: (tenant) =>
      late.machinery === undefined ? 1 : tenantWeight(late.machinery.group.catalogue, tenant),
  });
  const machinery = await openMachinery({
    ...ports,
    ...options,
    config: config.cluster,
    dataFolder: config.storage.dataFolder,
    cores: ports.machine.cores,
    open: config.http.open,
  });
  late.machinery = machinery;
  try {
    return await assemble({ ...options, machinery, driver, proofs, speed, splitting, devices });
  } catch (error) {
    await machinery.close();
    throw error;
  }
}

interface Assembly extends OpenNodeOptions {
  readonly machinery: Machinery;
  readonly driver: SchedulerDriver;
  readonly proofs: ProofExchange;
  readonly speed: SpeedMeter;
  readonly splitting: SplitEngine;
  readonly devices: DeviceRooms;
}

async function assemble(parts: Assembly): Promise<OpenNode> {
  const { ports, machinery, driver, speed, devices } = parts;
  const { clock, log, machine, metrics, power } = ports;
  const catalogue = () => machinery.group.catalogue;
  const figures = ownFigures({ driver, devices, speed, clock, catalogue });
  const cluster = new Cluster(machinery, { ...figures, keys: machinery.access.uses });
  const { sharing, blobs, uploads, freeBytes } = await openModels(parts, cluster);
  const lookAtRoom = roomGauges({ freeBytes, devices, driver }, ports.metrics);
  const waking = openWaking({ cluster, power, clock, log, metrics });
  await lendWorkers(parts, cluster, { blobs, peers: sharing.peers });
  ports.cellMoves?.join(cluster);
  parts.proofs.join(cluster);
  const serving = servingOf(parts, cluster, { sharing, waking });
  cluster.start({
    onApplied: ({ kinds }) => noteApplied(sharing, kinds),
    onPeerDoubted: (nodeId) => serving.onPeerDoubted(nodeId),
    onPeerGone: (nodeId) => serving.onPeerGone(nodeId),
  });
  const kept = await openResponses(parts, cluster);
  driver.onChanged(() => cluster.gossip.loadChanged());
  sharing.start();
  const sleeping = sleepingOf(parts, { cluster, serving, sharing });
  const api = createNodeApi({
    inference: inferenceOf(parts, serving),
    vocabularies: new Vocabularies({
      driver: serving.leases,
      models: serving.definitions,
      defaults: { ...parts.config.engine },
      clock: parts.ports.clock,
      drawRequestId: () => crypto.randomUUID(),
    }),
    models: sharing.models,
    blobs,
    uploads,
    driver,
    clock,
    changes: () => cluster.changes(),
    others: { ownName: cluster.settings.self.name, loaded: () => cluster.views.loadedElsewhere() },
  });
  return {
    machinery,
    cluster,
    sharing,
    driver,
    serving,
    api,
    credentials: credentialsOf(machinery, cluster.requests),
    waking,
    sleeping,
    saveIncident: openIncidents({ ...ports, version: parts.version, cluster }),
    responses: kept.responses,
    journals: kept.journals,
    elsewhere: kept.elsewhere,
    lookAround: () =>
      setNodeGauges(
        { cluster, driver, machine, lookAtRoom, sharing, stored: machinery.stored },
        ports.metrics,
      ),
    async close() {
      sleeping.close();
      const cut = serving.servedCount();
      await driver.close();
      await ports.cellMoves?.linger(cut);
      serving.close();
      await sharing.close();
      await cluster.close();
      await kept.close();
    },
  };
}

function inferenceOf({ config, ports }: Assembly, serving: Serving): Inference {
  const { clock, log, metrics, templates, drawSeed, recorder } = ports;
  return new Inference({
    driver: serving.leases,
    ...{ clock, log, metrics, recorder },
    models: serving.definitions,
    templates,
    defaults: { ...config.engine },
    drawSeed,
    drawRequestId: () => crypto.randomUUID(),
    drawId: () => drawId(TOOL_CALL_ID_CHARS),
  });
}

function servingOf(
  parts: Assembly,
  cluster: Cluster,
  { sharing, waking }: { readonly sharing: ModelSharing; readonly waking: WakeDriver },
): Serving {
  const { config, ports, speed, driver, devices } = parts;
  return createServing({
    transport: cluster.transport,
    router: cluster.router,
    driver,
    models: sharing.models,
    holders: (manifestDigest) => cluster.views.holders(manifestDigest),
    catchUp: () => cluster.catchUp(),
    away: (manifestDigest) => cluster.views.awayHolders(manifestDigest),
    waking,
    moves: ports.cellMoves,
    self: cluster.settings.self,
    isDrained: () => cluster.views.isDrained(),
    ownFigures: () => ({
      availableBytes: devices.told(driver.view().instances)
        .reduce((sum, { freeBytes }) => sum + freeBytes, driver.availableBytes()),
      ...speed.figures(),
    }),
    defaults: config.engine,
    ...{ clock: ports.clock, log: ports.log, metrics: ports.metrics },
  });
}

/** Lets models be computed by several nodes: led here, and by workers here. */
async function lendWorkers(
  { ports, driver, devices, splitting }: Assembly,
  { transport, router, settings, views }: Cluster,
  weights: { readonly blobs: BlobStore; readonly peers: BlobPeers },
): Promise<void> {
  const ranges = await ports.openRanges?.();
  const isDrained = () => views.isDrained();
  const { self } = settings;
  lendTo(router, { ...ports, ...weights, ranges, driver, devices, isDrained, self });
  splitting.join({ transport, self, others: () => views.computing() });
}

/** Requests that run or wait here, or run for this node elsewhere. */
export function openRequests({ driver, serving }: Pick<OpenNode, "driver" | "serving">): number {
  const { running, waiting } = driver.view();
  return running + waiting + serving.leasedElsewhere();
}

function sleepingOf(
  { config, ports, driver }: Assembly,
  by: { readonly cluster: Cluster; readonly serving: Serving; readonly sharing: ModelSharing },
): Sleeping {
  const { cluster, serving, sharing } = by;
  const mayWake = ({ standing, asleep }: BlobMember) => standing === "alive" || asleep;
  return openSleeping({
    ...ports,
    ...{ cluster, config: config.cluster },
    requests: () => openRequests({ driver, serving }),
    onlyHere: () => onlyHere(sharing, cluster.group.catalogue, cluster.views.stayers(mayWake)),
    holds: () => sharing.copies.held().map(manifestPrefixOf),
  });
}

function noteApplied(
  sharing: ModelSharing,
  kinds: ReadonlySet<CatalogueCommand["kind"]> | undefined,
): void {
  if (kinds === undefined || MODEL_KINDS.some((kind) => kinds.has(kind))) {
    sharing.noteApplied("all");
  }
}

function credentialsOf(machinery: Machinery, group: CatalogueGroup): Credentials {
  return new Credentials({
    group,
    clock: machinery.clock,
    drawBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    hashSecret,
    tokenVerifier,
    authority: machinery.authority,
    encodeToken: ({ id, secret }, authorityKey) =>
      encodeJoinToken({ tokenId: id, secret, authorityKey }),
    encodeKey: ({ id, secret }) =>
      encodeApiKey({ keyId: id, secret, authorityKey: authorityKeyOf(machinery) }),
  });
}

function authorityKeyOf({ stored }: Machinery): Uint8Array<ArrayBuffer> {
  const authority = stored.membership?.authority;
  if (authority === undefined) throw new UnavailableError("stopping", "this node has left");
  return authority.publicKey;
}
