import { UnavailableError } from "../base/mod.ts";
import type { Catalogue, Outcome } from "../core/catalogue/mod.ts";
import { type CatalogueGroup, RETRY_AFTER_MS } from "./catalogue_group.ts";
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

/** The group as requests of clients use it: once a quorum is known to be lost, none of them waits for it. */
export class RequestsGroup implements CatalogueGroup, RequestsGroupBase {
  readonly #group: RequestsGroupBase;
  readonly #whyLost: () => string;

  /** `whyLost`: what is missing, and how to get it. */
  constructor(group: RequestsGroupBase, whyLost: () => string) {
    this.#group = group;
    this.#whyLost = whyLost;
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
    return await this.#group.propose(command, options);
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

  #refuseIfLost(): void {
    if (this.#group.quorumLostAtMs === undefined) return;
    throw new UnavailableError("no_quorum", `there is no quorum: ${this.#whyLost()}`, {
      retryAfterMs: RETRY_AFTER_MS,
    });
  }
}
