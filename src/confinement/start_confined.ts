import { withoutFetching } from "./child_environment.ts";
import { openSyscalls, replaceProcess } from "./libc.ts";
import { type FileRights, type PortRights, restrictFiles } from "./landlock.ts";
import { giveUpPrivileges, restrictCalls } from "./seccomp.ts";
import type { Entry, OwnProgram } from "./own_program.ts";

/** What the confined process may do. */
export interface Rights {
  /** Deno's permission flags, such as `--allow-ffi`. Network, write and run belong to none: libraries ask the kernel alone. */
  readonly permissions: readonly string[];
  /** Files and folders it reads besides the program's own and the system's. */
  readonly reads: readonly string[];
  /** Files and folders it changes. */
  readonly writes: readonly string[];
  /** Whether it drives GPUs. */
  readonly devices: "gpu" | "none";
  /** TCP ports that it alone may connect to, or listen at; absent = it has no network. */
  readonly ports?: PortRights;
}

/** The system's libraries and what they, V8 and llama.cpp look up about the machine. */
const SYSTEM_READS = [
  "/usr",
  "/lib",
  "/lib64",
  "/opt",
  "/nix/store",
  // Not the whole: to a strong user it tells other processes' environment.
  ...["self", "meminfo", "cpuinfo", "stat", "filesystems", "devices", "driver", "sys/vm", "version"]
    .map((name) => `/proc/${name}`),
  "/sys",
  "/etc/ld.so.cache",
  "/etc/localtime",
  "/dev/urandom",
  "/dev/random",
  "/dev/zero",
  // Where drivers of GPUs are registered.
  "/etc/vulkan",
  "/etc/OpenCL",
  "/etc/nvidia",
  "/etc/glvnd",
];
const GPU_DEVICE = /^(?:nvidia.*|dri|kfd|dxg)$/;

/**
 * Replaces this process by this program again, started at `entry` with `rights` only. What could be put on is told as a
 * first word before `words`, such as `landlock:7+seccomp`, `permissions` where the system has neither, or `none`.
 *
 * Landlock and seccomp hold for a thread and what it starts, and V8's and Deno's other threads are there already: so
 * they are put on here and the program starts anew inside, which both survive.
 *
 * @returns Why the process could not be replaced: the caller goes on with what it has.
 */
export function startConfined(
  program: OwnProgram,
  start: { readonly entry: Entry; readonly words: readonly string[] },
  rights: Rights,
): string {
  const command = program.command(start.entry, rights.permissions);
  const environment = withoutFetching(Deno.env.toObject());
  try {
    const held = Deno.build.os === "linux" ? restrictThread(program, rights) : "permissions";
    replaceProcess([...command, held, ...start.words], environment);
    return "the program could not be started again";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function restrictThread(program: OwnProgram, rights: Rights): string {
  const syscalls = openSyscalls();
  if (!giveUpPrivileges(syscalls)) return "permissions";
  const version = restrictFiles(syscalls, fileRights(program, rights));
  const held = [
    ...version === 0 ? [] : [`landlock:${version}`],
    ...restrictCalls(syscalls, rights.ports) ? ["seccomp"] : [],
  ];
  return held.length === 0 ? "permissions" : held.join("+");
}

function fileRights(program: OwnProgram, rights: Rights): FileRights {
  const devices = rights.devices === "none" ? [] : [...Deno.readDirSync("/dev")]
    .filter(({ name }) => GPU_DEVICE.test(name)).map(({ name }) => `/dev/${name}`);
  return {
    reads: [...SYSTEM_READS, ...libraryFolders(), ...program.files, ...rights.reads],
    programs: [Deno.execPath(), ...loaders()],
    writes: rights.writes,
    devices: ["/dev/null", ...devices],
    ...rights.ports === undefined ? {} : { ports: rights.ports },
  };
}

/** The dynamic loader, without which the kernel starts no program: wherever this process has it from. */
function loaders(): string[] {
  const maps = Deno.readTextFileSync("/proc/self/maps").split("\n");
  const files = maps.map((line) => line.slice(line.indexOf("/")));
  return [...new Set(files.filter((file) => /\/ld[-.][^/]*$/.test(file)))];
}

/** What the user told the loader, and where Deno keeps the packages of a program started from source. */
function libraryFolders(): string[] {
  const { DENO_DIR, XDG_CACHE_HOME, HOME, LD_LIBRARY_PATH = "" } = Deno.env.toObject();
  const caches = XDG_CACHE_HOME || (HOME ? `${HOME}/.cache` : "");
  const cache = DENO_DIR || (caches === "" ? "" : `${caches}/deno`);
  return [...LD_LIBRARY_PATH.split(":"), cache].filter((folder) => folder !== "");
}
