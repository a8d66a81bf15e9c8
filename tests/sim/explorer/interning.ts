/** Numbers that stand for values, equal for values with equal keys, counted from 0. */
export class Interner<Value> {
  readonly #numbers = new Map<string, number>();
  readonly #values: Value[] = [];

  get size(): number {
    return this.#values.length;
  }

  /** `make` is only called for a key that was never seen. */
  intern(key: string, make: () => Value): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#values.length;
    this.#numbers.set(key, number);
    this.#values.push(make());
    return number;
  }

  get(number: number): Value {
    const value = this.#values[number];
    if (value === undefined) throw new RangeError(`Nothing has the number ${number}`);
    return value;
  }
}

/** From pairs of numbers >= 0 to a number; a Map would end at 16 million of them. */
export class PairTable {
  #firsts = new Int32Array(1024).fill(-1);
  #seconds = new Int32Array(1024);
  #values = new Int32Array(1024);
  #count = 0;

  /** -1 = absent. */
  get(first: number, second: number): number {
    const slot = this.#slotOf(first, second);
    return this.#firsts[slot] === -1 ? -1 : this.#values[slot] ?? -1;
  }

  set(first: number, second: number, value: number): void {
    if (this.#count * 2 >= this.#firsts.length) this.#grow();
    const slot = this.#slotOf(first, second);
    if (this.#firsts[slot] === -1) this.#count++;
    this.#firsts[slot] = first;
    this.#seconds[slot] = second;
    this.#values[slot] = value;
  }

  #slotOf(first: number, second: number): number {
    const firsts = this.#firsts;
    const mask = firsts.length - 1;
    let slot = mix(first, second) & mask;
    while (firsts[slot] !== -1 && (firsts[slot] !== first || this.#seconds[slot] !== second)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const [firsts, seconds, values] = [this.#firsts, this.#seconds, this.#values];
    this.#firsts = new Int32Array(firsts.length * 2).fill(-1);
    this.#seconds = new Int32Array(firsts.length * 2);
    this.#values = new Int32Array(firsts.length * 2);
    for (let at = 0; at < firsts.length; at++) {
      const [first = -1, second = 0] = [firsts[at], seconds[at]];
      if (first === -1) continue;
      const slot = this.#slotOf(first, second);
      this.#firsts[slot] = first;
      this.#seconds[slot] = second;
      this.#values[slot] = values[at] ?? 0;
    }
  }
}

/** Rows of a table chunk, as a power of two. */
const CHUNK_BITS = 18;
const CHUNK_ROWS = 1 << CHUNK_BITS;

/** Rows of integers that only grow, in pieces, so that growing never copies. */
export class Rows {
  readonly #width: number;
  readonly #chunks: Int32Array[] = [];
  count = 0;

  constructor(width: number) {
    this.#width = width;
  }

  /** Appends a row of zeros and returns its number. */
  add(): number {
    if (this.count >> CHUNK_BITS >= this.#chunks.length) {
      this.#chunks.push(new Int32Array(CHUNK_ROWS * this.#width));
    }
    return this.count++;
  }

  get(row: number, column: number): number {
    const chunk = this.#chunks[row >> CHUNK_BITS];
    return chunk?.[(row & (CHUNK_ROWS - 1)) * this.#width + column] ?? 0;
  }

  set(row: number, column: number, value: number): void {
    const chunk = this.#chunks[row >> CHUNK_BITS];
    if (chunk !== undefined) chunk[(row & (CHUNK_ROWS - 1)) * this.#width + column] = value;
  }
}

/** Finds the row that begins with four given numbers, or adds it. Compares all of them: nothing rests on luck. */
export class RowIndex {
  readonly #rows: Rows;
  #slots = new Int32Array(1 << 16).fill(-1);

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** The row's number; it is fresh when that equals the count of rows before. */
  findOrAdd(...[a, b, c, d]: [number, number, number, number]): number {
    if (this.#rows.count * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    let slot = mix(mix(a, b), mix(c, d)) & mask;
    for (let row = this.#slots[slot] ?? -1; row !== -1; row = this.#slots[slot] ?? -1) {
      const rows = this.#rows;
      const isSame = rows.get(row, 0) === a && rows.get(row, 1) === b && rows.get(row, 2) === c &&
        rows.get(row, 3) === d;
      if (isSame) return row;
      slot = (slot + 1) & mask;
    }
    const row = this.#rows.add();
    this.#rows.set(row, 0, a);
    this.#rows.set(row, 1, b);
    this.#rows.set(row, 2, c);
    this.#rows.set(row, 3, d);
    this.#slots[slot] = row;
    return row;
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const mask = this.#slots.length - 1;
    const rows = this.#rows;
    for (let row = 0; row < rows.count; row++) {
      const high = mix(rows.get(row, 0), rows.get(row, 1));
      let slot = mix(high, mix(rows.get(row, 2), rows.get(row, 3))) & mask;
      while (this.#slots[slot] !== -1) slot = (slot + 1) & mask;
      this.#slots[slot] = row;
    }
  }
}

function mix(left: number, right: number): number {
  let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right + 0x7f4a7c15, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return hash ^ (hash >>> 13);
}
