import { StorageError } from "../../src/base/mod.ts";
import type { SecretFiles } from "../../src/ports/mod.ts";

/** Files in memory that can stop taking writes, as a node that dies does. */
export class MemoryFiles implements SecretFiles {
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  /** Writes and removals that still work. */
  writesLeft = Infinity;

  async read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.files.get(name)?.slice();
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    this.#spend();
    this.files.set(name, Uint8Array.from(bytes));
  }

  async remove(name: string): Promise<void> {
    this.#spend();
    this.files.delete(name);
  }

  /** What the next process finds; the dead one's writes fail. */
  killProcess(): MemoryFiles {
    const survivor = new MemoryFiles();
    for (const [name, bytes] of this.files) survivor.files.set(name, bytes);
    this.writesLeft = 0;
    return survivor;
  }

  #spend(): void {
    if (this.writesLeft === 0) throw new StorageError("storage_failed", "the node has died");
    this.writesLeft--;
  }
}
