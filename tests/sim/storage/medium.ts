import { join } from "node:path";
import { type Random, StorageError } from "../../../src/base/mod.ts";
import type { Disk } from "../../../src/ports/mod.ts";
import { openDisk } from "../../../src/storage/deno_disk.ts";
import { Violation } from "../raft/invariants.ts";
import type { VirtualTime } from "../raft/virtual_time.ts";
import { SimulatedDisk } from "../simulated_disk.ts";
import type { RealWork } from "./real_work.ts";

/** What is wrong with a disk while it lasts. */
export type Trouble = "full" | "read_only" | "failed_sync";
/** What becomes of a file while nobody looks. */
export type Damage = "flip" | "cut";

/** Steps that need room, as far as any file system goes. */
const NEEDING_ROOM: readonly string[] = ["create", "prepare", "write", "rename"];
const SYNCS: readonly string[] = ["sync", "syncFolder"];
/** Virtual milliseconds of a step, at most. */
const STEP_MS = { sync: 5, syncFolder: 3, create: 3, prepare: 12 } as Readonly<
  Record<string, number>
>;

/** What a {@link Medium} is made of. */
export interface MediumParts {
  readonly time: VirtualTime;
  readonly work: RealWork;
  readonly random: Random;
  /** Of real files, empty; undefined = in memory alone. */
  readonly folder: string | undefined;
}

/**
 * One node's disk, which outlives its processes: real files through the shipped adapter, beside the simulator's idea of
 * what of them is durable. Where both read differently, the run fails.
 */
export class Medium {
  readonly #parts: MediumParts;
  readonly #real: Disk | undefined;
  #simulated = new SimulatedDisk();
  #process: ProcessDisk | undefined;
  trouble: Trouble | undefined;
  slowMs: () => number = () => 0;
  /** Calls that failed by {@link trouble}. */
  refusals = 0;
  /** Files that were damaged. */
  damages = 0;

  private constructor(parts: MediumParts, real: Disk | undefined) {
    this.#parts = parts;
    this.#real = real;
  }

  static async open(parts: MediumParts): Promise<Medium> {
    const { folder } = parts;
    return new Medium(parts, folder === undefined ? undefined : await openDisk(folder));
  }

  /** As a new process finds it. */
  boot(): Disk {
    const before = this.#process;
    return this.#process = new ProcessDisk({
      ...this.#parts,
      simulated: this.#simulated,
      real: this.#real,
      medium: this,
      // What the dead one's calls still do to the files comes before, and counts for nothing.
      isReady: (async () => {
        await before?.rest();
        this.#copyOut();
      })(),
    });
  }

  /** Of all processes none is left, nor any file of theirs open. */
  async close(): Promise<void> {
    this.#process?.end();
    await this.#process?.rest();
    await this.#real?.close();
  }

  get hasUnsynced(): boolean {
    return this.#simulated.hasUnsynced;
  }

  /** The process dies; `power`: with its machine. */
  crash({ power }: { readonly power: boolean }): void {
    this.#process?.end();
    this.#simulated = power
      ? this.#simulated.crash(this.#parts.random)
      : this.#simulated.killProcess();
  }

  /** Turns a bit of what is stored of a file of the log or of a snapshot, or cuts its end off; while nobody runs. */
  damage(what: "log" | "snapshot", how: Damage): void {
    const { random } = this.#parts;
    const pattern = what === "log" ? /^wal-.*\.log$/ : /^snapshot-.*\.bin$/;
    const [name, bytes] = random.pick(this.#files().filter(([name]) => pattern.test(name))) ?? [];
    if (name === undefined || bytes === undefined) return;
    // Zeros that nothing was written to yet are no loss.
    const usedBytes = bytes.findLastIndex((byte) => byte !== 0) + 1;
    if (usedBytes === 0) return;
    if (how === "cut") this.#simulated.put(name, bytes.slice(0, random.below(usedBytes)));
    else this.#simulated.rot(name, random.below(usedBytes), 1 << random.below(8));
    this.damages++;
  }

  #files(): readonly (readonly [string, Uint8Array])[] {
    return this.#simulated.files();
  }

  #copyOut(): void {
    const { folder } = this.#parts;
    if (folder === undefined) return;
    void this.#real?.close();
    for (const { name } of [...Deno.readDirSync(folder)]) Deno.removeSync(join(folder, name));
    for (const [name, bytes] of this.#files()) Deno.writeFileSync(join(folder, name), bytes);
  }
}

interface ProcessParts extends MediumParts {
  readonly simulated: SimulatedDisk;
  readonly real: Disk | undefined;
  readonly medium: Medium;
  /** Resolves when the real files are what the process finds. */
  readonly isReady: Promise<void>;
}

/** The disk of one process: every call takes virtual time, and none comes back once the process is dead. */
class ProcessDisk implements Disk {
  readonly #parts: ProcessParts;
  #isDead = false;
  /** Those under way on the real files. */
  readonly #calls = new Set<Promise<unknown>>();

  constructor(parts: ProcessParts) {
    this.#parts = parts;
  }

  end(): void {
    this.#isDead = true;
  }

  /** Resolves when no call does anything to the real files any more. */
  async rest(): Promise<void> {
    await Promise.allSettled(this.#calls);
  }

  list(): Promise<readonly string[]> {
    return this.#call("list", async (disk) => await disk.list());
  }

  read(name: string): Promise<Uint8Array | undefined> {
    return this.#call("read", async (disk) => await disk.read(name));
  }

  create(name: string, bytes: Uint8Array): Promise<void> {
    const half = bytes.slice(0, bytes.length >> 1);
    return this.#call(
      "create",
      (disk) => disk.create(name, bytes),
      (disk) => disk.create(name, half),
    );
  }

  prepare(name: string, fileBytes: number): Promise<void> {
    return this.#call(
      "prepare",
      (disk) => disk.prepare(name, fileBytes),
      (disk) => disk.create(name, new Uint8Array(fileBytes >> 1)),
    );
  }

  write(name: string, write: { readonly at: number; readonly bytes: Uint8Array }): Promise<void> {
    // The log's own may be changed by its caller once the call is over.
    const bytes = write.bytes.slice();
    const half = { at: write.at, bytes: bytes.slice(0, bytes.length >> 1) };
    return this.#call(
      "write",
      (disk) => disk.write(name, { at: write.at, bytes }),
      (disk) => disk.write(name, half),
    );
  }

  sync(name: string): Promise<void> {
    return this.#call("sync", (disk) => disk.sync(name));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call("rename", (disk) => disk.rename(from, to));
  }

  remove(name: string): Promise<void> {
    return this.#call("remove", (disk) => disk.remove(name));
  }

  syncFolder(): Promise<void> {
    return this.#call("syncFolder", (disk) => disk.syncFolder());
  }

  async close(): Promise<void> {}

  /** `inPart`: what is left of it when there is no room. */
  async #call<T>(
    step: string,
    effect: (disk: Disk) => Promise<T>,
    inPart: (disk: Disk) => Promise<void> = async () => {},
  ): Promise<T> {
    const { simulated } = this.#parts;
    if (this.#isDead) return await new Promise<never>(() => {});
    const refusal = this.#refusal(step);
    const over = this.#latency(step);
    if (refusal !== undefined) {
      this.#parts.medium.refusals++;
      if (refusal.code === "disk_full") await this.#doTwice(step, inPart);
      await over;
      if (this.#isDead) return await new Promise<never>(() => {});
      throw refusal;
    }
    const result = await this.#doTwice(step, effect);
    await over;
    if (this.#isDead) return await new Promise<never>(() => {});
    // What a sync makes durable is so at its end; the power may go before.
    if (SYNCS.includes(step)) await effect(simulated);
    return result as T;
  }

  /** As far as the simulator knows and, where there are real files, with them. */
  async #doTwice<T>(step: string, effect: (disk: Disk) => Promise<T>): Promise<T | undefined> {
    const { work, simulated, real, isReady } = this.#parts;
    const isSync = SYNCS.includes(step);
    const expected = isSync ? undefined : await effect(simulated);
    if (real === undefined) return expected;
    const call = work.during(async () => {
      await isReady;
      return await effect(real);
    });
    this.#calls.add(call);
    const actual = await call;
    this.#calls.delete(call);
    if (!isSync) assertSame(step, expected, actual);
    return actual;
  }

  #refusal(step: string): StorageError | undefined {
    switch (this.#parts.medium.trouble) {
      case "full":
        if (!NEEDING_ROOM.includes(step)) return undefined;
        return new StorageError("disk_full", `Cannot ${step}: no space left on device`);
      case "read_only":
        if (step === "list" || step === "read") return undefined;
        return new StorageError("storage_failed", `Cannot ${step}: read-only file system`);
      case "failed_sync":
        if (!SYNCS.includes(step)) return undefined;
        return new StorageError("storage_failed", `Cannot ${step}: input/output error`);
      default:
        return undefined;
    }
  }

  #latency(step: string): Promise<void> {
    const { time, work, random, medium } = this.#parts;
    const { promise, resolve } = Promise.withResolvers<void>();
    const slowMs = medium.slowMs();
    const delayMs = random.below(STEP_MS[step] ?? 1) +
      (SYNCS.includes(step) && slowMs > 0 ? random.below(slowMs) : 0);
    time.after(delayMs, () => {
      work.touch();
      resolve();
    });
    return promise;
  }
}

function assertSame(step: string, expected: unknown, actual: unknown): void {
  const text = (value: unknown) => value instanceof Uint8Array ? value.toHex() : `${value}`;
  if (text(expected) === text(actual)) return;
  throw new Violation(`storage: ${step} of real files differs from what the simulator expects`);
}
