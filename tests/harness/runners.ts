/** Command lines of the processes that render templates: as they start from source, and in one file. */
export const TEMPLATE_WORKER = /template[_-]worker/;

/** Process ids of the runners of a node. Linux and macOS. */
export async function runnersOf(nodePid: number): Promise<readonly number[]> {
  return await childrenOf(nodePid, (command) => !TEMPLATE_WORKER.test(command));
}

/** Process ids of those that render templates for a process. Linux and macOS. */
export async function templateWorkersOf(parentPid: number): Promise<readonly number[]> {
  return await childrenOf(parentPid, (command) => TEMPLATE_WORKER.test(command));
}

async function childrenOf(
  parentPid: number,
  isWanted: (command: string) => boolean,
): Promise<readonly number[]> {
  const { stdout } = await new Deno.Command("ps", {
    args: ["-A", "-o", "ppid=,pid=,args="],
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout).split("\n").flatMap((row) => {
    const [parent, pid, ...command] = row.trim().split(/\s+/);
    const isChild = Number(parent) === parentPid && isWanted(command.join(" "));
    return isChild ? [Number(pid)] : [];
  });
}

/** Ends all runners of a node as a crash would. Returns how many there were. */
export async function killRunners(nodePid: number): Promise<number> {
  const pids = await runnersOf(nodePid);
  for (const pid of pids) Deno.kill(pid, "SIGKILL");
  return pids.length;
}
