/**
 * How the bench's client asks a member of odist's group for commits: fixed-size requests and answers over one connection,
 * because the question is what a commit costs, not what a client library does.
 *
 * @module
 */

/** Bytes of a value, as etcd's own benchmark tool likes them. */
export const VALUE_BYTES = 256;
/** Keys that are written, one after another. */
export const KEYS = 500;
/** Id and key number, then the value. */
export const REQUEST_BYTES = 8 + VALUE_BYTES;
/** Id and 0 = done, 1 = refused or failed. */
export const ANSWER_BYTES = 8;

/** What a client measured. */
export interface ClientFigures {
  readonly commits: number;
  readonly failures: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Calls back with each whole record of a byte stream; a view that must not be kept. */
export async function readRecords(
  readable: ReadableStream<Uint8Array>,
  options: { readonly recordBytes: number; readonly take: (record: DataView) => void },
): Promise<void> {
  const { recordBytes, take } = options;
  let rest = new Uint8Array(0);
  for await (const chunk of readable) {
    const bytes = new Uint8Array(rest.length + chunk.length);
    bytes.set(rest);
    bytes.set(chunk, rest.length);
    let at = 0;
    for (; at + recordBytes <= bytes.length; at += recordBytes) {
      take(new DataView(bytes.buffer, at, recordBytes));
    }
    rest = bytes.slice(at);
  }
}

/** Writes what comes in one turn at once, and while a write runs, the next one collects. */
export class RecordWriter {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #waiting: Uint8Array[] = [];
  #isWriting = false;

  constructor(writable: WritableStream<Uint8Array>) {
    this.#writer = writable.getWriter();
  }

  write(record: Uint8Array): void {
    this.#waiting.push(record);
    if (this.#isWriting) return;
    this.#isWriting = true;
    queueMicrotask(() => void this.#writeAll());
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const records = this.#waiting;
        this.#waiting = [];
        const bytes = new Uint8Array(records.reduce((sum, record) => sum + record.length, 0));
        let at = 0;
        for (const record of records) {
          bytes.set(record, at);
          at += record.length;
        }
        await this.#writer.write(bytes);
      }
    } catch (error) {
      // The other end is gone; the process ends with the bench.
      if (!(error instanceof Error)) throw error;
    } finally {
      this.#isWriting = false;
    }
  }
}
