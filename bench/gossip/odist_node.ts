import { join } from "node:path";
import { ROOT } from "../measuring/servers.ts";
import type { Program, Verdict } from "./member_process.ts";
import { CLUSTER_PORT } from "./odist.ts";
import type { Wires } from "./wires.ts";

/** Of the largest cluster, with room for members that come back. */
const TOKEN_USES = 64;
const ODIST = [Deno.execPath(), "run", "-A", "--unstable-net", join(ROOT, "main.ts")];

/** Whole nodes, which log who leads their group. */
export interface NodeProgram extends Program {
  /** Who leads by a line; undefined = it does not say. */
  readLeader(line: string): number | undefined;
}

/** Whole nodes: what `odist serve` sends while nobody asks it anything, heartbeats of the log's group included. */
export async function odistNode(): Promise<NodeProgram> {
  const root = await Deno.makeTempDir({ prefix: "odist-bench-" });
  addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));
  const ids = new Map<string, number>();
  let token = "";
  return {
    name: "odist serve",
    async invite(wires) {
      await Deno.remove(root, { recursive: true });
      await Deno.mkdir(root);
      ids.clear();
      token = "";
      return async () => token = await createToken(wires);
    },
    command: (wires, index, joins) => [
      ...ODIST,
      "serve",
      ...["--data", join(root, String(index)), "--name", `node-${index}`],
      ...["--listen", `${wires.addressOf(index)}:${CLUSTER_PORT}`, "--log-format", "json"],
      // A member that comes back needs no invitation.
      ...(token === "" ? [] : ["--token", token]),
      ...joins.map((seed) => `--join=${wires.addressOf(seed)}:${CLUSTER_PORT}`),
    ],
    readLeader(line) {
      if (!line.includes('"raft_leader"')) return undefined;
      const { leader } = JSON.parse(line);
      return ids.get(leader) ?? readIds(root, ids).get(leader);
    },
    read(line) {
      if (!line.includes('"member_changed"')) return undefined;
      const { node, to } = JSON.parse(line);
      const subject = ids.get(node) ?? readIds(root, ids).get(node);
      if (subject === undefined) return undefined;
      return { subject, standing: to as Verdict["standing"] };
    },
  };
}

/** On node 0, once it serves. */
async function createToken(wires: Wires): Promise<string> {
  const line = [...ODIST, "token", "create", "--json", "--uses", String(TOKEN_USES)];
  const [command = "", ...args] = wires.command(0, line);
  for (let attempt = 1;; attempt++) {
    const made = await new Deno.Command(command, { args, stderr: "piped" }).output();
    if (made.success) return JSON.parse(new TextDecoder().decode(made.stdout)).token;
    if (attempt === 20) throw new Error(new TextDecoder().decode(made.stderr));
  }
}

/** Who has which id is written in each node's own folder. */
function readIds(root: string, ids: Map<string, number>): Map<string, number> {
  for (const { name } of Deno.readDirSync(root)) {
    const path = join(root, name, "cluster", "identity.json");
    ids.set(JSON.parse(Deno.readTextFileSync(path)).nodeId, Number(name));
  }
  return ids;
}
