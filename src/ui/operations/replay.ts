import type { IncidentRow, ReplayerMessage, ReplayWish } from "../replayer/mod.ts";

/** The page's second script. */
const REPLAYER = "/ui/replayer.js";
/** Rows kept: what is behind them is counted. */
const ROWS_MAX = 50_000;

/** How far a file is stepped through. */
export interface Replay {
  readonly state: "running" | "ended" | "failed";
  /** Names. */
  readonly nodes: readonly string[];
  readonly silent: readonly string[];
  /** Steps that changed something, in the order of time. */
  readonly rows: readonly IncidentRow[];
  /** All of them. */
  readonly steps: number;
  /** Where it was decided otherwise than recorded, in lines; none where it was not. */
  readonly difference: readonly string[];
  /** Why it failed. */
  readonly reason: string;
}

const BEGUN: Replay = {
  ...{ state: "running", nodes: [], silent: [], rows: [], steps: 0, difference: [], reason: "" },
};

/** Steps through a file beside the page; `tell` is told each time that there is more. @returns What ends it. */
export function startReplay(wish: ReplayWish, tell: (replay: Replay) => void): () => void {
  const worker = new Worker(REPLAYER, { type: "module" });
  let replay = BEGUN;
  const set = (now: Partial<Replay>) => tell(replay = { ...replay, ...now });
  tell(replay);
  worker.onmessage = ({ data }: MessageEvent<ReplayerMessage>) => {
    switch (data.kind) {
      case "begun":
        return set({ nodes: data.nodes, silent: data.silent });
      case "rows":
        return set({ rows: [...replay.rows, ...data.rows].slice(0, ROWS_MAX), steps: data.steps });
      case "ended":
        return set({ state: "ended", steps: data.steps, difference: data.difference ?? [] });
      case "failed":
        return set({ state: "failed", reason: data.reason });
    }
  };
  worker.onerror = () =>
    set({ state: "failed", reason: "the node that this page came from does not answer any more" });
  worker.postMessage(wish);
  return () => worker.terminate();
}
