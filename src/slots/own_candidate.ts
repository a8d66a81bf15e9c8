import type { CandidateLoad, SchedulerView } from "../core/scheduler/mod.ts";

/** What this node knows of itself beyond its scheduler's view. */
export interface OwnFigures {
  readonly availableBytes: number;
  /** 0 = not measured. */
  readonly decodeTokensPerMinute: number;
  readonly prefillTokensPerMinute: number;
}

/** How busy this node is for one model, now. */
export function loadFromView(
  view: SchedulerView,
  modelKey: string,
  own: OwnFigures,
): CandidateLoad {
  const instance = view.instances.find((row) => row.modelKey === modelKey);
  const state = instance?.state ?? "unloading";
  return {
    ageMs: 0,
    state: state === "ready" ? "loaded" : state === "loading" ? "loading" : "cold",
    slots: instance?.slots ?? 0,
    freeSlots: instance === undefined ? 0 : Math.max(0, instance.slots - instance.running),
    waitingRequests: view.waiting,
    runningRequests: view.running,
    ...own,
  };
}
