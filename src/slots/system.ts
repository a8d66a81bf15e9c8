import { cpuUsage } from "node:process";

/** What this machine has, as the driver observes it. */
export interface Machine {
  /** Memory a new process could take without pushing others out, in bytes; a container's own limit counts. */
  availableBytes(): number;
  /** Cores this process may use, >= 1. */
  readonly cores: number;
}

/** The control group that a process runs in, as far as it bounds memory. */
export interface ControlGroup {
  /** The bound in bytes; undefined = none. */
  readonly limitBytes: number | undefined;
  /** What the group uses now, in bytes; undefined where nobody opened the kernel's file for this process. */
  useBytes(): number | undefined;
}

/** How long free memory is taken for what it was: one request asks some five times within a millisecond. */
const REMEMBERED_MS = 5;

/** The real machine; `group` bounds the memory of this process and of those it starts. */
export function openMachine(group: ControlGroup): Machine {
  const { limitBytes } = group;
  const look = () => {
    const free = Deno.systemMemoryInfo().available;
    if (limitBytes === undefined) return free;
    const useBytes = group.useBytes() ?? Deno.memoryUsage().rss;
    return Math.min(free, Math.max(0, limitBytes - useBytes));
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

/** Milliseconds of a core that this process has used. */
export function ownCpuMs(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1_000;
}
