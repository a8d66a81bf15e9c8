/** A node's child that renders templates is none of its runners. */
export const TEMPLATE_WORKER = /template[-_]worker/;

/** Process ids of the runners of a node: its direct children. Linux and macOS. */
export async function runnersOf(nodePid: number): Promise<readonly number[]> {
  const { stdout } = await new Deno.Command("ps", {
    args: ["-A", "-o", "ppid=,pid=,args="],
    stderr: "null",
  }).output();
  const rows = new TextDecoder().decode(stdout).trim().split("\n");
  return rows.filter((row) => !TEMPLATE_WORKER.test(row))
    .map((row) => row.trim().split(/\s+/).map(Number))
    .flatMap(([parent, pid]) => parent === nodePid && pid !== undefined ? [pid] : []);
}

/** Ends all runners of a node as a crash would. Returns how many there were. */
export async function killRunners(nodePid: number): Promise<number> {
  const pids = await runnersOf(nodePid);
  for (const pid of pids) Deno.kill(pid, "SIGKILL");
  return pids.length;
}
