import assert from "node:assert/strict";
import { clusterTest, IS_LONG, type TestCluster } from "../harness/cluster.ts";

const SOAK_MS = IS_LONG ? 1_800_000 : 20_000;
/** The first rounds fill caches and pools. */
const WARM_ROUNDS = 2;
/** Connections that are being closed, and files of a snapshot that is being written. */
const OPEN_FILES_SLACK = 12;
const MEMORY_GROWTH_MAX = 1.5;

/** Open files and sockets of a process, and its memory. */
function costOf(pid: number): { readonly files: number; readonly residentBytes: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return {
    files: [...Deno.readDirSync(`/proc/${pid}/fd`)].length,
    residentBytes: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024,
  };
}

/** A node joins, answers, leaves, and is gone from every list. */
async function comeAndGo(cluster: TestCluster, stayers: readonly string[]): Promise<void> {
  const guest = await cluster.join();
  await cluster.healthy(stayers.length + 1, { names: [...stayers, guest] });
  await cluster.client(guest).ask("POST", "/api/cluster/leave");
  assert.equal(await cluster.client(guest).ended(), 0);
  await cluster.stop(guest);
  await cluster.healthy(stayers.length, { names: stayers });
}

clusterTest(
  `${SOAK_MS / 1_000} s of joins and leaves leave no file, socket or memory behind`,
  { nodes: 3, ignore: Deno.build.os !== "linux" },
  async (cluster) => {
    const stayers = cluster.names;
    const costs = () => stayers.map((name) => costOf(cluster.client(name).pid));
    for (let round = 0; round < WARM_ROUNDS; round++) await comeAndGo(cluster, stayers);
    const before = costs();
    const startMs = performance.now();
    let rounds = 0;
    while (performance.now() - startMs < SOAK_MS) {
      await comeAndGo(cluster, stayers);
      rounds++;
    }
    const after = costs();
    const shown = JSON.stringify({ rounds, before, after });
    console.log(shown);
    for (const [index, { files, residentBytes }] of after.entries()) {
      assert(files <= (before[index]?.files ?? 0) + OPEN_FILES_SLACK, shown);
      assert(residentBytes <= (before[index]?.residentBytes ?? 0) * MEMORY_GROWTH_MAX, shown);
    }
    const { settings } = await cluster.client("n1").ask("GET", "/api/cluster/settings");
    assert.deepEqual(settings, []);
  },
);
