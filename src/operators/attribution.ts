import { AsyncLocalStorage } from "node:async_hooks";
import { isAudited } from "../core/catalogue/mod.ts";
import type { ChangeMaker, Clock } from "../ports/mod.ts";
import { type CatalogueCommand, type ChangeOrigin, ORIGIN_BYTES_MAX } from "../protocol/mod.ts";

/**
 * Knows who has a change made while it is made. It travels along the calls by itself: between the request and the command
 * lie stores, pulls and placements, and none of them has any business with it.
 */
export class Attribution {
  readonly #maker = new AsyncLocalStorage<ChangeMaker>();
  readonly #own: ChangeMaker;
  readonly #clock: Pick<Clock, "nowMs">;

  /** `member`: this node's name, under which it does what nobody asks for. */
  constructor(member: string, clock: Pick<Clock, "nowMs">) {
    this.#own = { who: `member ${member}`, from: "" };
    this.#clock = clock;
  }

  /** Runs `act`: what it changes, now and in what it leaves running, is `by`'s. */
  attribute<T>(by: ChangeMaker, act: () => T): T {
    return this.#maker.run(by, act);
  }

  /** Undefined for commands that nobody asks for. */
  originOf(command: CatalogueCommand): ChangeOrigin | undefined {
    if (!isAudited(command)) return undefined;
    const { who, from } = this.#maker.getStore() ?? this.#own;
    return {
      who: cut(who, ORIGIN_BYTES_MAX.who),
      from: cut(from, ORIGIN_BYTES_MAX.from),
      atMs: this.#clock.nowMs(),
    };
  }
}

/** Whole characters only. */
function cut(text: string, bytesMax: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytesMax));
  return text.slice(0, read);
}
