import { type EdgeError, invalidRequest, RequestError, UnavailableError } from "../base/mod.ts";
import type { Catalogue, Outcome, Refusal } from "../core/catalogue/mod.ts";
import type { CatalogueCommand } from "../protocol/mod.ts";
import type { Reading } from "./quorum_watch.ts";

/** The log's group as the models' side of a node needs it. */
export interface CatalogueGroup {
  /** As far as this node has applied the log. */
  readonly catalogue: Catalogue;
  /**
   * What became of a command; this node's catalogue has applied it by then.
   *
   * @throws UnavailableError `no_quorum` when nothing is known of it after `timeoutMs`: it may still be applied.
   */
  propose(command: CatalogueCommand, options: { readonly timeoutMs: number }): Promise<Outcome>;
  /**
   * Looks at the catalogue once it holds everything that was acknowledged before the call.
   *
   * @throws UnavailableError `no_quorum` after `timeoutMs`.
   */
  read<T>(
    look: (catalogue: Catalogue) => T,
    options: { readonly timeoutMs: number },
  ): Promise<T>;
  /**
   * As {@link CatalogueGroup.read}, or of what this node knows where no quorum has answered for `waitMs`: which is known
   * already while there is none. Never fails for want of one.
   */
  readOrStale<T>(
    look: (catalogue: Catalogue) => T,
    options: { readonly waitMs: number },
  ): Promise<Reading<T>>;
  /** Since when no quorum has answered, in milliseconds since the epoch; undefined = one does, or soon may. */
  readonly quorumLostAtMs: number | undefined;
}

/** How long a change may wait for a quorum. Milliseconds: elections of a second or two pass unnoticed. */
export const CHANGE_TIMEOUT_MS = 5_000;
/** How long a linearizable read may wait for a quorum. Milliseconds. */
export const READ_TIMEOUT_MS = 2_000;
/** How long a read waits for a quorum that can do without. Milliseconds. */
export const STALE_AFTER_MS = 250;
/** When a client may try again what a missing quorum prevented. Milliseconds. */
export const RETRY_AFTER_MS = 1_000;

/** A missing quorum in the words of what it prevented; anything else as it is. */
export function rewordNoQuorum(cause: unknown, action: string): unknown {
  if (!(cause instanceof UnavailableError) || cause.code !== "no_quorum") return cause;
  const message = `Cannot ${action}: ${cause.message}`;
  return new UnavailableError("no_quorum", message, { cause, retryAfterMs: RETRY_AFTER_MS });
}

/** Why the catalogue did not take a change of a model. */
export function refusedChange(reason: Refusal, action: string): EdgeError {
  switch (reason) {
    case "table_full":
      return new RequestError("conflict", `Cannot ${action}: the catalogue is full`);
    case "revision_mismatch":
    case "already_exists":
      return new RequestError("conflict", `Cannot ${action}: it was changed meanwhile`);
    case "schema_not_active":
      return new RequestError("conflict", `Cannot ${action}: not all nodes know how to yet`);
    case "session_unknown":
    case "request_stale":
      // The change may have been made: only the client can know whether once more is right.
      return new UnavailableError("no_quorum", `Cannot ${action}: its outcome was forgotten`, {
        retryAfterMs: RETRY_AFTER_MS,
      });
    default:
      return invalidRequest(`Cannot ${action}: ${reason}`);
  }
}
