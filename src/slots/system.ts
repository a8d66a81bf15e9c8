/** What this machine has, as the driver observes it. */
export interface Machine {
  /** Memory a new process could take without pushing others out, in bytes; a container's own limit counts. */
  availableBytes(): number;
  /** Cores this process may use, >= 1. */
  readonly cores: number;
}

/** Limit and use of the control group this process runs in; absent outside Linux or without a limit. */
const CGROUP_LIMIT_FILE = "/sys/fs/cgroup/memory.max";
const CGROUP_USE_FILE = "/sys/fs/cgroup/memory.current";

/** Files of the kernel that {@link openMachine} reads, again and again. */
export const MACHINE_FILES: readonly string[] = [CGROUP_LIMIT_FILE, CGROUP_USE_FILE];

/** How long free memory is taken for what it was: one request asks some five times within a millisecond. */
const REMEMBERED_MS = 5;

/** The real machine. `readText` reads files of the kernel, as they are now, and throws where there are none. */
export function openMachine(readText: (path: string) => string): Machine {
  const readNumber = (path: string) => numberIn(() => readText(path));
  const limitBytes = readNumber(CGROUP_LIMIT_FILE);
  const look = () => {
    const free = Deno.systemMemoryInfo().available;
    if (limitBytes === undefined) return free;
    return Math.min(free, Math.max(0, limitBytes - (readNumber(CGROUP_USE_FILE) ?? 0)));
  };
  let seen = { atMs: -Infinity, bytes: 0 };
  return {
    cores: Math.max(1, navigator.hardwareConcurrency),
    availableBytes() {
      const nowMs = performance.now();
      if (nowMs - seen.atMs > REMEMBERED_MS) seen = { atMs: nowMs, bytes: look() };
      return seen.bytes;
    },
  };
}

function numberIn(read: () => string): number | undefined {
  try {
    const value = Number(read());
    return Number.isFinite(value) && value > 0 ? value : undefined;
  } catch {
    return undefined; // No such file: no limit.
  }
}
