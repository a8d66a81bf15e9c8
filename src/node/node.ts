import { join } from "node:path";
import type { Config } from "../config/mod.ts";
import { createHttpApp, type HttpApp } from "../http/mod.ts";
import { createEngine, createQuantizer } from "../inference/mod.ts";
import { createModelStore, ensureEmbeddedModel } from "../models/mod.ts";
import type { Log, Metrics } from "../ports/mod.ts";
import { lockFolder, openBlobStore, openModelCatalog, openRegistryKey } from "../storage/mod.ts";
import { createLog, PromMetrics, watchStalls } from "../telemetry/mod.ts";
import { systemClock } from "./clock.ts";
import { Inference } from "./inference.ts";
import { LocalClient } from "./local_client.ts";
import { PeerWatch } from "./peer_watch.ts";
import { SchedulerDriver } from "./scheduler_driver.ts";
import { openMachine } from "./system.ts";

/** Loaded models at most when the configuration leaves it open (contract 4.2, no GPU). */
const AUTO_LOADED_MODELS_MAX = 3;
/** How often a draining node looks whether its last answer has ended. */
const DRAIN_LOOK_MS = 20;

/** What a node is started with besides its configuration. */
export interface NodeOptions {
  /** The GGUF that ships with the program. */
  readonly embeddedModelPath: string;
  /** How a runner process is started: program and arguments. */
  readonly runnerCommand: readonly string[];
  readonly version: string;
}

/** A node that serves. */
export interface RunningNode {
  readonly address: { readonly hostname: string; readonly port: number };
  /**
   * Graceful: refuses new requests, lets running answers finish up to the configured limit, ends runners, closes
   * sockets, frees the data folder. Later calls wait for the first.
   */
  stop(): Promise<void>;
  /** Resolves when the node is gone. */
  readonly finished: Promise<void>;
}

/**
 * Starts one node and resolves when it serves.
 *
 * @throws StorageError `data_folder_locked` when another node uses the data folder; what listening and opening the
 *   folders throw. Nothing is left running in any case.
 */
export async function startNode(config: Config, options: NodeOptions): Promise<RunningNode> {
  const clock = systemClock;
  const { telemetry } = config;
  const log = createLog({ level: telemetry.logLevel, format: telemetry.logFormat, clock });
  const metrics = new PromMetrics({ clock, version: options.version });
  const lock = await lockFolder(config.storage.dataFolder);
  try {
    return await startServing(config, {
      ...options,
      log,
      metrics,
      releaseLock: () => lock.release(),
    });
  } catch (error) {
    lock.release();
    throw error;
  }
}

interface Wiring extends NodeOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly releaseLock: () => void;
}

async function startServing(config: Config, wiring: Wiring): Promise<RunningNode> {
  const { log, metrics } = wiring;
  const clock = systemClock;
  const driver = openDriver(config, wiring);
  const { blobs, models } = await openModels(config, wiring);
  const inference = new Inference({
    driver,
    clock,
    log,
    metrics,
    models,
    defaults: { ...config.engine },
    drawSeed: () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
    drawRequestId: () => crypto.randomUUID(),
    drawId: drawToolCallId,
  });
  const client = new LocalClient({ inference, models, blobs, driver, clock });
  const app = createHttpApp({
    client,
    metrics,
    log,
    clock,
    config: {
      bindAddress: config.http.host.hostname,
      ownHosts: ownHosts(),
      extraOrigins: config.http.origins,
      bodyBytesMax: config.http.bodyBytesMax,
      nodeName: config.cluster.nodeName || ownName(),
      metrics: config.telemetry.metrics,
    },
    version: wiring.version,
  });
  const stalls = watchStalls({ clock, metrics, log });
  const server = listen(config, app, log);
  return running(server, {
    ...wiring,
    app,
    client,
    driver,
    drainTimeoutMs: config.http.drainTimeoutMs,
    stopWatching: () => stalls.stop(),
  });
}

function openDriver(config: Config, wiring: Wiring): SchedulerDriver {
  const { log, metrics } = wiring;
  const machine = openMachine();
  const { scheduler } = config;
  return new SchedulerDriver({
    engine: createEngine({ command: wiring.runnerCommand, env: {}, log, clock: systemClock }),
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

async function openModels(config: Config, wiring: Wiring) {
  const { modelsFolder, prune } = config.storage;
  const { log } = wiring;
  const nowMs = () => systemClock.nowMs();
  const blobs = await openBlobStore(modelsFolder, { log, nowMs, noPrune: !prune });
  const catalog = await openModelCatalog(modelsFolder);
  await ensureEmbeddedModel({ blobs, catalog, ggufPath: wiring.embeddedModelPath, log });
  const models = createModelStore({
    // Half the cores: answers go on while weights are rewritten.
    quantizer: createQuantizer({
      command: wiring.runnerCommand,
      env: {},
      threads: Math.max(1, Math.floor(openMachine().cores / 2)),
    }),
    blobs,
    catalog,
    clock: systemClock,
    log,
    userAgent: userAgentOf(wiring.version),
    registryKey: openRegistryKey(join(config.storage.dataFolder, "id_ed25519")),
    noPrune: !prune,
  });
  return { blobs, models };
}

/** In the form registries know from their usual clients (contract 2.4). */
function userAgentOf(version: string): string {
  const machine = `${Deno.build.arch === "aarch64" ? "arm64" : "amd64"} ${Deno.build.os}`;
  return `ollama/${version} (${machine}) odist/${version}`;
}

function listen(config: Config, app: HttpApp, log: Log): Deno.HttpServer<Deno.NetAddr> {
  const { hostname, port } = config.http.host;
  const clock = systemClock;
  const peers: PeerWatch = new PeerWatch(() => server.addr.port, {
    clock,
    log,
    readText: Deno.readTextFile,
  });
  const server: ReturnType<typeof listen> = Deno.serve(
    { hostname, port, onListen() {} },
    async (request, { remoteAddr }) => {
      const peer = peers.watch(remoteAddr.port);
      try {
        return await app.fetch(request, peer);
      } finally {
        peer.end();
      }
    },
  );
  return server;
}

interface Stoppable extends Wiring {
  readonly app: HttpApp;
  readonly client: LocalClient;
  readonly driver: SchedulerDriver;
  readonly drainTimeoutMs: number;
  readonly stopWatching: () => void;
}

function running(server: Deno.HttpServer<Deno.NetAddr>, parts: Stoppable): RunningNode {
  const { hostname, port } = server.addr;
  let stopping: Promise<void> | undefined;
  const finished = Promise.withResolvers<void>();
  return {
    address: { hostname, port },
    finished: finished.promise,
    stop() {
      stopping ??= stop(server, parts).then(finished.resolve, finished.reject);
      return stopping;
    },
  };
}

async function stop(server: Deno.HttpServer<Deno.NetAddr>, parts: Stoppable): Promise<void> {
  const { app, client, driver, log, drainTimeoutMs } = parts;
  log.log("info", "node_stopping", { running: driver.view().running });
  app.stopAdmitting();
  client.stopAdmitting();
  driver.stopAdmitting();
  await drained(driver, drainTimeoutMs);
  // Answers that outlived the limit end with their error line before the sockets close.
  await driver.close();
  const closed = server.shutdown();
  await Promise.race([closed, delay(1000)]);
  parts.stopWatching();
  parts.releaseLock();
  log.log("info", "node_stopped");
}

/** Resolves when nothing runs or waits any more, or when the limit is over. */
async function drained(driver: SchedulerDriver, limitMs: number): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + limitMs;
  for (;;) {
    const { running, waiting } = driver.view();
    if (running + waiting === 0 || systemClock.monotonicMs() >= deadlineMs) return;
    await delay(DRAIN_LOOK_MS);
  }
}

function delay(ms: number): Promise<void> {
  // Referenced on purpose: while a node drains, this may be all that keeps its process alive.
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** This machine's name, with what no header may carry taken out. */
function ownName(): string {
  return Deno.hostname().replaceAll(/[^a-zA-Z0-9._-]/g, "-").slice(0, 64) || "localhost";
}

/** Names and addresses of this machine that a Host header may carry. */
function ownHosts(): string[] {
  const addresses = Deno.networkInterfaces().map(({ address }) => address);
  return [Deno.hostname().toLowerCase(), ...addresses];
}

/** Eight of [a-z0-9], as the contract's call ids have them. */
function drawToolCallId(): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  const draws = crypto.getRandomValues(new Uint8Array(8));
  return [...draws].map((value) => alphabet.charAt(value % alphabet.length)).join("");
}
