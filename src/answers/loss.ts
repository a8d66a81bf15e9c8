import { errorMessage, type RequestIds, UnavailableError } from "../base/mod.ts";
import type { Log, Metrics } from "../ports/mod.ts";
import type { Lease } from "../slots/mod.ts";

/** A runner that died under a request, and what was decided. */
export interface Loss {
  readonly ids: RequestIds;
  readonly lease: Lease;
  readonly decision: "resume" | "give_up";
  /** Answer tokens so far; 0 for embeddings. */
  readonly tokens: number;
}

/** Gives up the slot with its runner, and tells operators. */
export function reportLoss(
  parts: { readonly log: Log; readonly metrics: Metrics },
  loss: Loss,
): void {
  const { ids, lease, decision, tokens } = loss;
  lease.lost();
  const node = lease.servedBy?.nodeId;
  parts.log.log("warn", "answer_lost_its_runner", { ...ids, decision, node, tokens });
  if (decision === "resume") parts.metrics.increment("odist_answers_resumed_total");
}

/** What a client is told of a request that killed every runner it met; in the contract's words. */
export function lostTooOften(cause: unknown): UnavailableError {
  return new UnavailableError(
    "runner_lost",
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error: " +
      errorMessage(cause),
    { cause },
  );
}
