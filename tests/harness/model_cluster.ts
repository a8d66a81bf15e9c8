/**
 * The models' side of several nodes over one log in memory: real catalog, model store and folder keeping, without a
 * network, a disk or an engine.
 *
 * @module
 */
import { modelKey, type NamedManifest } from "../../src/core/cluster/mod.ts";
import { type ClusterModels, createClusterModels } from "../../src/node/cluster/cluster_models.ts";
import { modelsChangedBy } from "../../src/node/cluster/local_copies.ts";
import type { ModelStoreOptions } from "../../src/models/mod.ts";
import { displayModelName } from "../../src/protocol/mod.ts";
import { MemoryBlobStore, MemoryCatalog } from "./memory_models.ts";
import { type MemoryGroup, MemoryLog } from "./memory_log.ts";
import { modelStoreParts } from "./stored_models.ts";

/** What a node keeps while it is off. */
export class NodeDisk {
  readonly blobs = new MemoryBlobStore();
  readonly folder = new MemoryCatalog();
  readonly known = new MemoryKnown();

  /** `name=digest's beginning` of each manifest in the folder, sorted. */
  async manifests(): Promise<string[]> {
    const entries = await this.folder.list();
    return entries.map(({ name, manifestDigest }) =>
      `${displayModelName(name)}=${manifestDigest.slice(0, 8)}`
    ).sort();
  }

  async names(): Promise<string[]> {
    return (await this.folder.list()).map(({ name }) => displayModelName(name)).sort();
  }
}

/** The twin of `known_models.ts` without a disk. */
export class MemoryKnown {
  readonly models = new Set<string>();

  has(model: NamedManifest): boolean {
    return this.models.has(knownText(model));
  }

  async note(models: readonly NamedManifest[]): Promise<void> {
    for (const model of models) this.models.add(knownText(model));
  }

  async forget(models: readonly NamedManifest[]): Promise<void> {
    for (const model of models) this.models.delete(knownText(model));
  }
}

/** A node that runs. */
export interface ModelNode extends ClusterModels {
  readonly group: MemoryGroup;
  readonly disk: NodeDisk;
  readonly events: readonly string[];
  /** Names as this node lists them, sorted. */
  names(): Promise<string[]>;
  stop(): Promise<void>;
}

/** Nodes of one cluster. */
export class ModelCluster {
  readonly log = new MemoryLog();
  readonly #running = new Set<ModelNode>();

  /** `kept`: all that a restarted node knows to be agreed on, as it is cut off until its group heals. */
  start(
    disk: NodeDisk = new NodeDisk(),
    options: Partial<ModelStoreOptions> & { readonly kept?: number } = {},
  ): ModelNode {
    const { kept, ...store } = options;
    const group = this.log.join(kept);
    if (kept !== undefined) group.cut();
    const events: string[] = [];
    const parts = createClusterModels({
      ...modelStoreParts({ blobs: disk.blobs, catalog: disk.folder }),
      log: { log: (_level, event, values) => void events.push(textOfEvent(event, values)) },
      ...store,
      group,
      folder: disk.folder,
      known: disk.known,
    });
    group.onApplied = (command) => {
      const names = modelsChangedBy(command);
      if (names.length > 0) parts.copies.noteChanged(names);
    };
    parts.copies.start();
    const node: ModelNode = {
      ...parts,
      group,
      disk,
      events,
      names: async () => (await parts.models.list()).map(({ name }) => name).sort(),
      stop: async () => {
        group.cut();
        this.#running.delete(node);
        await parts.copies.close();
      },
    };
    this.#running.add(node);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of [...this.#running]) await node.stop();
  }
}

/** Turns of the event loop that something in memory may take. */
const TURNS_MAX = 2_000;

/** Lets everything else have its turns until the condition holds. @throws when it does not come to that. */
export async function turnsUntil(
  claim: string,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  throw new Error(`did not come about: ${claim}`);
}

function knownText({ name, manifestDigest }: NamedManifest): string {
  return `${modelKey(name)}=${manifestDigest}`;
}

function textOfEvent(event: string, values: Readonly<Record<string, unknown>> = {}): string {
  return [event, ...Object.entries(values).map(([key, value]) => `${key}=${value}`)].join(" ");
}
