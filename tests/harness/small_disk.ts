/**
 * File systems of their own for a test: one in memory that can be filled to the last byte, and one in a file that the kernel
 * gives up on when told to. Linux only, and only for those who may mount.
 *
 * @module
 */
import { join } from "node:path";

const FILLER = "filler";
const FILLER_STEP_BYTES = 64 * 1024;
const PROBE_BYTES = 8 * 1_048_576;

/** In memory, mounted in a temporary folder; disposing takes it away. */
export class SmallDisk implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Why there can be none on this system; undefined when there can. */
  static lacking(): Promise<string | undefined> {
    return lackingOf(() => SmallDisk.open(PROBE_BYTES));
  }

  static async open(bytes: number): Promise<SmallDisk> {
    const folder = await Deno.makeTempDir({ prefix: "odist-disk-" });
    await orRemove(folder, run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder));
    return new SmallDisk(folder);
  }

  /** Takes all the room that is left. */
  async fill(): Promise<void> {
    using file = await Deno.open(join(this.folder, FILLER), { create: true, append: true });
    for (let step = FILLER_STEP_BYTES; step >= 1;) {
      try {
        await file.write(new Uint8Array(step));
      } catch {
        step = Math.floor(step / 2);
      }
    }
  }

  /** Gives it back. */
  async empty(): Promise<void> {
    await Deno.remove(join(this.folder, FILLER));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", "-l", this.folder);
    await Deno.remove(this.folder);
  }
}

/** An ext4 in a file, mounted through a loop device; disposing takes it away. */
export class LoopDisk implements AsyncDisposable {
  readonly folder: string;
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
    this.folder = join(root, "mounted");
  }

  /** Why there can be none on this system; undefined when there can. */
  static lacking(): Promise<string | undefined> {
    return lackingOf(() => LoopDisk.open(PROBE_BYTES));
  }

  static async open(bytes: number): Promise<LoopDisk> {
    const root = await Deno.makeTempDir({ prefix: "odist-disk-" });
    const disk = new LoopDisk(root);
    await orRemove(root, disk.#make(bytes));
    return disk;
  }

  /** As after an error that the kernel met: nothing is written any more, to files that are open neither. */
  async abort(): Promise<void> {
    await run("mount", "-o", "remount,abort", this.folder);
  }

  /** After a look at what is there, as at a boot. */
  async mountAgain(): Promise<void> {
    await run("umount", this.folder);
    // Its exit code says that it mended something.
    await new Deno.Command("fsck.ext4", { args: ["-p", "-f", this.#image], stdout: "null" })
      .output();
    await this.#mount();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", "-l", this.folder);
    await Deno.remove(this.#root, { recursive: true });
  }

  get #image(): string {
    return join(this.#root, "image");
  }

  async #make(bytes: number): Promise<void> {
    await Deno.mkdir(this.folder);
    await Deno.writeFile(this.#image, new Uint8Array(0));
    await Deno.truncate(this.#image, bytes);
    await run("mkfs.ext4", "-q", this.#image);
    await this.#mount();
  }

  async #mount(): Promise<void> {
    await run("mount", "-o", "loop", this.#image, this.folder);
  }
}

async function lackingOf(open: () => Promise<AsyncDisposable>): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "only Linux mounts what is tried here";
  try {
    await using _disk = await open();
    return undefined;
  } catch (error) {
    return `no file system can be mounted here: ${error}`;
  }
}

async function orRemove(folder: string, made: Promise<void>): Promise<void> {
  try {
    await made;
  } catch (error) {
    await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

async function run(command: string, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr).trim());
}
