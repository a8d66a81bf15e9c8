import type { LayerBytes, LayerPlace } from "./layer_split.ts";
import { memoryParts, type MemoryShape } from "./memory.ts";

/** A model as a plan sees it. Bytes as in the weights file. */
export interface ShardModel {
  /** In the order of the model, 1 to `SHARD_LAYERS_MAX`; `activeBytes` are read for one token: of experts only those it asks. */
  readonly layers: readonly { readonly weightsBytes: number; readonly activeBytes: number }[];
  /** Token embeddings, in the leader's host memory; a token reads one row of them. */
  readonly inputBytes: number;
  /** Everything else outside the layers. */
  readonly outputBytes: number;
  /** Whether the token embeddings are the output matrix, too. */
  readonly isOutputTied: boolean;
  /** `blockCount` is the number of layers, `weightsBytes` all bytes. */
  readonly shape: MemoryShape;
}

/** One memory of a node, its own or a device's. */
export interface NodeMemory {
  readonly freeBytes: number;
  /** Weights read a millisecond while tokens are computed one by one; > 0. */
  readonly bytesPerMs: number;
}

/** A node that may take layers. */
export interface ShardNode {
  /** Unique. */
  readonly name: string;
  readonly host: NodeMemory;
  /** A GPU. */
  readonly device?: NodeMemory;
  /** From the leader and back; milliseconds, unused of the leader itself. */
  readonly roundTripMs: number;
}

/** A node's memory as a place for layers. */
export interface ShardPlace extends LayerPlace {
  readonly node: ShardNode;
  readonly kind: "host" | "device";
  readonly freeBytes: number;
  /** Taken beside layers as soon as there is one; of the leader in any case. */
  readonly fixedBytes: number;
}

/** What each layer takes where it lies: its weights and its part of the KV cache. */
export function layerBytesOf({ layers, shape }: ShardModel): readonly LayerBytes[] {
  const kvBytes = memoryParts(shape).kvBytes / layers.length;
  return layers.map(({ weightsBytes, activeBytes }) => ({
    memoryBytes: weightsBytes + kvBytes,
    activeBytes,
  }));
}

/** What is read for a token beside the layers, where the output layer is. */
export function outputActiveBytes(model: ShardModel): number {
  return model.outputBytes + (model.isOutputTied ? model.inputBytes : 0);
}

/**
 * The leader's own places, in the order of the layers: host memory, then its device, so that the output layer is computed
 * on the device. A device that can't even hold the output layer is left out.
 */
export function leaderPlaces(node: ShardNode, model: ShardModel): readonly ShardPlace[] {
  const { logitsBytes, computeBytes, processBytes } = memoryParts(model.shape);
  const always = processBytes + model.inputBytes + computeBytes;
  const place = placeOf(node, 0);
  if (node.device !== undefined) {
    // An output matrix that is the token embeddings is copied to the device.
    const device = place("device", logitsBytes + outputActiveBytes(model) + computeBytes);
    if (device.roomBytes >= 0) return [place("host", always), device];
  }
  return [place("host", always + logitsBytes + model.outputBytes)];
}

/** A worker's places, those left out that have no room. Its process lies in host memory, whatever computes. */
export function workerPlaces(node: ShardNode, model: ShardModel): readonly ShardPlace[] {
  const { computeBytes, processBytes } = memoryParts(model.shape);
  if (node.host.freeBytes < processBytes) return [];
  const place = placeOf(node, node.roundTripMs);
  const devices = node.device === undefined ? [] : [place("device", computeBytes)];
  return [...devices, place("host", processBytes + computeBytes)]
    .filter(({ roomBytes }) => roomBytes > 0);
}

function placeOf(node: ShardNode, linkMs: number) {
  return (kind: ShardPlace["kind"], fixedBytes: number): ShardPlace => {
    const { freeBytes, bytesPerMs } = node[kind] ?? node.host;
    const roomBytes = freeBytes - fixedBytes;
    return { node, kind, freeBytes, fixedBytes, roomBytes, bytesPerMs, linkMs };
  };
}
