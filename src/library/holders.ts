import type { NodeId } from "../base/mod.ts";
import type { CandidateLoad } from "../core/scheduler/mod.ts";
import {
  type DeviceFacts,
  type LoadedCopies,
  manifestPrefixOf,
  type ModelSpeed,
  type NodeLoad,
} from "../protocol/mod.ts";

/** Another node that holds a model's blobs, as gossip tells. */
export interface Holder {
  readonly nodeId: NodeId;
  readonly name: string;
  /** `host:port` of its cluster port; "" = only over a connection that is open already. */
  readonly address: string;
  readonly health: "alive" | "suspect" | "down" | "asleep";
  /** Of one that is asleep: until it could be there; undefined = nobody can wake it. Milliseconds. */
  readonly wakeMs?: number | undefined;
  readonly drained: boolean;
  readonly load: CandidateLoad | undefined;
  /** In which numeric class its loaded copy is exact; undefined = in none. */
  readonly numericClass?: string | undefined;
  /** See `KnownHolder`. */
  readonly prefixMarks?: ReadonlySet<number> | undefined;
}

/** How busy a node is for one model, from what it last told. */
export function loadFromGossip(
  told: {
    readonly load: NodeLoad;
    readonly copies: LoadedCopies | undefined;
    readonly speeds: readonly ModelSpeed[];
    readonly devices: readonly DeviceFacts[];
    /** Milliseconds since {@link NodeLoad} arrived. */
    readonly ageMs: number;
  },
  manifestDigest: string,
): CandidateLoad {
  const { load, copies, speeds, devices, ageMs } = told;
  const prefix = manifestPrefixOf(manifestDigest);
  const copy = copies?.copies.find(({ manifest }) => manifest === prefix);
  // A GPU holds one model and not another: what was measured of just this one says more than the average.
  const speed = speeds.find(({ manifest }) => manifest === prefix);
  const deviceBytes = devices.reduce((sum, { freeBytes }) => sum + freeBytes, 0);
  return {
    ageMs,
    state: copy === undefined ? "cold" : "loaded",
    slots: copy?.slots ?? 0,
    freeSlots: copy === undefined ? 0 : Math.max(0, copy.slots - copy.runningRequests),
    waitingRequests: load.waitingRequests,
    runningRequests: load.runningRequests,
    decodeTokensPerMinute: speed?.decodeTokensPerMinute || load.decodeTokensPerMinute,
    prefillTokensPerMinute: speed?.prefillTokensPerMinute || load.prefillTokensPerMinute,
    loadMs: speed?.loadMs ?? 0,
    availableBytes: load.availableBytes + deviceBytes,
  };
}
