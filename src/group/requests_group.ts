import { UnavailableError } from "../base/mod.ts";
import type { Catalogue, Outcome } from "../core/catalogue/mod.ts";
import type { Clock } from "../ports/mod.ts";
import { type CatalogueGroup, RETRY_AFTER_MS, STALE_AFTER_MS } from "./catalogue_group.ts";
import type { Group, Patience } from "./group.ts";
import type { ProposeOptions } from "./proposals.ts";
import type { Reading } from "./quorum_watch.ts";

/** What a {@link RequestsGroup} stands on. */
export type RequestsGroupBase = Pick<
  Group,
  | "catalogue"
  | "fenced"
  | "propose"
  | "read"
  | "readOrStale"
  | "quorumLostAtMs"
  | "view"
  | "onChanged"
>;

/** How often a change that waits looks whether there is anything to wait for. Milliseconds. */
const LOOK_MS = 100;

/** What requests are refused with, and wait by. */
export interface RequestsGroupParts {
  /** What is missing, and how to get it. */
  readonly whyLost: () => string;
  readonly clock: Pick<Clock, "after">;
}

/** The group as requests of clients use it: once a quorum is known to be lost, none of them waits for it, nor waits on. */
export class RequestsGroup implements CatalogueGroup, RequestsGroupBase {
  readonly #group: RequestsGroupBase;
  readonly #parts: RequestsGroupParts;

  constructor(group: RequestsGroupBase, parts: RequestsGroupParts) {
    this.#group = group;
    this.#parts = parts;
  }

  get catalogue(): Catalogue {
    return this.#group.catalogue;
  }

  get fenced(): Group["fenced"] {
    return this.#group.fenced;
  }

  get quorumLostAtMs(): number | undefined {
    return this.#group.quorumLostAtMs;
  }

  async propose(
    command: Parameters<Group["propose"]>[0],
    options?: ProposeOptions,
  ): Promise<Outcome> {
    this.#refuseIfLost();
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, ...(options?.signal ? [options.signal] : [])]);
    const watch = this.#watch(over);
    try {
      return await this.#group.propose(command, { ...options, signal });
    } finally {
      watch.cancel();
    }
  }

  async read<T>(look: (catalogue: Catalogue) => T, options: Patience): Promise<T> {
    this.#refuseIfLost();
    return await this.#group.read(look, options);
  }

  readOrStale<T>(
    look: (catalogue: Catalogue) => T,
    options: { readonly waitMs: number },
  ): Promise<Reading<T>> {
    return this.#group.readOrStale(look, options);
  }

  view(): ReturnType<Group["view"]> {
    return this.#group.view();
  }

  onChanged(listener: () => void): () => void {
    return this.#group.onChanged(listener);
  }

  /** Ends a change that waits when the quorum is found to be lost meanwhile. */
  #watch(over: AbortController): { cancel(): void } {
    const look = () => {
      // Somebody has to ask, or nobody finds out.
      void this.#group.readOrStale(() => {}, { waitMs: STALE_AFTER_MS });
      timer = this.#parts.clock.after(LOOK_MS, look);
      if (this.#group.quorumLostAtMs === undefined) return;
      timer.cancel();
      over.abort(this.#lost("; the change may still be made when there is one again"));
    };
    let timer = this.#parts.clock.after(LOOK_MS, look);
    return { cancel: () => timer.cancel() };
  }

  #refuseIfLost(): void {
    if (this.#group.quorumLostAtMs !== undefined) throw this.#lost("");
  }

  #lost(what: string): UnavailableError {
    const text = `there is no quorum: ${this.#parts.whyLost()}${what}`;
    return new UnavailableError("no_quorum", text, { retryAfterMs: RETRY_AFTER_MS });
  }
}
