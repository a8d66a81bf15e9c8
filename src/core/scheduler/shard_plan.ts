import { assert } from "../../base/mod.ts";
import { splitLayers } from "./layer_split.ts";
import { memoryParts } from "./memory.ts";
import {
  layerBytesOf,
  leaderPlaces,
  outputActiveBytes,
  type ShardModel,
  type ShardNode,
  type ShardPlace,
  workerPlaces,
} from "./shard_places.ts";

/** Layers that a plan is made for: the largest known models have about half of it, and the search grows with its square. */
export const SHARD_LAYERS_MAX = 256;
/** llama.cpp computes one model on so many devices at most. */
const DEVICES_MAX = 16;
/** Memories of other nodes that are looked at, those with most room first. */
const PLACES_MAX = 32;

/** Where a model's layers would lie, or what is missing. */
export type ShardPlan = ShardedPlan | ShardRefusal;

export interface ShardedPlan {
  /** `whole` = one node holds all of it, and no node is asked for each token. */
  readonly kind: "whole" | "split";
  readonly leader: string;
  /** In the order of the layers, the leader's last; a node's memory without layers only where something else of it lies there. */
  readonly shards: readonly Shard[];
  /** Expected time of one token while the window is still empty: reading weights, and the links. */
  readonly msPerToken: number;
  /** Of those, for the output layer. */
  readonly outputMs: number;
  /** Of those, for being sent to the workers and back. */
  readonly linksMs: number;
}

/** What lies in one memory. All sizes in whole bytes. */
export interface Shard {
  readonly node: string;
  readonly memory: ShardPlace["kind"];
  /** Counted from 0. */
  readonly firstLayer: number;
  readonly layerCount: number;
  /** Of the layers, without the embeddings and the output layer. */
  readonly weightsBytes: number;
  readonly kvBytes: number;
  /** Embeddings, output layer, buffers and the process, as far as they lie here. */
  readonly otherBytes: number;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Of one token, for reading the layers here. */
  readonly msPerToken: number;
}

export interface ShardRefusal {
  readonly kind: "refused";
  /**
   * `leader`: what can only lie with the leader is too large for it. `memory`: all nodes together have too little.
   * `whole_layers`: together they would do, but layers can't be divided, nor lie on more devices than llama.cpp takes.
   */
  readonly reason: "leader" | "memory" | "whole_layers";
  readonly wantedBytes: number;
  readonly presentBytes: number;
  /** The largest one, with its part of the KV cache. */
  readonly layerBytes: number;
}

/** What {@link planShards} chooses from. */
export interface ShardCluster {
  /** Name of the node that would hold the file, the output layer and the conversation with clients. */
  readonly leader: string;
  /** All of them, the leader too. */
  readonly nodes: readonly ShardNode[];
}

/**
 * Plans where a model's layers lie. Where one node holds it whole, the fastest of those does, unless a split is asked
 * for; otherwise the leader and workers share it. Memory says what is possible; of that, what is expected to take the
 * least time a token is chosen, by measured speed and round trips; then what has fewer workers. Workers take layers in the
 * order of their free memory, then of their speed, then of their round trip.
 */
export function planShards(
  model: ShardModel,
  cluster: ShardCluster,
  options: { readonly isSplitWanted: boolean } = { isSplitWanted: false },
): ShardPlan {
  if (!options.isSplitWanted) {
    const wholes = cluster.nodes.flatMap((node) => splitOver(model, node, undefined) ?? []);
    const [fastest] = wholes.toSorted((a, b) => a.msPerToken - b.msPerToken);
    if (fastest !== undefined) return fastest;
  }
  const leader = cluster.nodes.find(({ name }) => name === cluster.leader);
  assert(leader !== undefined, "the leader is one of the nodes", { leader: cluster.leader });
  const workers = workersFor(model, cluster);
  return splitOver(model, leader, workers) ?? refusal(model, { leader, workers });
}

function workersFor(model: ShardModel, cluster: ShardCluster): readonly ShardPlace[] {
  const places = cluster.nodes.filter(({ name }) => name !== cluster.leader)
    .flatMap((node) => workerPlaces(node, model));
  return places.toSorted((a, b) =>
    b.roomBytes - a.roomBytes || b.bytesPerMs - a.bytesPerMs || a.linkMs - b.linkMs ||
    (a.node.name < b.node.name ? -1 : 1)
  ).slice(0, PLACES_MAX);
}

/** Undefined where it doesn't fit. `workers` undefined = the leader alone. */
function splitOver(
  model: ShardModel,
  leader: ShardNode,
  workers: readonly ShardPlace[] | undefined,
): ShardedPlan | undefined {
  const own = leaderPlaces(leader, model);
  const last = own.at(-1);
  if (last === undefined || own.some(({ roomBytes }) => roomBytes < 0)) return undefined;
  const split = splitLayers({
    layers: layerBytesOf(model),
    workers: workers ?? [],
    own,
    workersMin: workers === undefined ? 0 : 1,
    workersMax: DEVICES_MAX - own.length,
  });
  if (split === undefined) return undefined;
  const outputMs = outputActiveBytes(model) / last.bytesPerMs;
  const shares = split.shares.filter(({ place, layerCount }) =>
    layerCount > 0 || place.node === leader
  );
  return {
    kind: workers === undefined ? "whole" : "split",
    leader: leader.name,
    shards: shardsOf(model, shares),
    msPerToken: split.ms + outputMs,
    outputMs,
    linksMs: shares.reduce((sum, { place }) => sum + place.linkMs, 0),
  };
}

type Share = { readonly place: ShardPlace; readonly layerCount: number };

function shardsOf(model: ShardModel, shares: readonly Share[]): readonly Shard[] {
  const { kvBytes, processBytes } = memoryParts(model.shape);
  const shards: Shard[] = [];
  let firstLayer = 0;
  for (const { place, layerCount } of shares) {
    const layers = model.layers.slice(firstLayer, firstLayer + layerCount);
    const weightsBytes = sumOf(layers.map((layer) => layer.weightsBytes));
    const heldKvBytes = (kvBytes * layerCount) / model.layers.length;
    shards.push({
      node: place.node.name,
      memory: place.kind,
      firstLayer,
      layerCount,
      weightsBytes,
      kvBytes: Math.ceil(heldKvBytes),
      otherBytes: Math.ceil(place.fixedBytes),
      totalBytes: Math.ceil(weightsBytes + heldKvBytes + place.fixedBytes),
      freeBytes: place.freeBytes,
      msPerToken: sumOf(layers.map((layer) => layer.activeBytes)) / place.bytesPerMs,
    });
    firstLayer += layerCount;
    // The process of a device lies in host memory, also where no layer does.
    const hasHost = shares.some((other) =>
      other.place.node === place.node && other.place.kind === "host"
    );
    if (!hasHost) shards.push(processShard(place.node, { firstLayer, processBytes }));
  }
  return shards;
}

function processShard(
  node: ShardNode,
  at: { readonly firstLayer: number; readonly processBytes: number },
): Shard {
  return {
    node: node.name,
    memory: "host",
    firstLayer: at.firstLayer,
    layerCount: 0,
    weightsBytes: 0,
    kvBytes: 0,
    otherBytes: at.processBytes,
    totalBytes: at.processBytes,
    freeBytes: node.host.freeBytes,
    msPerToken: 0,
  };
}

/** Says what is missing; asked only where no split fits. */
function refusal(
  model: ShardModel,
  places: { readonly leader: ShardNode; readonly workers: readonly ShardPlace[] },
): ShardRefusal {
  const own = leaderPlaces(places.leader, model);
  const layers = layerBytesOf(model).map(({ memoryBytes }) => memoryBytes);
  const layerBytes = Math.ceil(Math.max(...layers));
  const fixedBytes = sumOf(own.map((place) => place.fixedBytes));
  const ownBytes = sumOf(own.map(({ freeBytes }) => freeBytes));
  const refused = { kind: "refused", layerBytes } as const;
  if (own.some(({ roomBytes }) => roomBytes < 0)) {
    const wantedBytes = Math.ceil(fixedBytes);
    return { ...refused, reason: "leader", wantedBytes, presentBytes: ownBytes };
  }
  const wantedBytes = Math.ceil(sumOf(layers) + fixedBytes);
  const rooms = places.workers.map(({ roomBytes }) => roomBytes);
  const presentBytes = Math.floor(ownBytes + sumOf(rooms));
  const reason = presentBytes < wantedBytes ? "memory" : "whole_layers";
  return { ...refused, reason, wantedBytes, presentBytes };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
