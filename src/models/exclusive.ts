/** Lets one piece of work run at a time, in the order of arrival. */
export class Exclusive {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` once everything before it has ended, well or badly. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work);
    this.#last = result.catch(() => {}); // The caller gets the failure; the next one gets its turn.
    return result;
  }
}
