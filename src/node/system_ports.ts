import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/mod.ts";
import { IncidentRecorder } from "../incidents/mod.ts";
import {
  cacheMemory,
  chooseBackend,
  createEngine,
  createQuantizer,
  openBackendFolder,
  openDevices,
} from "../inference/mod.ts";
import { createTemplateWorkers, ensureEmbeddedModel } from "../models/mod.ts";
import type { Clock, Log, Metrics } from "../ports/mod.ts";
import { openPower } from "../power/mod.ts";
import { tokenBytesOf } from "../shards/mod.ts";
import { CellMoves, openControlGroup, openMachine } from "../slots/mod.ts";
import {
  fileAt,
  openBlobStore,
  openCellFiles,
  openDisk,
  openModelCatalog,
  openRangeStore,
  openRegistryKey,
  openSecretFolder,
  pruneModels,
  removeDisk,
} from "../storage/mod.ts";
import { openTransport, seedDialer } from "../transport/mod.ts";
import type { NodePorts, StoredModels } from "./assembly/mod.ts";

/** What puts most Linux machines to sleep. */
const SLEEP_COMMAND = "systemctl suspend";

/** What a node is started with besides its configuration. */
export interface SystemParts {
  /** The GGUF that ships with the program. */
  readonly embeddedModelPath: string;
  /** The files of the page. */
  readonly pageFolder: string;
  /** How a runner process is started: program and arguments. */
  readonly runnerCommand: readonly string[];
  /** How a process that renders templates is started. */
  readonly templateWorkerCommand: readonly string[];
}

/** What a node's ports on this machine are made with. */
export interface SystemPortsOptions extends SystemParts {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** This machine, its disks and its network. */
export function systemPorts(options: SystemPortsOptions): NodePorts {
  const { config, log, metrics, runnerCommand: command } = options;
  const clock = systemClock;
  const machine = openMachine(openControlGroup());
  const added = openBackendFolder(config.storage.dataFolder, { command, env: {} });
  const { nativeFolder, uses, named } = chooseBackend(added, config.engine.gpu);
  const cells = openCellFiles(join(config.storage.dataFolder, "cells"), config.storage);
  const cellMoves = new CellMoves({ store: cells, clock, log, metrics });
  const env = nativeFolder === undefined ? {} : { ODIST_NATIVE_DIR: nativeFolder };
  return {
    clock,
    log,
    metrics,
    recorder: new IncidentRecorder({ clock, log }),
    drawSeed: () => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
    machine,
    devices: openDevices({
      ...{ command, env, log, uses, named },
      nativeFolder: nativeFolder ?? Deno.env.get("ODIST_NATIVE_DIR"),
    }),
    power: openPower({ sleepCommand: config.cluster.sleepCommand || SLEEP_COMMAND }),
    engine: createEngine({
      ...{ command, env, log, clock },
      cacheMemoryBytes: cacheMemory(config.engine.cacheMemoryBytes, machine),
      ...{ cells, cellPeers: cellMoves },
    }),
    tokenBytesOf,
    cellMoves,
    quantizer: createQuantizer({
      command,
      env: {},
      // Half the cores: answers go on while weights are rewritten.
      threads: Math.max(1, Math.floor(machine.cores / 2)),
    }),
    templates: createTemplateWorkers({ command: options.templateWorkerCommand, clock }),
    registryKey: openRegistryKey(join(config.storage.dataFolder, "id_ed25519")),
    openModels: () => openModels(options),
    openRanges: () => openRangeStore(join(config.storage.dataFolder, "layers")),
    openFile: fileAt,
    openSecrets: (folder) =>
      openSecretFolder(folder, {
        onRepaired: ({ name, mode }) =>
          log.log("warn", "secret_was_readable", { file: name, mode: mode.toString(8) }),
      }),
    openDisk,
    removeDisk,
    openTransport,
    dialSeed: seedDialer({ clock }),
  };
}

async function openModels(
  { config, log, embeddedModelPath }: SystemPortsOptions,
): Promise<StoredModels> {
  const { modelsFolder } = config.storage;
  const nowMs = () => systemClock.nowMs();
  // What is garbage is known only when this node has caught up with the catalogue.
  const blobs = await openBlobStore(modelsFolder, { log, nowMs, noPrune: true });
  const catalog = await openModelCatalog(modelsFolder);
  return {
    blobs,
    catalog,
    addEmbedded: () => ensureEmbeddedModel({ blobs, catalog, ggufPath: embeddedModelPath, log }),
    freeBytes: () => freeBytes(modelsFolder),
    prune: (alsoReferenced) => pruneModels(modelsFolder, { log, nowMs, alsoReferenced }),
  };
}

async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return undefined; // The system doesn't say.
  }
}

/** Timers of the runtime can't be longer; a longer wait is cut and asked for again by whoever waits. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The machine's own time. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const id = setTimeout(callback, Math.min(Math.max(0, Math.ceil(delayMs)), TIMER_MS_MAX));
    Deno.unrefTimer(id);
    return { cancel: () => clearTimeout(id) };
  },
};
