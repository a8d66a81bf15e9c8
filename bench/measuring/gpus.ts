import { openBackendFolder } from "../../src/inference/backends/mod.ts";
import type { DeviceFacts } from "../../src/protocol/mod.ts";
import { ROOT } from "./servers.ts";

/** What this machine could compute on beside its cores. */
export interface FoundGpus {
  /** Where the libraries lie that drive them; undefined = where odist's own lie. */
  readonly nativeFolder: string | undefined;
  readonly devices: readonly DeviceFacts[];
}

/** Looks with `ODIST_NATIVE_DIR`, or with what `odist backend add` put into the data folder. */
export async function findGpus(): Promise<FoundGpus> {
  const nativeFolder = Deno.env.get("ODIST_NATIVE_DIR") ?? addedFolder();
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "main.ts", "runner", "--probe"],
    cwd: ROOT,
    env: nativeFolder === undefined ? {} : { ODIST_NATIVE_DIR: nativeFolder },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`Cannot look for GPUs: ${text.decode(stderr)}`);
  return { nativeFolder, devices: JSON.parse(text.decode(stdout)).devices };
}

function addedFolder(): string | undefined {
  const { ODIST_DATA, HOME, USERPROFILE } = Deno.env.toObject();
  const dataFolder = ODIST_DATA ?? `${HOME ?? USERPROFILE}/.odist`;
  const added = openBackendFolder(dataFolder, { command: [], env: {} }).list();
  return added.find(({ state }) => state === "usable")?.folder;
}
