import type { CoreSeconds } from "../ports/mod.ts";

/** Of a session without input: as long as this it counts as somebody's. */
const SESSION_IDLE_MINUTES_MAX = 30;
/** Clock ticks per second in /proc; fixed on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** Where all of an IPv4 network hear. */
export function broadcastOf(address: string, netmask: string): string {
  const mask = netmask.split(".").map(Number);
  return address.split(".").map((part, at) => Number(part) | (~(mask[at] ?? 255) & 255)).join(".");
}

/**
 * Whether a line of `who -u` tells of somebody who has done something lately. The column before the process id says how long there
 * was no input: `.` within the last minute, `hours:minutes`, `old` for more than a day, `?` where it can't be told.
 */
export function readSessions(said: string): boolean {
  return said.split("\n").some((line) => {
    const [, idle] = /\s(\.|old|\?|\d+:\d\d)\s+\d+(\s|$)/.exec(line) ?? [];
    if (idle === undefined || idle === "old") return false;
    if (idle === "." || idle === "?") return true;
    const [hours = 0, minutes = 0] = idle.split(":").map(Number);
    return hours * 60 + minutes < SESSION_IDLE_MINUTES_MAX;
  });
}

/** From `/proc/stat` and the `stat` of all processes. `pid` is this node's own. */
export function readCoreSeconds(said: string, pid: number): CoreSeconds | undefined {
  const lines = said.split("\n");
  const all = lines.find((line) => line.startsWith("cpu "))?.trim().split(/\s+/).slice(1).map(
    Number,
  );
  if (all === undefined) return undefined;
  // user, nice, system, idle, iowait, irq, softirq, steal; guests are counted in the first two.
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = all;
  const used = user + nice + system + irq + soft + steal;
  const own = ownTicks(lines, pid);
  const seconds = (ticks: number) => ticks / TICKS_PER_SECOND;
  return { passed: seconds(used + idle + wait), used: seconds(used), own: seconds(own) };
}

/** Of a process and all below it, those that ended included where their parent waited for them. */
function ownTicks(lines: readonly string[], pid: number): number {
  const processes = new Map<number, { readonly parent: number; readonly ticks: number }>();
  for (const line of lines) {
    const [, id, rest] = /^(\d+) \(.*\) (.*)$/.exec(line) ?? [];
    if (id === undefined || rest === undefined) continue;
    // Fields from the third on: state, parent, ... 14 to 17 are the times, those of ended children last.
    const fields = rest.split(" ").map(Number);
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + (fields[at] ?? 0), 0);
    processes.set(Number(id), { parent: fields[1] ?? 0, ticks });
  }
  const isOwn = (id: number, depth: number): boolean => {
    const parent = processes.get(id)?.parent;
    return id === pid || depth < 8 && parent !== undefined && isOwn(parent, depth + 1);
  };
  let sum = 0;
  for (const [id, { ticks }] of processes) if (isOwn(id, 0)) sum += ticks;
  return sum;
}
