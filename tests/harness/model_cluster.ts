/**
 * The models' side of several nodes over one log and one network in memory: real catalog, model store, folder keeping,
 * transfers and placement, without a disk or an engine.
 *
 * @module
 */
import type { NodeId } from "../../src/base/mod.ts";
import { modelKey, type NamedManifest } from "../../src/core/catalogue/mod.ts";
import { PLACEMENT_DEFAULTS } from "./placement.ts";
import type { ModelStoreOptions } from "../../src/models/mod.ts";
import type { BlobMember } from "../../src/library/members.ts";
import { ModelSharing, type ModelSharingOptions } from "../../src/library/model_sharing.ts";
import { PEER_TRANSFER_LIMITS } from "../../src/library/peer_blobs.ts";
import { StreamRouter } from "../../src/calls/stream_router.ts";
import { findOwnDefinition } from "../../src/library/cluster_definitions.ts";
import { DESCRIBE_PURPOSE, DescribeServer } from "../../src/library/describe.ts";
import type { PeerAddress, TransferLimits } from "../../src/ports/mod.ts";
import { displayModelName } from "../../src/protocol/mod.ts";
import { type MemoryGroup, MemoryLog } from "./memory_log.ts";
import { MemoryBlobStore, MemoryCatalog } from "./memory_models.ts";
import { RecordingTelemetry } from "./scripted_client.ts";
import { SimulatedNetwork } from "./simulated_transport.ts";
import { modelStoreParts, REAL_CLOCK } from "./stored_models.ts";

/** What a node keeps while it is off. */
export class NodeDisk {
  readonly blobs: MemoryBlobStore;
  readonly folder = new MemoryCatalog();
  readonly known = new MemoryKnown();

  constructor(blobs = new MemoryBlobStore()) {
    this.blobs = blobs;
  }

  parts(): Pick<ModelSharingOptions, "blobs" | "folder" | "known"> {
    const { blobs, folder, known } = this;
    return { blobs, folder, known };
  }

  /** `name=digest's beginning` of each manifest in the folder, sorted. */
  async manifests(): Promise<string[]> {
    const entries = await this.folder.list();
    return entries.map(({ name, manifestDigest }) =>
      `${displayModelName(name)}=${manifestDigest.slice(0, 8)}`
    ).sort();
  }

  /** Names in the folder, sorted. */
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
export interface ModelNode
  extends Pick<ModelSharing, "catalog" | "models" | "copies" | "placement"> {
  readonly nodeId: NodeId;
  readonly address: PeerAddress;
  readonly group: MemoryGroup;
  readonly disk: NodeDisk;
  readonly telemetry: RecordingTelemetry;
  /** Log lines as `event key=value ...`. */
  events(): string[];
  /** Names as this node lists them, sorted. */
  names(): Promise<string[]>;
  stop(): Promise<void>;
}

/** How a node starts. */
export interface ModelNodeOptions extends Partial<ModelStoreOptions> {
  /** All that a restarted node knows to be agreed on, as it is cut off until its group heals. */
  readonly kept?: number;
}

/** Parts of 1,000 bytes and no long waits. */
const LIMITS: TransferLimits = {
  ...PEER_TRANSFER_LIMITS,
  partBytesMin: 1_000,
  partBytesMax: 1_000,
  pauseMs: 1,
  progressMs: 1,
};

/** Nodes of one cluster. */
export class ModelCluster {
  readonly log = new MemoryLog();
  readonly network = new SimulatedNetwork({ mode: "prompt" });
  /** True: nobody hears what others hold. */
  isSilent = false;
  readonly #running = new Map<NodeId, ModelNode>();
  #started = 0;

  start(disk: NodeDisk = new NodeDisk(), options: ModelNodeOptions = {}): ModelNode {
    const { kept, ...store } = options;
    const group = this.log.join(kept);
    if (kept !== undefined) group.cut();
    const nodeId = (++this.#started).toString(16).padStart(16, "0") as NodeId;
    const address = { nodeId, address: `10.0.0.${this.#started}:1` };
    const telemetry = new RecordingTelemetry();
    const router = new StreamRouter({ clock: REAL_CLOCK, log: telemetry, metrics: telemetry });
    const transport = this.network.open(nodeId, address.address, {
      onDatagram() {},
      onFrame() {},
      onStream: (stream) => void router.accept(stream),
      onSendFailed() {},
      onConnectionLost() {},
    });
    const sharing = new ModelSharing({
      ...modelStoreParts({ blobs: disk.blobs, catalog: disk.folder }),
      transferLimits: LIMITS,
      peerLimits: LIMITS,
      ...store,
      ...disk.parts(),
      self: nodeId,
      group,
      transport,
      router,
      log: telemetry,
      metrics: telemetry,
      members: () => this.#membersOf(nodeId),
      isDrained: () => false,
      freeBytes: async () => undefined,
      placement: { ...PLACEMENT_DEFAULTS, replicateAfterMs: 0 },
    });
    router.register(
      DESCRIBE_PURPOSE,
      new DescribeServer(findOwnDefinition(sharing.models), sharing.models),
    );
    group.onApplied = ({ kind }) => sharing.noteApplied(new Set([kind]));
    // The placement only moves when a test says so.
    sharing.copies.start();
    const { catalog, models, copies, placement } = sharing;
    const node: ModelNode = {
      catalog,
      models,
      copies,
      placement,
      nodeId,
      address,
      group,
      disk,
      telemetry,
      events: () => telemetry.lines.map(textOfLine),
      names: async () => (await models.list()).map(({ name }) => name).sort(),
      stop: async () => {
        group.cut();
        this.network.crash(nodeId);
        this.#running.delete(nodeId);
        await sharing.close();
      },
    };
    this.#running.set(nodeId, node);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of [...this.#running.values()]) await node.stop();
    this.network.close();
  }

  /** What gossip would say. */
  #membersOf(self: NodeId): readonly BlobMember[] {
    return [...this.#running.values()].filter(({ nodeId }) => nodeId !== self).map((node) => ({
      address: node.address,
      standing: "alive",
      drained: false,
      freeBytes: undefined,
      holds: (digest) => !this.isSilent && node.copies.held().includes(digest),
    }));
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

function textOfLine(line: { event: string; values: Readonly<Record<string, unknown>> }): string {
  return [line.event, ...Object.entries(line.values).map(([key, value]) => `${key}=${value}`)]
    .join(" ");
}
