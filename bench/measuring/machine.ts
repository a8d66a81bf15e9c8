/**
 * The conditions every report must name, and what a process costs.
 *
 * @module
 */
import { cpus } from "node:os";
import { ROOT } from "./servers.ts";

/** Processor, cores, memory, load, system and commit. */
export async function describeMachine(): Promise<Record<string, string | number>> {
  const { stdout } = await new Deno.Command("git", {
    args: ["describe", "--always", "--dirty", "--exclude=*"],
    cwd: ROOT,
  }).output();
  return {
    date: new Date().toISOString(),
    commit: new TextDecoder().decode(stdout).trim(),
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memory: `${(Deno.systemMemoryInfo().total / 2 ** 30).toFixed(1)} GiB`,
    "load average before": Deno.loadavg()[0]?.toFixed(2) ?? "unknown",
    system: `${Deno.build.os} ${Deno.osRelease()} ${Deno.build.arch}`,
    deno: Deno.version.deno,
  };
}

/** A process and all below it. Linux only. */
export interface ProcessCost {
  /** Bytes in memory, per process id. */
  readonly residentBytes: ReadonlyMap<number, number>;
  /** Seconds of processor time since the processes began. */
  readonly cpuSeconds: number;
}

/** Clock ticks per second in /proc; fixed on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** What `pid` and its descendants hold and have used. */
export function readProcessCost(pid: number): ProcessCost {
  const residentBytes = new Map<number, number>();
  let ticks = 0;
  for (const member of [pid, ...descendantsOf(pid)]) {
    const status = Deno.readTextFileSync(`/proc/${member}/status`);
    residentBytes.set(member, Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024);
    const fields = statFields(member);
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return { residentBytes, cpuSeconds: ticks / TICKS_PER_SECOND };
}

/** Fields of /proc/PID/stat after the name in parentheses, which may hold blanks. */
function statFields(pid: number): string[] {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function descendantsOf(pid: number): number[] {
  const children: number[] = [];
  for (const task of Deno.readDirSync(`/proc/${pid}/task`)) {
    const list = Deno.readTextFileSync(`/proc/${pid}/task/${task.name}/children`);
    children.push(...list.split(" ").filter((id) => id !== "").map(Number));
  }
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}
