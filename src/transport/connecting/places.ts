/** Somebody who is let in as far as that it is not known yet who it is. */
export interface Place {
  /** It is known by now, or gone. Safe to repeat. */
  release(): void;
}

interface Taken {
  readonly group: string;
  readonly evict: () => void;
}

/**
 * Shares a number of places among the addresses that ask for them. While there are enough, anybody gets one. When none is
 * left, the oldest place of the address that has most is taken away for one that has fewer: so whoever fills all of them from
 * one address keeps nobody else out.
 */
export class Places {
  readonly #max: number;
  /** Oldest first. */
  readonly #taken = new Set<Taken>();
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  get takenCount(): number {
    return this.#taken.size;
  }

  /** Undefined when there is none. `evict` is called when the place is taken away; it is released by then. */
  take(hostname: string, evict: () => void): Place | undefined {
    const group = groupOf(hostname);
    if (this.#taken.size >= this.#max && !this.#makeRoomFor(group)) return undefined;
    const taken: Taken = { group, evict };
    this.#taken.add(taken);
    this.#counts.set(group, this.#countOf(group) + 1);
    return { release: () => this.#release(taken) };
  }

  #makeRoomFor(group: string): boolean {
    let most = group;
    for (const [other, count] of this.#counts) if (count > this.#countOf(most)) most = other;
    // Where the newcomer would only be the next to give way, nothing is won.
    if (this.#countOf(most) <= this.#countOf(group) + 1) return false;
    for (const taken of this.#taken) {
      if (taken.group !== most) continue;
      this.#release(taken);
      taken.evict();
      return true;
    }
    return false;
  }

  #countOf(group: string): number {
    return this.#counts.get(group) ?? 0;
  }

  #release(taken: Taken): void {
    if (!this.#taken.delete(taken)) return;
    const left = this.#countOf(taken.group) - 1;
    if (left > 0) this.#counts.set(taken.group, left);
    else this.#counts.delete(taken.group);
  }
}

/** What counts as one address: of IPv6 the first half, as every household has all of the second. */
function groupOf(hostname: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(hostname)?.[1];
  if (mapped !== undefined || !hostname.includes(":")) return mapped ?? hostname;
  const [head = "", tail] = hostname.toLowerCase().split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  return [...front, ...Array.from({ length: gap }, () => "0"), ...back].slice(0, 4).join(":");
}
