import type { NodeId } from "../../base/mod.ts";

/** How an attempt to bring a blob ended. */
export type AttemptEnd =
  /** The bytes did not come. */
  | { readonly kind: "lost" }
  /**
   * All bytes came, and were not the blob. `senders`: who sent some; `isWhole`: nothing was there from before, so that all
   * wrong bytes are theirs.
   */
  | {
    readonly kind: "corrupt";
    readonly senders: readonly NodeId[];
    readonly isWhole: boolean;
    /** Who broke off or sent nonsense besides: asked last from here on. */
    readonly faulted?: readonly NodeId[];
  };

/**
 * From whom a blob is read, attempt by attempt: from all holders together, and when that gave the wrong bytes from one
 * after the other, which tells who has them wrong.
 */
export class BlobAttempts {
  /** Best first. Invariant: nobody who has been found corrupt is among them. */
  #holders: readonly NodeId[];
  #next: "all" | "single" | "over" = "all";
  #single = 0;
  /** The next single holder had wrong bytes of somebody else's to go on with, and is asked anew. */
  #isAgain = false;

  constructor(holders: readonly NodeId[]) {
    this.#holders = holders;
    if (holders.length === 0) this.#next = "over";
  }

  /** Whom to read from now, together; undefined when there is nobody left to try. */
  holders(): readonly NodeId[] | undefined {
    if (this.#next === "over") return undefined;
    if (this.#next === "all") return this.#holders;
    const holder = this.#holders[this.#single];
    return holder === undefined ? undefined : [holder];
  }

  /** The attempt failed. Returns who is now known to have a corrupt copy. */
  fail(end: AttemptEnd): NodeId | undefined {
    if (end.kind === "lost") {
      // Reading from all together has tried each of them.
      if (this.#next === "single") this.#goOn();
      else this.#next = "over";
      return undefined;
    }
    const culprit = end.isWhole && end.senders.length === 1 ? end.senders[0] : undefined;
    const isFirst = this.#next === "all";
    this.#next = "single";
    const { faulted = [] } = end;
    const isFaulted = (holder: NodeId) => faulted.includes(holder);
    if (isFirst) {
      const sound = this.#holders.filter((holder) => !isFaulted(holder));
      this.#holders = [...sound, ...this.#holders.filter(isFaulted)];
    }
    if (culprit !== undefined) {
      this.#holders = this.#holders.filter((holder) => holder !== culprit);
      this.#isAgain = false;
    } else if (!isFirst && !this.#isAgain) {
      this.#isAgain = true; // Bytes from before may be what was wrong. They are gone now.
    } else if (!isFirst) {
      this.#goOn();
    }
    return culprit;
  }

  #goOn(): void {
    this.#single++;
    this.#isAgain = false;
  }
}
