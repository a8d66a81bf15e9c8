/**
 * A disk that does what real ones do: a page cache in front of sectors, folder entries that are durable only once the
 * folder is synced, crashes that keep, lose or garble what was not synced, rot, full, and syncs that fail.
 *
 * @module
 */
import { type Random, StorageError } from "../../src/base/mod.ts";
import type { Disk } from "../../src/ports/mod.ts";

const SECTOR_BYTES = 512;

interface SimulatedFile {
  /** What survives a crash for certain. */
  durable: Uint8Array;
  /** What reads return. */
  cached: Uint8Array;
  /** Sectors that differ in kind: written since the last sync. */
  dirty: Set<number>;
}

/** A change of the folder that is not durable yet. */
interface NameChange {
  readonly name: string;
  /** Undefined = it is gone. */
  readonly file: SimulatedFile | undefined;
  /** A rename takes this away. */
  readonly from?: string;
}

export class SimulatedDisk implements Disk {
  // Names as reads see them, and as a crash would leave them if nothing pending got through.
  #names = new Map<string, SimulatedFile>();
  #durableNames = new Map<string, SimulatedFile>();
  /** Folder changes since the last syncFolder, in order. */
  #pendingNames: NameChange[] = [];
  /** Changing calls so far: writes, syncs, creations, renames, removals. */
  operations = 0;
  /** Called before each changing call; may take a {@link fork}, or throw to fail the call. */
  onOperation: (name: string) => void = () => {};
  /** Bytes all files may take together. */
  capacityBytes = Infinity;

  async list(): Promise<readonly string[]> {
    return [...this.#names.keys()].sort();
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    return this.#names.get(name)?.cached.slice();
  }

  async create(name: string, bytes: Uint8Array): Promise<void> {
    this.#begin("create");
    let used = bytes.length;
    for (const file of this.#names.values()) used += file.cached.length;
    const written = Math.max(0, Math.min(bytes.length, bytes.length + this.capacityBytes - used));
    const cached = bytes.slice(0, written);
    const sectors = Array.from({ length: Math.ceil(written / SECTOR_BYTES) }, (_, at) => at);
    const file = { durable: new Uint8Array(0), cached, dirty: new Set(sectors) };
    this.#names.set(name, file);
    this.#pendingNames.push({ name, file });
    // What fitted stays, as on a real disk.
    if (written < bytes.length) throw new StorageError("disk_full", "Cannot create: disk is full");
  }

  async prepare(name: string, fileBytes: number): Promise<void> {
    await this.create(name, new Uint8Array(fileBytes));
    await this.sync(name);
  }

  async write(
    name: string,
    write: { readonly at: number; readonly bytes: Uint8Array },
  ): Promise<void> {
    this.#begin("write");
    const file = this.#file(name);
    const end = write.at + write.bytes.length;
    if (end > file.cached.length) throw new Error(`write past the end of ${name}`);
    file.cached.set(write.bytes, write.at);
    const last = Math.floor((end - 1) / SECTOR_BYTES);
    for (let sector = Math.floor(write.at / SECTOR_BYTES); sector <= last; sector++) {
      file.dirty.add(sector);
    }
  }

  async sync(name: string): Promise<void> {
    this.#begin("sync");
    const file = this.#file(name);
    if (file.durable.length !== file.cached.length) file.durable = file.cached.slice();
    else {
      for (const sector of file.dirty) {
        const at = sector * SECTOR_BYTES;
        file.durable.set(file.cached.subarray(at, at + SECTOR_BYTES), at);
      }
    }
    file.dirty.clear();
  }

  async rename(from: string, to: string): Promise<void> {
    this.#begin("rename");
    const file = this.#file(from);
    this.#names.delete(from);
    this.#names.set(to, file);
    this.#pendingNames.push({ name: to, file, from });
  }

  async remove(name: string): Promise<void> {
    this.#begin("remove");
    if (!this.#names.delete(name)) return;
    this.#pendingNames.push({ name, file: undefined });
  }

  async syncFolder(): Promise<void> {
    this.#begin("syncFolder");
    for (const change of this.#pendingNames.splice(0)) carryOut(change, this.#durableNames);
  }

  async close(): Promise<void> {}

  /**
   * The disk as a machine finds it that lost its power now. Each unsynced sector is kept, lost or garbled; of the
   * pending folder changes any have got through: POSIX promises no order among them.
   */
  crash(random: Random): SimulatedDisk {
    const survivor = new SimulatedDisk();
    // This disk goes on as if nothing had happened: a sweep crashes it at every step.
    const names = new Map(this.#durableNames);
    for (const change of this.#pendingNames) if (random.chance(1, 2)) carryOut(change, names);
    for (const [name, file] of names) survivor.put(name, afterCrash(file, random));
    return survivor;
  }

  /** A process that dies without its machine: the page cache lives on, and may yet be lost with the power. */
  killProcess(): SimulatedDisk {
    const survivor = new SimulatedDisk();
    const copies = new Map<SimulatedFile, SimulatedFile>();
    const copyOf = (file: SimulatedFile) => {
      const copy = copies.get(file) ??
        {
          ...file,
          durable: file.durable.slice(),
          cached: file.cached.slice(),
          dirty: new Set(file.dirty),
        };
      copies.set(file, copy);
      return copy;
    };
    for (const [name, file] of this.#names) survivor.#names.set(name, copyOf(file));
    for (const [name, file] of this.#durableNames) survivor.#durableNames.set(name, copyOf(file));
    survivor.#pendingNames = this.#pendingNames.map((change) =>
      change.file === undefined ? change : { ...change, file: copyOf(change.file) }
    );
    return survivor;
  }

  /** True when a loss of power may undo something. */
  get hasUnsynced(): boolean {
    const files = [...this.#names.values()];
    return this.#pendingNames.length > 0 || files.some(({ dirty }) => dirty.size > 0);
  }

  /** Names and bytes, as reads give them. */
  files(): readonly (readonly [string, Uint8Array])[] {
    return [...this.#names].map(([name, { cached }]) => [name, cached] as const);
  }

  /** Turns bits of what is stored. */
  rot(name: string, at: number, mask: number): void {
    const file = this.#file(name);
    file.cached[at] = (file.cached[at] ?? 0) ^ mask;
    file.durable = file.cached.slice();
  }

  /** Replaces or (undefined) loses a file, as someone with a backup or a hammer would. */
  put(name: string, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) {
      this.#names.delete(name);
      this.#durableNames.delete(name);
      return;
    }
    const file = { durable: bytes.slice(), cached: bytes.slice(), dirty: new Set<number>() };
    this.#names.set(name, file);
    this.#durableNames.set(name, file);
  }

  #begin(name: string): void {
    this.onOperation(name);
    this.operations++;
  }

  #file(name: string): SimulatedFile {
    const file = this.#names.get(name);
    if (file === undefined) throw new StorageError("storage_failed", `no file ${name}`);
    return file;
  }
}

function carryOut(change: NameChange, names: Map<string, SimulatedFile>): void {
  if (change.from !== undefined) names.delete(change.from);
  if (change.file === undefined) names.delete(change.name);
  else names.set(change.name, change.file);
}

function afterCrash(file: SimulatedFile, random: Random): Uint8Array {
  if (file.dirty.size === 0) return file.durable.slice();
  // The length of a file that was never synced is as unsure as its bytes.
  const length = file.durable.length > 0
    ? file.durable.length
    : random.chance(1, 2)
    ? file.cached.length
    : random.below(file.cached.length + 1);
  const bytes = new Uint8Array(length);
  bytes.set(file.durable.subarray(0, length));
  for (const sector of file.dirty) {
    const at = sector * SECTOR_BYTES;
    if (at >= length) continue;
    const fate = random.below(4);
    if (fate === 0) continue;
    const end = Math.min(at + SECTOR_BYTES, length);
    bytes.set(file.cached.subarray(at, end), at);
    if (fate === 3) {
      for (let garbled = at; garbled < end; garbled++) bytes[garbled] = random.below(256);
    }
  }
  return bytes;
}
