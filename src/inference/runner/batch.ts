import { addressOf, BATCH } from "../llama/mod.ts";

/** The arrays behind one `llama_batch`, allocated once. llama.cpp only borrows them, so this object must outlive calls. */
export class Batch {
  /** What `llama_decode` takes, by value. */
  readonly struct: Uint8Array<ArrayBuffer>;
  readonly #tokens: Int32Array<ArrayBuffer>;
  readonly #positions: Int32Array<ArrayBuffer>;
  readonly #sequences: Int32Array<ArrayBuffer>;
  readonly #outputs: Int8Array<ArrayBuffer>;
  // Kept as fields although never read again: without a reference the collector would take them from llama.cpp.
  readonly #sequenceCounts: Int32Array<ArrayBuffer>;
  readonly #sequencePointers: BigUint64Array<ArrayBuffer>;
  #count = 0;

  /** `capacity`: tokens at most. */
  constructor(capacity: number) {
    this.struct = new Uint8Array(new ArrayBuffer(BATCH.size));
    this.#tokens = integers(capacity);
    this.#positions = integers(capacity);
    this.#sequences = integers(capacity);
    this.#outputs = new Int8Array(new ArrayBuffer(capacity));
    this.#sequenceCounts = integers(capacity).fill(1);
    const first = addressOf(this.#sequences);
    this.#sequencePointers = new BigUint64Array(new ArrayBuffer(capacity * 8));
    for (let index = 0; index < capacity; index++) {
      this.#sequencePointers[index] = first + BigInt(index * Int32Array.BYTES_PER_ELEMENT);
    }
    BATCH.set(this.struct, "tokens", addressOf(this.#tokens));
    BATCH.set(this.struct, "positions", addressOf(this.#positions));
    BATCH.set(this.struct, "sequenceCounts", addressOf(this.#sequenceCounts));
    BATCH.set(this.struct, "sequences", addressOf(this.#sequencePointers));
    BATCH.set(this.struct, "outputs", addressOf(this.#outputs));
  }

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
    BATCH.set(this.struct, "count", 0);
  }

  /** Adds one token; returns its index in the batch. */
  add(token: number, place: { position: number; sequence: number; wantsOutput: boolean }): number {
    const index = this.#count++;
    this.#tokens[index] = token;
    this.#positions[index] = place.position;
    this.#sequences[index] = place.sequence;
    this.#outputs[index] = place.wantsOutput ? 1 : 0;
    BATCH.set(this.struct, "count", this.#count);
    return index;
  }
}

/** Over a buffer of its own: V8 keeps the elements of small arrays on its heap, where they may move. */
function integers(count: number): Int32Array<ArrayBuffer> {
  return new Int32Array(new ArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT));
}
