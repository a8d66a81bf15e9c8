import { errorMessage, isEdgeError, type NodeId } from "../base/mod.ts";
import type { Config } from "../config/mod.ts";
import {
  CONNECTION_TIMES,
  createHttpApp,
  type HttpApp,
  type HttpListener,
  type HttpSettings,
  isLoopback,
  listenHttp,
  ownAddresses,
} from "../http/mod.ts";
import { CATALOGUE_SCHEMA, type Scope } from "../protocol/mod.ts";
import { createImageFetcher } from "../models/mod.ts";
import { lockFolder, pageFilesIn } from "../storage/mod.ts";
import { createLog, LogRing, PromMetrics, watchStalls } from "../telemetry/mod.ts";
import type { Machinery, NodePorts } from "./assembly/mod.ts";
import { type ModelSharing, onlyHere, placementOf } from "../library/mod.ts";
import { systemClock, type SystemParts, systemPorts } from "./system_ports.ts";
import { RoundTrips } from "../shards/mod.ts";
import { ownCpuMs } from "../slots/mod.ts";
import { Admin, lookBeforeRender } from "../operators/mod.ts";
import { type OpenNode, openNode, openRequests } from "./open_node.ts";

/** How often a draining node looks whether its last answer has ended. */
const DRAIN_LOOK_MS = 20;
/** How long the first key waits for members to know what it is. */
const SCHEMA_WAIT_MS = 10_000;
/** How long a starting node waits for the catalogue to be in line with its folder. */
const SETTLE_WAIT_MS = 2_000;
/** How long it waits to know what its models' templates can do: after the first start that is remembered. */
const INSPECT_WAIT_MS = 100;

/** What a node is started with besides its configuration. */
export interface NodeOptions extends SystemParts {
  readonly version: string;
  /** Aborted when the start is to be given up: joining may take long. */
  readonly signal: AbortSignal;
}

/** A node that serves. */
export interface RunningNode {
  readonly address: { readonly hostname: string; readonly port: number };
  /**
   * Graceful: refuses new requests, lets running answers finish up to the configured limit, ends runners, closes
   * sockets, frees the data folder. Later calls wait for the first.
   */
  stop(): Promise<void>;
  /** Resolves when the node is gone; `again`: to be started once more, as it was. */
  readonly finished: Promise<"stopped" | "again">;
  /** What clients on other machines of a private network may do without a key. */
  openScopes(): readonly Scope[];
  /**
   * The key that a first start makes where other machines can reach the node, and that is shown nowhere else. Undefined when
   * there ever was one, or it could not be made.
   */
  readonly firstKey: Promise<string | undefined>;
}

/**
 * Starts one node and resolves when it serves.
 *
 * @throws StorageError `data_folder_locked` when another node uses the data folder; RequestError `join_refused`; what
 *   listening, joining and opening the folders throw. Nothing is left running in any case.
 */
export async function startNode(config: Config, options: NodeOptions): Promise<RunningNode> {
  const clock = systemClock;
  const { telemetry } = config;
  const printed = createLog({ level: telemetry.logLevel, format: telemetry.logFormat, clock });
  const log = new LogRing({ next: printed, level: telemetry.logLevel, clock });
  const metrics = new PromMetrics({ clock, version: options.version });
  const lock = await lockFolder(config.storage.dataFolder);
  try {
    return await startServing({
      ...options,
      config,
      ports: systemPorts({ ...options, config, log, metrics }),
      readLogs: (wanted, signal) => log.read(wanted, signal),
      releaseLock: () => lock.release(),
    });
  } catch (error) {
    lock.release();
    throw error;
  }
}

interface Wiring extends NodeOptions {
  readonly config: Config;
  readonly ports: NodePorts;
  readonly readLogs: LogRing["read"];
  readonly releaseLock: () => void;
}

async function startServing(wiring: Wiring): Promise<RunningNode> {
  const { log } = wiring.ports;
  const fatal = Promise.withResolvers<string>();
  const open = await openNode({
    ...wiring,
    hostName: ownName(),
    outsideAddress,
    onFatal: fatal.resolve,
  });
  try {
    const node = await serve(wiring, open);
    void fatal.promise.then((reason) => {
      log.log("error", "node_cannot_go_on", { reason });
      return node.stop();
    });
    return node;
  } catch (error) {
    await open.machinery.close();
    throw error;
  }
}

async function serve(parts: Wiring, open: OpenNode): Promise<RunningNode> {
  const { config, ports } = parts;
  const { machinery, sharing, api, cluster } = open;
  const { clock, log, metrics } = ports;
  const stopping: Stopping = { stop: async () => {}, isToStartAgain: false };
  const app = createHttpApp({
    client: api,
    responses: open.responses,
    journals: open.journals,
    elsewhere: open.elsewhere,
    admin: adminOf(parts, open, stopping),
    access: machinery.access,
    keyMeter: machinery.access.uses.meter,
    attribute: (by, act) => machinery.attribution.attribute(by, act),
    page: pageFilesIn(parts.pageFolder),
    ...(config.http.fetchImages && {
      fetchImage: createImageFetcher({ clock, userAgent: `odist/${parts.version}` }),
    }),
    metrics: lookBeforeRender(metrics, () => open.lookAround()),
    log,
    clock,
    config: httpSettings(config, cluster),
    version: parts.version,
  });
  open.sleeping.count(() => app.openRequests());
  serveKeyHolders(machinery, app);
  await settled(sharing);
  const stalls = watchStalls({ clock, metrics, log, cpuMs: ownCpuMs });
  const listener = await listen(parts, app);
  cluster.gossip.tellHttp(listener.address);
  const node = running(listener, {
    ...parts,
    open,
    app,
    drainTimeoutMs: config.http.drainTimeoutMs,
    stopWatching: () => stalls.stop(),
    firstKey: firstKeyOf(parts, open, listener.address.hostname),
    stopping,
  });
  // The first request needn't wait for it, and no start does.
  ports.templates.warm();
  stopping.stop = () => node.stop();
  return node;
}

/** Whoever reads the first line may ask for a model at once. Without a quorum there is nothing to wait for. */
async function settled({ copies, models }: ModelSharing): Promise<void> {
  await Promise.race([copies.settledOnce, delay(SETTLE_WAIT_MS)]);
  await Promise.race([models.inspectTemplates(), delay(INSPECT_WAIT_MS)]);
}

function serveKeyHolders(machinery: Machinery, app: HttpApp): void {
  machinery.serveClients((request, { gone, ...client }) =>
    app.fetch(request, { gone, sender: { kind: "key_holder", ...client } })
  );
}

function httpSettings(config: Config, cluster: OpenNode["cluster"]): HttpSettings {
  const { http, storage, telemetry } = config;
  return {
    hiddenFolders: [
      { path: storage.modelsFolder, shownAs: "{models}" },
      { path: storage.dataFolder, shownAs: "{data}" },
    ],
    bindAddress: http.host.hostname,
    ownNames: [Deno.hostname(), http.host.hostname],
    isOwnAddress,
    allowedHosts: http.allowedHosts,
    extraOrigins: http.origins,
    bodyBytesMax: http.bodyBytesMax,
    mediaBytesMax: http.mediaBytesMax,
    isMemberOrigin: (origin) =>
      cluster.views.others().some(({ nodeId }) => cluster.seen(nodeId)?.api === origin),
    nodeName: cluster.settings.self.name,
    metrics: telemetry.metrics,
  };
}

function adminOf(
  { version, readLogs }: Wiring,
  { machinery, cluster, serving, sharing, credentials, waking, driver, saveIncident }: OpenNode,
  stopping: Stopping,
): Admin {
  const { group, views, settings: { self, clusterId } } = cluster;
  const trips = new RoundTrips(systemClock);
  return new Admin({
    self: { ...self, clusterId, version },
    group: cluster.requests,
    changes: () => cluster.changes(),
    seen: (nodeId: NodeId) => cluster.seen(nodeId),
    connections: () => cluster.transport.connections(),
    roundTrips: (peers) => trips.measure(cluster.transport, peers),
    clock: systemClock,
    credentials,
    tenants: () => driver.tenants(),
    modelsHereAlone: () =>
      onlyHere(sharing, group.catalogue, views.stayers(({ standing }) => standing === "alive")),
    webTransport: () => machinery.webTransport(),
    depart: async () => {
      await cluster.forget();
      // The answer to who asked goes out first: a stopping node finishes what runs.
      void stopping.stop();
    },
    recover: async () => {
      await machinery.recovery.prepare();
      stopping.isToStartAgain = true;
      void stopping.stop();
    },
    warnings: () => machinery.recovery.warnings(),
    logs: readLogs,
    saveIncident,
    backendFile: (packageName, file) => sharing.pinnedFile(packageName, file),
    wake: (nodeId) => waking.wake(nodeId),
    routes: serving.journal,
    placement: () => placementOf(sharing, group.catalogue, { self, views }),
  });
}

/** Where only this machine reaches a node, or all is open, nobody needs a key. */
async function firstKeyOf(
  { config, ports: { log } }: Wiring,
  { machinery, credentials }: OpenNode,
  boundTo: string,
): Promise<string | undefined> {
  if (isLoopback(boundTo) || config.http.open === "all") return undefined;
  try {
    await newestSchema(machinery);
    return await credentials.createFirstKey();
  } catch (error) {
    if (!isEdgeError(error)) throw error;
    log.log("warn", "first_key_not_made", { reason: errorMessage(error) });
    return undefined;
  }
}

/** A cluster that has just begun takes a moment to agree on what its members know. */
async function newestSchema({ group, clock }: Machinery): Promise<void> {
  const reached = Promise.withResolvers<void>();
  const look = () => {
    if (group.catalogue.schema >= CATALOGUE_SCHEMA) reached.resolve();
  };
  const stop = group.onApplied(look);
  const timer = clock.after(SCHEMA_WAIT_MS, () => reached.resolve());
  look();
  await reached.promise;
  timer.cancel();
  stop();
}

function listen({ config, ports }: Wiring, app: HttpApp): Promise<HttpListener> {
  const { host, connectionsMax, connectionsPerAddressMax } = config.http;
  return listenHttp({
    ...host,
    log: ports.log,
    metrics: ports.metrics,
    clock: systemClock,
    limits: { ...CONNECTION_TIMES, connectionsMax, connectionsPerAddressMax },
    isOwn: isOwnAddress,
    answer: async (request, { address, ...connection }) => {
      const sender = { kind: "machine", address, isOwn: isOwnAddress(address) } as const;
      return await app.fetch(request, { ...connection, sender });
    },
  });
}

/** How a node is ended by what its clients ask. */
interface Stopping {
  stop: () => Promise<void>;
  isToStartAgain: boolean;
}

interface Stoppable extends Wiring {
  readonly stopping: Stopping;
  readonly open: OpenNode;
  readonly app: HttpApp;
  readonly drainTimeoutMs: number;
  readonly stopWatching: () => void;
  readonly firstKey: Promise<string | undefined>;
}

function running(listener: HttpListener, parts: Stoppable): RunningNode {
  let stopping: Promise<void> | undefined;
  const finished = Promise.withResolvers<"stopped" | "again">();
  const finish = () => finished.resolve(parts.stopping.isToStartAgain ? "again" : "stopped");
  return {
    address: listener.address,
    finished: finished.promise,
    openScopes: () => parts.open.machinery.access.openScopes("private"),
    firstKey: parts.firstKey,
    stop() {
      stopping ??= stop(listener, parts).then(finish, finished.reject);
      return stopping;
    },
  };
}

async function stop(listener: HttpListener, parts: Stoppable): Promise<void> {
  const { app, open, ports: { log, templates }, drainTimeoutMs } = parts;
  const { driver, api } = open;
  log.log("info", "node_stopping", { running: driver.view().running });
  app.stopAdmitting();
  api.stopAdmitting();
  driver.stopAdmitting();
  // The others can go on with changes while the last answers end here.
  await Promise.all([open.cluster.releaseVote(), drained(open, drainTimeoutMs)]);
  // Answers that outlived the limit end with their error line before the sockets close.
  await open.close();
  const closed = listener.shutdown();
  await Promise.race([closed, delay(1000)]);
  await templates.close();
  parts.stopWatching();
  parts.releaseLock();
  log.log("info", "node_stopped");
}

/** Resolves when nothing runs or waits any more, here or for this node elsewhere, or when the limit is over. */
async function drained(
  open: Pick<OpenNode, "driver" | "serving">,
  limitMs: number,
): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + limitMs;
  for (;;) {
    if (openRequests(open) === 0 || systemClock.monotonicMs() >= deadlineMs) return;
    await delay(DRAIN_LOOK_MS);
  }
}

function delay(ms: number): Promise<void> {
  // Referenced on purpose: while a node drains, this may be all that keeps its process alive.
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const isOwnAddress = ownAddresses({
  read: () => Deno.networkInterfaces().map(({ address }) => address),
  monotonicMs: () => systemClock.monotonicMs(),
});

/** An address of this machine that other machines may reach. */
function outsideAddress(): string | undefined {
  return Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !address.startsWith("127.") && !address.startsWith("169.254.")
  )?.address;
}

/** This machine's name, with what no header may carry taken out. */
function ownName(): string {
  return Deno.hostname().replaceAll(/[^a-zA-Z0-9._-]/g, "-").slice(0, 64) || "localhost";
}
