/**
 * A map that forgets what was set or used longest ago once it holds more than `entriesMax`. Iterates from the oldest to the
 * newest.
 */
export class BoundedMap<Key, Value> {
  readonly #entriesMax: number;
  // Invariant: insertion order is order of use, oldest first, and size <= entriesMax.
  readonly #entries = new Map<Key, Value>();

  /** `entriesMax` >= 1. */
  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  /** Looks without making it newer. */
  get(key: Key): Value | undefined {
    return this.#entries.get(key);
  }

  /** Looks, and makes what is found the newest. */
  use(key: Key): Value | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  /** Sets the newest entry. */
  set(key: Key, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#entriesMax) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  keys(): IterableIterator<Key> {
    return this.#entries.keys();
  }

  values(): IterableIterator<Value> {
    return this.#entries.values();
  }

  [Symbol.iterator](): IterableIterator<[Key, Value]> {
    return this.#entries[Symbol.iterator]();
  }
}
