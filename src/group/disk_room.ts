import type { Clock, Log } from "../ports/mod.ts";

/** Milliseconds between two tries of a log that has no room. */
const RETRY_MS = 2_000;

/**
 * A log that waits until its disk has room again. Nothing is lost meanwhile, as nothing was acknowledged; so this ends by
 * itself, unlike a fence.
 */
export class DiskRoom {
  readonly #parts: { readonly clock: Pick<Clock, "after">; readonly log: Log };
  readonly #listeners = new Set<() => void>();
  #reason: string | undefined;
  #waiting:
    | { readonly timer: { cancel(): void }; readonly resolve: (again: boolean) => void }
    | undefined;
  #isClosed = false;

  constructor(parts: { readonly clock: Pick<Clock, "after">; readonly log: Log }) {
    this.#parts = parts;
  }

  /** Why the log waits; undefined while it does not. For people. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** See `WalOptions.room`. */
  wait(reason: string): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    if (this.#reason === undefined) {
      this.#parts.log.log("error", "raft_log_has_no_room", { reason });
      this.#tell(reason);
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = this.#parts.clock.after(RETRY_MS, () => {
      this.#waiting = undefined;
      resolve(true);
    });
    this.#waiting = { timer, resolve };
    return promise;
  }

  /** What had no room is written. */
  found(): void {
    this.#parts.log.log("info", "raft_log_has_room_again", {});
    this.#tell(undefined);
  }

  /** Calls back when the log begins or ends to wait. */
  onChanged(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Nobody waits any longer: what is not written fails. */
  close(): void {
    this.#isClosed = true;
    this.#waiting?.timer.cancel();
    this.#waiting?.resolve(false);
    this.#waiting = undefined;
  }

  #tell(reason: string | undefined): void {
    this.#reason = reason;
    for (const listener of this.#listeners) listener();
  }
}
