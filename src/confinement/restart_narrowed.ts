import { addressOf, cText, openSyscalls, replaceProcess } from "./libc.ts";

/**
 * Room for what lives shortly, from the start: V8 begins with less and grows it by collecting, on all its threads, which takes
 * a tenth of a start's processor time. More than this saves no more, and stays with the node.
 */
const YOUNG_MIB = 2;

/** What a process that serves needs of Deno besides writing. It gives up `ffi` before it serves. */
export const SERVING_FLAGS: readonly string[] = [
  ...["read", "net", "env", "run", "sys", "ffi"].map((name) => `--allow-${name}`),
  `--v8-flags=--min-semi-space-size=${YOUNG_MIB}`,
  "--unstable-net",
  "--unstable-no-legacy-abort",
];

/** `asm/unistd.h`. */
const OPENAT: Readonly<Record<string, number>> = { x86_64: 257, aarch64: 56 };
const DUP3: Readonly<Record<string, number>> = { x86_64: 292, aarch64: 24 };
const AT_FDCWD = -100n;
const STDIN = 0;

/**
 * Makes sure that this process writes below `folders` alone. Deno takes such a list when a process starts and never later, so
 * one that was started without it is replaced by this program with it; it keeps its process id, environment and output.
 *
 * @param command The command line of this very process, with other flags for Deno.
 * @param folders Absolute; whoever started this process may have named them already, and more than these only at its will.
 * @returns undefined for a process that is held to its list; otherwise why this one can't be.
 */
export function holdWritesTo(
  folders: readonly string[],
  command: (flags: readonly string[]) => readonly string[],
): string | undefined {
  const isAllowed = (path?: string) =>
    Deno.permissions.querySync({ name: "write", ...(path === undefined ? {} : { path }) }).state ===
      "granted";
  if (!isAllowed() && folders.every(isAllowed)) return undefined;
  if (Deno.build.standalone) {
    return "a file made by `deno compile` has one list for all its processes";
  }
  const unnamed = folders.find((folder) => folder.includes(","));
  if (unnamed !== undefined) return `Deno can't be told of ${unnamed}, whose name has a comma`;
  const list = `--allow-write=${folders.join(",")}`;
  try {
    readUseFromInput();
    replaceProcess(command([...SERVING_FLAGS, list]), Deno.env.toObject());
    return "the program could not be started again";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Puts the file where a node reads it once Deno lets nobody open it any more, as the launcher does. */
function readUseFromInput(): void {
  const path = controlGroupUseFile();
  if (path === undefined) return;
  const syscalls = openSyscalls();
  const arch = Deno.build.arch;
  const opened = syscalls(OPENAT[arch] ?? 0, AT_FDCWD, addressOf(cText(path)), 0, 0);
  if (opened > 0) syscalls(DUP3[arch] ?? 0, opened, STDIN, 0);
}

/** The file with the use of this process's group; undefined where there is none. Wants all permissions. */
function controlGroupUseFile(): string | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    const [, group] = /^0::(.*)$/m.exec(Deno.readTextFileSync("/proc/self/cgroup")) ?? [];
    if (group === undefined) return undefined;
    const path = `/sys/fs/cgroup${group === "/" ? "" : group}/memory.current`;
    return Deno.statSync(path).isFile ? path : undefined;
  } catch {
    return undefined; // Version 1, or not for this user to see.
  }
}
