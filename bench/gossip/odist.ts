import { createAuthority, generateSigningKey } from "../../src/transport/mod.ts";
import type { Program, Verdict } from "./member_process.ts";

/** What the processes of one bench share: who may belong, and the key of each. For throw-away clusters only. */
export interface BenchIdentities {
  readonly authority: { readonly chainPem: string; readonly privateKeyPem: string };
  /** Of node 0, 1, ... */
  readonly keys: readonly string[];
}

/** More than any bench starts. */
const NODES_MAX = 64;
/** Where each node listens; each has an address of its own. */
export const CLUSTER_PORT = 11435;

/** odist's membership on its own transport; needs a folder for the keys, which it makes. */
export async function odistMember(): Promise<Program> {
  const { chainPem, privateKeyPem } = await createAuthority(Date.now());
  const keys: string[] = [];
  for (let index = 0; index < NODES_MAX; index++) {
    keys.push((await generateSigningKey()).privateKeyPem);
  }
  const identities: BenchIdentities = { authority: { chainPem, privateKeyPem }, keys };
  const path = await Deno.makeTempFile({ prefix: "odist-bench-", suffix: ".json" });
  await Deno.writeTextFile(path, JSON.stringify(identities), { mode: 0o600 });
  addEventListener("unload", () => Deno.removeSync(path));
  const program = new URL("odist_member.ts", import.meta.url).pathname;
  return {
    name: "odist",
    command: (wires, index, joins) => [
      Deno.execPath(),
      "run",
      "-A",
      "--unstable-net",
      program,
      path,
      String(index),
      wires.addressOf(index),
      ...joins.map((seed) => `${seed}=${wires.addressOf(seed)}`),
    ],
    read: readLine,
  };
}

/** `{"subject":2,"standing":"suspect"}` */
function readLine(line: string): ReturnType<Program["read"]> {
  if (!line.startsWith('{"subject"')) return undefined;
  return JSON.parse(line) as { subject: number; standing: Verdict["standing"] };
}
