import { setImmediate } from "node:timers";
import type { Rest } from "../raft/virtual_time.ts";

/** Calls of real disks, and what they set off in turns of the event loop: virtual time waits for them. */
export class RealWork implements Rest {
  #underWay = 0;
  #isTouched = false;
  #failure: { readonly error: unknown } | undefined;

  get isBusy(): boolean {
    return this.#isTouched || this.#underWay > 0 || this.#failure !== undefined;
  }

  /** Something may go on in this turn. */
  touch(): void {
    this.#isTouched = true;
  }

  /** The run has failed where nobody waits for it. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay++;
    try {
      return await work();
    } finally {
      this.#underWay--;
      this.touch();
    }
  }

  async settle(): Promise<void> {
    while (this.#isTouched || this.#underWay > 0) {
      this.#isTouched = false;
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
