/**
 * A machine that has next to nothing: a folder with a few system tools and their libraries as its root. Linux, and root alone may
 * make one; whoever lives in it is somebody else.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { packageFolder } from "../../src/inference/launch/mod.ts";
import { hasTool } from "../../scripts/packages/tools.ts";

/** What installing wants; nothing of it is odist's. */
const TOOLS = [
  ...["sh", "cat", "chmod", "cp", "curl", "cut", "dirname", "gzip", "id", "ls", "mkdir", "mktemp"],
  ...["mv", "rm", "sha256sum", "tail", "tar", "uname"],
];
/** Who lives there, unless told otherwise. */
const USER = 4_242;

/** How bare. */
interface Bareness {
  /** None makes a machine without a shell. */
  readonly tools: readonly string[];
  /** Nothing but /data can be written to. */
  readonly readOnly: boolean;
  readonly user: number;
}

const missing = ["unshare", "chroot", "mknod", "ldd", ...TOOLS].filter((tool) => !hasTool(tool));

/** For the name of a test that is skipped; "" = bare roots can be made here. */
export const NO_BARE_ROOT = Deno.build.os !== "linux"
  ? " (skipped: wants Linux)"
  : Deno.uid() !== 0
  ? " (skipped: wants root, for chroot)"
  : missing.length > 0
  ? ` (skipped: no ${missing.join(", no ")} here)`
  : "";

/** What a finished command said. */
interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const READ_ONLY = `for path in "" /data /dev/null /dev/zero /dev/urandom; do
    mount --bind "$root$path" "$root$path"
  done
  mount -o remount,bind,ro "$root"`;

/** The bare machine; deleted when the scope ends. */
export class BareRoot {
  readonly folder: string;
  /** Of its one user, as seen inside. */
  readonly home = "/home/me";

  readonly #bareness: Bareness;

  private constructor(folder: string, bareness: Bareness) {
    this.folder = folder;
    this.#bareness = bareness;
  }

  static async make(given: Partial<Bareness> = {}): Promise<BareRoot> {
    const bareness = { tools: TOOLS, readOnly: false, user: USER, ...given };
    const root = new BareRoot(await Deno.makeTempDir({ prefix: "odist-root-" }), bareness);
    await Deno.chmod(root.folder, 0o755);
    for (const path of ["proc", "dev", "tmp", "bin", "data", "home/me"]) {
      await Deno.mkdir(root.outside(path), { recursive: true });
    }
    await Deno.chmod(root.outside("tmp"), 0o1777);
    for (const path of ["home/me", "data"]) {
      await Deno.chown(root.outside(path), bareness.user, bareness.user);
    }
    for (const [name, minor] of [["null", "3"], ["zero", "5"], ["urandom", "9"]] as const) {
      await run(["mknod", "-m", "666", root.outside(`dev/${name}`), "c", "1", minor]);
    }
    for (const tool of bareness.tools) await root.#copyTool(tool);
    const natives = await packageFolder(`linux-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`);
    await root.#copyLibraries(Deno.execPath());
    for await (const { name } of Deno.readDir(natives)) {
      if (name.includes(".so")) await root.#copyLibraries(join(natives, name));
    }
    return root;
  }

  /** Where a path of the inside is. */
  outside(path: string): string {
    return join(this.folder, path);
  }

  async #copyTool(tool: string): Promise<void> {
    const path = await Deno.realPath((await run(["sh", "-c", `command -v ${tool}`])).trim());
    await Deno.copyFile(path, this.outside(`bin/${tool}`));
    await this.#copyLibraries(path);
  }

  /** Of the system alone: what stands beside a library comes with it. */
  async #copyLibraries(path: string): Promise<void> {
    const needed = await run(["ldd", path]);
    for (const [library] of needed.matchAll(/\/(?:usr\/)?lib[\w/-]*\/[\w.+-]+/g)) {
      const target = this.outside(library);
      await Deno.mkdir(dirname(target), { recursive: true });
      await Deno.copyFile(await Deno.realPath(library), target);
    }
  }

  /** A command inside, as its user. */
  command(words: readonly string[], env: Readonly<Record<string, string>> = {}): Deno.Command {
    const { readOnly, user } = this.#bareness;
    const enter = `set -eu; root=$1; shift; ${readOnly ? READ_ONLY : ""}
      mount -t proc proc "$root/proc"; exec chroot "$@"`;
    return new Deno.Command("unshare", {
      args: [
        ...["--mount", "--propagation", "private", "sh", "-c", enter, "sh", this.folder],
        ...[`--userspec=${user}:${user}`, this.folder, ...words],
      ],
      clearEnv: true,
      env: { PATH: "/bin:/usr/bin:/usr/sbin", HOME: this.home, NO_COLOR: "1", ...env },
      ...{ stdin: "null", stdout: "piped", stderr: "piped" },
    });
  }

  async run(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
    const { code, stdout, stderr } = await this.command(words, env).output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** What a command of this machine printed. */
async function run([name = "", ...args]: readonly string[]): Promise<string> {
  const { stdout } = await new Deno.Command(name, { args, stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}
