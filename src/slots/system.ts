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

/** The real machine. */
export function openMachine(): Machine {
  const limitBytes = readNumber(CGROUP_LIMIT_FILE);
  return {
    cores: Math.max(1, navigator.hardwareConcurrency),
    availableBytes() {
      const free = Deno.systemMemoryInfo().available;
      if (limitBytes === undefined) return free;
      return Math.min(free, Math.max(0, limitBytes - (readNumber(CGROUP_USE_FILE) ?? 0)));
    },
  };
}

function readNumber(path: string): number | undefined {
  try {
    const value = Number(Deno.readTextFileSync(path));
    return Number.isFinite(value) && value > 0 ? value : undefined;
  } catch {
    return undefined; // No such file: no limit.
  }
}
