/**
 * A node whose disk comes from a backup: it has acknowledged what it no longer has.
 *
 * @module
 */
import { join } from "node:path";
import type { TestCluster } from "./cluster.ts";

/** With all that is in it. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory) await copyFolder(source, target);
    else await Deno.copyFile(source, target);
  }
}

/** Has a voter come back with the disk of before `meanwhile`, in which something must be acknowledged, until it is fenced. */
export async function fenceByOldDisk(
  cluster: TestCluster,
  { name, meanwhile }: { readonly name: string; readonly meanwhile: () => Promise<unknown> },
): Promise<void> {
  const data = join(cluster.client(name).homeFolder, ".odist");
  const backup = `${data}.backup`;
  await cluster.stop(name);
  await copyFolder(data, backup);
  await cluster.restart(name);
  await cluster.healthy(cluster.names.length);
  await meanwhile();
  await cluster.kill(name);
  await Deno.remove(data, { recursive: true });
  await Deno.rename(backup, data);
  await cluster.restart(name);
  await cluster.until(
    "it knows that it acknowledged what it no longer has",
    async () => (await cluster.status(name)).health === "fenced",
  );
}
