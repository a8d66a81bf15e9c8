import type { RefusalReason } from "../core/raft/mod.ts";
import { LineLimiter, type NodeId } from "../base/mod.ts";
import type { Clock, Log, Metrics } from "../ports/mod.ts";

/** What only a peer says that lies, or that knows of changes this node has not heard of yet. */
export function isLie(reason: RefusalReason): boolean {
  return reason === "malformed" || reason === "not_a_voter" || reason === "not_a_member" ||
    reason === "term_jump";
}

/** Milliseconds between two log lines about one peer's refused messages; the metric counts each. */
const LINE_INTERVAL_MS = 1_000;

/** What naming liars takes. */
export interface RefusedFramesParts {
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Whoever is none has as many names as it likes; a metric must not grow with them. */
  readonly isMember: (peer: NodeId) => boolean;
}

/** Counts messages of the group that were not obeyed, and names who sent them without letting them fill the log. */
export class RefusedFrames {
  readonly #parts: RefusedFramesParts;
  readonly #lines = new LineLimiter(LINE_INTERVAL_MS);

  constructor(parts: RefusedFramesParts) {
    this.#parts = parts;
  }

  note(from: NodeId, reason: string): void {
    const { clock, log, metrics, isMember } = this.#parts;
    metrics.increment("odist_raft_refused_total", { peer: isMember(from) ? from : "stranger" });
    const unsaid = this.#lines.claim(from, clock.monotonicMs());
    if (unsaid === undefined) return;
    log.log("warn", "raft_message_refused", { from, reason, count: 1 + unsaid });
  }
}
