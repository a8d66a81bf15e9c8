import type { StateKeeper } from "./state/mod.ts";

const UINT32 = 0x1_0000_0000;

/**
 * Seeded integer generator (xoshiro128**, seeded by splitmix32): the same seed gives the same sequence on every machine.
 * Not for secrets. Period 2^128 - 1.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `seed`: any integer; taken modulo 2^32. */
  constructor(seed: number) {
    const mix = splitmix32(seed);
    this.#a = mix();
    this.#b = mix();
    this.#c = mix();
    this.#d = mix() | 1; // Never all zero, the one state the generator can't leave.
  }

  /** Next value in [0, 2^32). */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** Uniform integer in [0, limit); `limit` in [1, 2^32]. */
  below(limit: number): number {
    // Rejection keeps it uniform; a plain remainder favours small values.
    const bound = UINT32 - (UINT32 % limit);
    for (;;) {
      const value = this.uint32();
      if (value < bound) return value % limit;
    }
  }

  /** Uniform integer in [low, high), half-open. */
  between(low: number, high: number): number {
    return low + this.below(high - low);
  }

  /** True in `numerator` of `denominator` cases. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }

  /** One element, or undefined for an empty list. */
  pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.below(items.length)];
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const copy = [...items];
    for (let index = copy.length - 1; index > 0; index--) {
      const other = this.below(index + 1);
      const held = copy[index] as T;
      copy[index] = copy[other] as T;
      copy[other] = held;
    }
    return copy;
  }

  /** All of its state. */
  keep(keeper: StateKeeper): void {
    [this.#a, this.#b, this.#c, this.#d] = keeper.keep([this.#a, this.#b, this.#c, this.#d]) as [
      number,
      number,
      number,
      number,
    ];
  }

  /** An independent generator, so that one consumer's draws don't shift another's. */
  fork(): Random {
    return new Random(this.uint32());
  }
}

/** Mixes two integers into one in [0, 2^32): the seed of the draw at `index` under `seed`. */
export function mixSeed(seed: number, index: number): number {
  return splitmix32((seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0)();
}

function splitmix32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

function rotateLeft(value: number, bits: number): number {
  return ((value << bits) | (value >>> (32 - bits))) >>> 0;
}
