import { isEdgeError } from "../base/mod.ts";
import { decodeKeptResponse, encodeKeptResponse, type KeptResponse } from "../calls/mod.ts";
import type { Clock, Disk } from "../ports/mod.ts";

/** Responses on one node at most. */
const RESPONSES_MAX = 10_000;
/** Bytes of all of them. */
const FOLDER_BYTES_MAX = 256 * 1024 * 1024;
/** Names of files that hold a response: `<id>.<expires>.<bytes>.<final or pending>`. */
const NAME_PATTERN = /^(resp_[a-z0-9]{1,64})\.(\d{1,16})\.(\d{1,9})\.(final|pending)$/;
const ID_PATTERN = /^resp_[a-z0-9]{1,64}$/;
/** Of a file that is not whole yet. */
const TEMPORARY_NAME = ".tmp-response";

interface Entry {
  readonly name: string;
  readonly expiresAtMs: number;
  readonly byteCount: number;
  readonly isFinal: boolean;
}

/** How much a folder takes. */
export interface ResponseFolderOptions {
  readonly clock: Pick<Clock, "nowMs">;
  /** Default 10,000. */
  readonly responsesMax?: number;
  /** Default 256 MiB. */
  readonly bytesMax?: number;
}

/** True for what may be the id of a response, and so the beginning of a file's name. */
export function isResponseId(id: string): boolean {
  return ID_PATTERN.test(id);
}

/**
 * One node's responses, a file each, so that they outlive its process. What is over its time is gone; when there are too
 * many, those go first whose time is over first. What the folder holds stands in the files' names: nothing is read to know it.
 */
export class ResponseFolder {
  readonly #disk: Disk;
  readonly #options: ResponseFolderOptions;
  /** By id, in the order they were kept. */
  readonly #entries = new Map<string, Entry>();
  #byteCount = 0;
  /** The disk takes one call at a time. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(disk: Disk, options: ResponseFolderOptions) {
    this.#disk = disk;
    this.#options = options;
  }

  /** @throws StorageError `storage_failed`. */
  static async open(disk: Disk, options: ResponseFolderOptions): Promise<ResponseFolder> {
    const folder = new ResponseFolder(disk, options);
    await folder.#load();
    return folder;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What somebody works on, or did before he was gone. */
  get pendingIds(): readonly string[] {
    return [...this.#entries].flatMap(([id, { isFinal }]) => isFinal ? [] : [id]);
  }

  /** A file that can't be read is none. */
  async find(id: string): Promise<KeptResponse | undefined> {
    return await this.#inTurn(async () => {
      const entry = this.#entries.get(id);
      if (entry === undefined || entry.expiresAtMs <= this.#options.clock.nowMs()) return undefined;
      const bytes = await this.#disk.read(entry.name);
      return bytes === undefined ? undefined : decoded(bytes);
    });
  }

  /**
   * Replaces what was there under the id; a final one stays. Survives a crash once this resolves.
   *
   * @throws StorageError `disk_full` or `storage_failed`.
   */
  async keep(id: string, response: KeptResponse, expiresAtMs: number): Promise<void> {
    await this.#inTurn(async () => {
      const before = this.#entries.get(id);
      if (before?.isFinal === true && !response.isFinal) return;
      const bytes = encodeKeptResponse(response);
      await this.#makeRoom(bytes.length);
      const kind = response.isFinal ? "final" : "pending";
      const name = `${id}.${Math.ceil(expiresAtMs)}.${bytes.length}.${kind}`;
      await this.#disk.create(TEMPORARY_NAME, bytes);
      await this.#disk.sync(TEMPORARY_NAME);
      await this.#disk.rename(TEMPORARY_NAME, name);
      // Before the old one goes: a crash could make one of the two durable without the other.
      await this.#disk.syncFolder();
      if (before !== undefined && before.name !== name) await this.#drop(id);
      this.#note(id, {
        name,
        expiresAtMs,
        byteCount: bytes.length,
        isFinal: response.isFinal,
      });
    });
  }

  /** Whether it was there. @throws StorageError `storage_failed`. */
  async remove(id: string): Promise<boolean> {
    return await this.#inTurn(async () => {
      if (!this.#entries.has(id)) return false;
      await this.#drop(id);
      await this.#disk.syncFolder();
      return true;
    });
  }

  async close(): Promise<void> {
    await this.#inTurn(() => this.#disk.close());
  }

  async #load(): Promise<void> {
    for (const name of await this.#disk.list()) {
      const [, id, expires, bytes, kind] = NAME_PATTERN.exec(name) ?? [];
      if (id === undefined) {
        if (name === TEMPORARY_NAME) await this.#disk.remove(name);
        continue;
      }
      const isFinal = kind === "final";
      const before = this.#entries.get(id);
      // A crash left both: what the later one replaced was not removed any more.
      if (before?.isFinal === true && !isFinal) await this.#disk.remove(name);
      else {
        if (before !== undefined) await this.#drop(id);
        this.#note(id, { name, expiresAtMs: Number(expires), byteCount: Number(bytes), isFinal });
      }
    }
    await this.#makeRoom(0);
  }

  async #makeRoom(byteCount: number): Promise<void> {
    const { clock, responsesMax = RESPONSES_MAX, bytesMax = FOLDER_BYTES_MAX } = this.#options;
    const nowMs = clock.nowMs();
    const isFull = () =>
      this.#entries.size >= responsesMax || this.#byteCount + byteCount > bytesMax;
    const byTime = [...this.#entries].filter(([, { expiresAtMs }]) =>
      expiresAtMs <= nowMs || isFull()
    ).sort(([, a], [, b]) => a.expiresAtMs - b.expiresAtMs);
    for (const [id, { expiresAtMs }] of byTime) {
      if (expiresAtMs > nowMs && !isFull()) return;
      await this.#drop(id);
    }
  }

  async #drop(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    await this.#disk.remove(entry.name);
    this.#entries.delete(id);
    this.#byteCount -= entry.byteCount;
  }

  #note(id: string, entry: Entry): void {
    this.#byteCount += entry.byteCount - (this.#entries.get(id)?.byteCount ?? 0);
    this.#entries.set(id, entry);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

function decoded(bytes: Uint8Array): KeptResponse | undefined {
  try {
    return decodeKeptResponse(bytes);
  } catch (error) {
    if (isEdgeError(error)) return undefined;
    throw error;
  }
}
