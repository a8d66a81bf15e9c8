import type { NodeId } from "../base/mod.ts";
import type { ShardCluster } from "../core/scheduler/mod.ts";
import type { PeerAddress } from "../ports/mod.ts";

/** A node that could compute a part of a model. */
export interface ComputingNode {
  readonly address: PeerAddress;
  /** For people; "" shows the id. */
  readonly name: string;
  /** Memory that a part of a model could take there, if all others made room. */
  readonly roomBytes: number;
  /** Weights that it reads a millisecond while tokens are computed one by one; 0 = not measured. */
  readonly bytesPerMs: number;
  /** A GPU there, the one with most memory free; absent = it has none. */
  readonly device?: { readonly name: string; readonly freeBytes: number } | undefined;
  /** Whether it is suspected to be gone. */
  readonly isDoubted: boolean;
}

/** What is taken for every node where none has been measured. */
const BYTES_PER_MS = 8_000_000;
const ROUND_TRIP_MS = 1;
/** Nobody has measured how fast a GPU reads the weights of a part: it is taken for so many times as fast as the cores. */
const DEVICE_ADVANTAGE = 4;
/** Of a device's memory, what is asked of nobody: its node keeps some, and the driver takes its own. */
const DEVICE_MARGIN_BYTES = 768 * 2 ** 20;
/** Of nodes that are as fast, the leader takes the layers: what it holds dies with no other node. */
const OWN_ADVANTAGE = 1.001;

/**
 * The nodes as a plan sees them. Of one that was not measured, the slowest of the others is assumed: it may be asked, and isn't
 * preferred. Round trips in milliseconds, by node.
 */
export function shardClusterOf(
  own: {
    readonly nodeId: NodeId;
    readonly freeBytes: number;
    readonly bytesPerMs: number;
    /** A GPU here, and what a part may take of it. */
    readonly device?: { readonly freeBytes: number } | undefined;
  },
  others: readonly ComputingNode[],
  roundTripsMs: ReadonlyMap<NodeId, number>,
): ShardCluster {
  const speeds = [own, ...others].map(({ bytesPerMs }) => bytesPerMs).filter((speed) => speed > 0);
  const slowest = speeds.length === 0 ? BYTES_PER_MS : Math.min(...speeds);
  const trips = others.flatMap(({ address }) => roundTripsMs.get(address.nodeId) ?? []);
  const farthestMs = trips.length === 0 ? ROUND_TRIP_MS : Math.max(...trips);
  const ownBytesPerMs = (own.bytesPerMs || slowest) * OWN_ADVANTAGE;
  const leader = {
    name: own.nodeId,
    host: { freeBytes: own.freeBytes, bytesPerMs: ownBytesPerMs },
    ...own.device && {
      device: {
        freeBytes: own.device.freeBytes,
        bytesPerMs: ownBytesPerMs * DEVICE_ADVANTAGE,
      },
    },
    roundTripMs: 0,
  };
  const workers = others.map(({ address, roomBytes, bytesPerMs, device }) => ({
    name: address.nodeId,
    host: { freeBytes: roomBytes, bytesPerMs: bytesPerMs || slowest },
    ...device && device.freeBytes > DEVICE_MARGIN_BYTES && {
      device: {
        freeBytes: device.freeBytes - DEVICE_MARGIN_BYTES,
        bytesPerMs: (bytesPerMs || slowest) * DEVICE_ADVANTAGE,
      },
    },
    roundTripMs: roundTripsMs.get(address.nodeId) ?? farthestMs,
  }));
  return { leader: own.nodeId, nodes: [leader, ...workers] };
}
