import {
  type EdgeError,
  isEdgeError,
  type NodeId,
  pause,
  RequestError,
  UnavailableError,
} from "../base/mod.ts";
import {
  linkBytesPerToken,
  planShards,
  type Shard,
  type ShardedPlan,
  type ShardModel,
} from "../core/scheduler/mod.ts";
import type {
  Clock,
  Engine,
  LoadedModel,
  LoadOptions,
  Log,
  Metrics,
  SplitView,
  Transport,
} from "../ports/mod.ts";
import type { LoadSettings, ShardSettings } from "../protocol/mod.ts";
import type { OwnRoom, OwnShare } from "../slots/mod.ts";
import { LentWorker } from "./lent_worker.ts";
import { SHARD_SILENCE_MS } from "./limits.ts";
import { RoundTrips } from "./round_trips.ts";
import { type ComputingNode, shardClusterOf } from "./shard_cluster.ts";
import { layerRanges, readShardedFile, type ShardedFile } from "./sharded_file.ts";
import { SplitModel } from "./split_model.ts";

/** What loading a model over several nodes takes. */
export interface SplitEngineParts {
  /** Loads what this node computes. */
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** How fast this node's cores are, as {@link ComputingNode.bytesPerMs}. */
  readonly speed: { readonly bytesPerMs: number };
}

/** This node among the others; there is none before it has joined them. */
export interface SplitCluster {
  readonly transport: Pick<Transport, "openStream">;
  readonly self: { readonly nodeId: NodeId; readonly name: string };
  /** Those that may be asked now, without this one. */
  readonly others: () => readonly ComputingNode[];
}

/** Plans that one load tries: a node may have less room by now than it told. */
const PLANS_MAX = 3;
/** How long a node that fell silent with a worker is asked for none. Milliseconds. */
const DOUBT_MS = 10_000;

/** The engine that can load a model over several nodes, if it is asked to; what it is asked to load whole, it passes on. */
export class SplitEngine implements Engine {
  readonly #parts: SplitEngineParts;
  readonly #doubted = new Map<NodeId, number>();
  readonly #roundTrips: RoundTrips;
  #cluster: SplitCluster | undefined;

  constructor(parts: SplitEngineParts) {
    this.#parts = parts;
    this.#roundTrips = new RoundTrips(parts.clock);
  }

  /** From now on there are others. */
  join(cluster: SplitCluster): void {
    this.#cluster = cluster;
  }

  async load(settings: LoadSettings, options: LoadOptions): Promise<LoadedModel> {
    const { split } = options;
    if (split === undefined) return await this.#parts.engine.load(settings, options);
    if (settings.exact === "on") {
      throw new UnavailableError("load_failed", "Several nodes together can't compute exactly");
    }
    const file = await readShardedFile(settings);
    const tried = { refused: new Set<NodeId>(), shunned: new Set<NodeId>() };
    let refusal: WorkerRefusal | undefined;
    for (let left = PLANS_MAX;; left--) {
      try {
        const plan = await this.#plan(file, { own: roomOf(split), ...tried });
        return await this.#loadBy(plan, file, { settings, options });
      } catch (error) {
        options.signal.throwIfAborted();
        // The leader's own process is gone, and its workers with it.
        if (left > 1 && isEdgeError(error) && error.code === "runner_lost") continue;
        // That nothing is left to plan with says less than why.
        if (!(error instanceof WorkerRefusal)) throw refusal?.cause ?? error;
        refusal = error;
        if (left <= 1) throw refusal.cause;
        (refusal.isWorkerAlone ? tried.shunned : tried.refused).add(refusal.nodeId);
      }
    }
  }

  /**
   * What this node's part would take of its room, if the model were split now.
   *
   * @throws RequestError `model_too_large` when it can't be.
   */
  async ownShare(settings: LoadSettings, own: OwnRoom): Promise<OwnShare> {
    const file = await readShardedFile(settings);
    const nobody = new Set<NodeId>();
    const plan = await this.#plan(file, { own, refused: nobody, shunned: nobody });
    const device = ownShard(plan, "device");
    return {
      ownBytes: ownShard(plan, "host")?.totalBytes ?? 0,
      ...device && own.device && { device: { name: own.device.name, bytes: device.totalBytes } },
    };
  }

  /**
   * Nodes that fell silent a moment ago, or whose worker did, are planned with only where nothing goes without them.
   *
   * @throws RequestError `model_too_large`.
   */
  async #plan(
    { model }: ShardedFile,
    by: {
      readonly own: OwnRoom;
      readonly refused: ReadonlySet<NodeId>;
      readonly shunned: ReadonlySet<NodeId>;
    },
  ): Promise<ShardedPlan> {
    const { self, others, transport } = this.#joined();
    const nowMs = this.#parts.clock.monotonicMs();
    const asked = others.filter(({ address }) => !by.refused.has(address.nodeId));
    const sound = asked.filter(({ address, isDoubted }) =>
      !isDoubted && !by.shunned.has(address.nodeId) &&
      nowMs >= (this.#doubted.get(address.nodeId) ?? 0)
    );
    const roomiest = sound.toSorted((a, b) => b.roomBytes - a.roomBytes);
    const trips = await this.#roundTrips.measure(transport, roomiest.map(({ address }) => address));
    const { bytesPerMs } = this.#parts.speed;
    const own = { nodeId: self.nodeId, bytesPerMs, ...by.own };
    const planFor = (nodes: readonly ComputingNode[]) =>
      planShards(model, shardClusterOf(own, nodes, trips), { isSplitWanted: true });
    const first = planFor(sound);
    const plan = first.kind === "refused" && sound.length < asked.length ? planFor(asked) : first;
    if (plan.kind !== "refused") return plan;
    const { wantedBytes, presentBytes, reason } = plan;
    const where = reason === "leader"
      ? "for what the leader alone can hold"
      : `on ${asked.length + 1} nodes`;
    const figures = `requires ${mib(wantedBytes)} ${where}, and there are ${mib(presentBytes)}`;
    throw new RequestError("model_too_large", `over several nodes it ${figures}`);
  }

  #joined() {
    const cluster = this.#cluster;
    if (cluster === undefined) throw new UnavailableError("load_failed", "This node is alone");
    return { ...cluster, others: cluster.others() };
  }

  /** @throws WorkerRefusal when a node doesn't lend its worker. */
  async #loadBy(
    plan: ShardedPlan,
    file: ShardedFile,
    asked: { readonly settings: LoadSettings; readonly options: LoadOptions },
  ): Promise<LoadedModel> {
    const { settings, options } = asked;
    const workers = await this.#lend(plan, file, options);
    const lost = new AbortController();
    for (const worker of workers) {
      void worker.ended.then(({ isLost, isNodeThere, reason }) => {
        if (!isLost) return;
        this.#noteLost(worker.nodeId, { isNodeThere, reason });
        const cause = new UnavailableError("load_failed", `A worker is gone: ${reason}`);
        // A node that fell silent may only have stalled: it is asked again where nothing goes without it.
        lost.abort(new WorkerRefusal(worker.nodeId, cause, { isWorkerAlone: true }));
      });
    }
    try {
      const onProgress = (fraction: number) => {
        for (const worker of workers) worker.noteBegun();
        options.onProgress?.(fraction);
      };
      const model = await this.#parts.engine.load(
        { ...settings, exact: "off", shards: shardSettings(plan, workers, options.split) },
        { ...options, onProgress, signal: AbortSignal.any([options.signal, lost.signal]) },
      );
      const ownDevice = options.split?.device?.name;
      return new SplitModel(model, { workers, view: this.#view(plan, file.model, ownDevice) });
    } catch (error) {
      // llama.cpp aborts as soon as a connection ends, which may be sooner than its node tells why.
      if (!lost.signal.aborted) {
        await pause(this.#parts.clock, SHARD_SILENCE_MS, lost.signal).catch(() => {});
      }
      for (const worker of workers) worker.close();
      lost.signal.throwIfAborted();
      throw error;
    }
  }

  async #lend(
    plan: ShardedPlan,
    file: ShardedFile,
    { signal }: LoadOptions,
  ): Promise<readonly LentWorker[]> {
    const { others, transport } = this.#joined();
    const parts = { ...this.#parts, transport };
    const asked = workerShards(plan).map(async (shard) => {
      const node = others.find(({ address }) => address.nodeId === shard.node);
      if (node === undefined) throw new UnavailableError("peer_lost", "A node is gone");
      const { name, digest: blob, tensors, fileBytes: blobBytes } = file;
      const weights = { blobBytes, ranges: layerRanges(file, shard) };
      const isOnDevice = shard.memory === "device";
      const wish = {
        ...{ name, blob, tensors, weights },
        memoryBytes: isOnDevice ? hostBytesBeside(plan, shard) : shard.totalBytes,
        ...isOnDevice && node.device !== undefined && {
          device: { name: node.device.name, bytes: shard.totalBytes },
        },
      };
      try {
        return await LentWorker.ask(node.address, wish, { parts, signal });
      } catch (error) {
        if (!isEdgeError(error)) throw error;
        // Its process did not start, or its node stalled, which may be over the next time; whatever else it refuses with stays.
        const isWorkerAlone = error.code === "load_failed" || error.code === "peer_lost";
        throw new WorkerRefusal(node.address.nodeId, error, { isWorkerAlone });
      }
    });
    const settled = await Promise.allSettled(asked);
    const lent = settled.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
    const failed = settled.find((one) => one.status === "rejected");
    if (failed === undefined) return lent;
    for (const worker of lent) worker.close();
    throw failed.reason;
  }

  #noteLost(
    nodeId: NodeId,
    { isNodeThere, reason }: { readonly isNodeThere: boolean; readonly reason: string },
  ): void {
    const { clock, log } = this.#parts;
    if (!isNodeThere) this.#doubted.set(nodeId, clock.monotonicMs() + DOUBT_MS);
    log.log("warn", "worker_lost", { node: nodeId, reason });
  }

  #view(
    { shards, msPerToken }: ShardedPlan,
    { shape }: ShardModel,
    ownDevice: string | undefined,
  ): SplitView {
    const { self, others } = this.#joined();
    const { upBytes, downBytes } = linkBytesPerToken({
      embeddingLength: shape.embeddingLength,
      cachedTokens: 0,
    });
    return {
      msPerToken,
      linkBytesPerToken: upBytes + downBytes,
      shards: shards.map((shard) => {
        const node = others.find(({ address }) => address.nodeId === shard.node);
        return {
          name: shard.node === self.nodeId ? self.name : node?.name || shard.node,
          firstLayer: shard.firstLayer,
          layerCount: shard.layerCount,
          memoryBytes: shard.totalBytes,
          ...shard.memory === "device" && {
            device: shard.node === self.nodeId ? ownDevice : node?.device?.name,
          },
        };
      }),
    };
  }
}

/** Why there is no worker on a node. */
class WorkerRefusal extends Error {
  /** Whether its node may be there, and lend another one. */
  readonly isWorkerAlone: boolean;

  constructor(
    readonly nodeId: NodeId,
    override readonly cause: EdgeError,
    { isWorkerAlone = false }: { readonly isWorkerAlone?: boolean } = {},
  ) {
    super(cause.message);
    this.isWorkerAlone = isWorkerAlone;
  }
}

function workerShards({ shards, leader }: ShardedPlan): readonly Shard[] {
  return shards.filter(({ node, layerCount }) => node !== leader && layerCount > 0);
}

/** Of the process of a worker on a device: in its node's own memory, where another worker may be besides. */
function hostBytesBeside({ shards }: ShardedPlan, { node }: Shard): number {
  const host = shards.find((shard) => shard.node === node && shard.memory === "host");
  return Math.max(1, host?.otherBytes ?? 0);
}

function shardSettings(
  plan: ShardedPlan,
  workers: readonly LentWorker[],
  split: LoadOptions["split"],
): ShardSettings {
  const [host, device] = [ownShard(plan, "host"), ownShard(plan, "device")];
  return {
    ports: workers.map(({ port }) => port),
    workerLayers: workerShards(plan).map(({ layerCount }) => layerCount),
    ownLayers: (host?.layerCount ?? 0) + (device?.layerCount ?? 0),
    ownBytes: host?.totalBytes ?? 0,
    ...device && split?.device && {
      ownDevice: {
        name: split.device.name,
        layers: device.layerCount,
        bytes: device.totalBytes,
      },
    },
  };
}

/** Of the leader, in one of its memories. */
function ownShard({ shards, leader }: ShardedPlan, memory: Shard["memory"]): Shard | undefined {
  return shards.find((shard) => shard.node === leader && shard.memory === memory);
}

function roomOf({ ownBytes, device }: NonNullable<LoadOptions["split"]>): OwnRoom {
  return {
    freeBytes: ownBytes,
    device: device && { name: device.name, freeBytes: device.bytes },
  };
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
