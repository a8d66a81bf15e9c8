import type { Catalogue } from "../../core/catalogue/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import {
  type LoadedCopy,
  manifestPrefixOf,
  type NodeLoad,
  parseModelName,
} from "../../protocol/mod.ts";
import type { Machine, SchedulerDriver } from "../../slots/mod.ts";
import type { Figures } from "./machinery.ts";

/** What this node's own load is read from. */
export interface OwnLoadParts {
  readonly driver: Pick<SchedulerDriver, "view" | "findModel">;
  readonly machine: Machine;
  readonly speed: {
    readonly decodeTokensPerMinute: number;
    readonly prefillTokensPerMinute: number;
  };
  readonly catalogue: () => Catalogue;
  readonly clock: Clock;
}

/** What a node tells the others of itself. */
export function ownFigures(parts: OwnLoadParts): Figures {
  return { readLoad: () => readLoad(parts), readLoaded: () => readLoaded(parts) };
}

function readLoad({ driver, machine, speed }: OwnLoadParts): NodeLoad {
  const { instances, running, waiting } = driver.view();
  const ready = instances.filter(({ state }) => state === "ready");
  const slots = ready.reduce((sum, instance) => sum + instance.slots, 0);
  const busy = ready.reduce((sum, instance) => sum + instance.running, 0);
  return {
    runningRequests: running,
    waitingRequests: waiting,
    slots,
    freeSlots: Math.max(0, slots - busy),
    decodeTokensPerMinute: speed.decodeTokensPerMinute,
    prefillTokensPerMinute: speed.prefillTokensPerMinute,
    availableBytes: machine.availableBytes(),
  };
}

function readLoaded({ driver, catalogue, clock }: OwnLoadParts): readonly LoadedCopy[] {
  return driver.view().instances.flatMap((instance): LoadedCopy[] => {
    if (instance.state !== "ready") return [];
    const name = parseModelName(instance.displayName);
    const model = name && catalogue().findModel(name);
    // Deleted while loaded: others can't ask for it any more.
    if (model === undefined) return [];
    const nowMs = clock.monotonicMs();
    const idleMs = (instance.expiresAtMs ?? nowMs + instance.keepAliveMs) - nowMs;
    return [{
      manifest: manifestPrefixOf(model.manifestDigest),
      name: instance.displayName,
      sizeBytes: instance.memoryBytes,
      vramBytes: driver.findModel(instance.instanceId)?.facts.deviceMemoryBytes ?? 0,
      contextLength: instance.contextTokens,
      expiresAtMs: Number.isFinite(idleMs) ? Math.max(1, Math.round(clock.nowMs() + idleMs)) : 0,
      slots: instance.slots,
      runningRequests: instance.running,
    }];
  });
}
