import assert from "node:assert/strict";
import { join } from "node:path";
import { Random } from "../../src/base/mod.ts";
import { CatalogueWorkload } from "../harness/catalogue_workload.ts";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { copyFolder, fenceByOldDisk } from "../harness/old_disk.ts";

const GARBAGE_DATAGRAMS = 5_000;

async function assertWrites(cluster: TestCluster, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = `/api/cluster/settings/test.${name}`;
    await cluster.client(name).ask("PUT", path, { value: name });
  }
}

clusterTest("garbage on the cluster port changes nothing", { nodes: 3 }, async (cluster) => {
  const random = new Random(6);
  const stranger = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { term } = await cluster.status("n1");
  for (let count = 0; count < GARBAGE_DATAGRAMS; count++) {
    const bytes = new Uint8Array(random.between(1, 1_500));
    // The first byte decides what QUIC takes it for; let every kind of packet occur.
    for (let at = 0; at < Math.min(64, bytes.length); at++) bytes[at] = random.below(256);
    const name = random.pick(cluster.names) ?? "";
    const port = cluster.client(name).listenPort;
    await stranger.send(bytes, { transport: "udp", hostname: "127.0.0.1", port });
  }
  stranger.close();
  await cluster.healthy(3);
  await assertWrites(cluster, cluster.names);
  assert.equal((await cluster.status("n1")).term, term, "an election was held");
});

clusterTest(
  "a node that comes back with an old disk takes no write with it",
  { nodes: 3 },
  async (cluster) => {
    const returner = (await cluster.leader()) === "n3" ? "n2" : "n3";
    const others = cluster.names.filter((name) => name !== returner);
    const workload = new CatalogueWorkload(cluster, { seed: 7, clients: 3, keys: 4 });
    await workload.acknowledgedSince(performance.now());
    await fenceByOldDisk(cluster, {
      name: returner,
      meanwhile: () => workload.acknowledgedSince(performance.now()),
    });
    assert.match(cluster.client(returner).printed, /log contradicts the group's/);
    for (const name of others) {
      await cluster.until(`${name} shows it as what it is`, async () => {
        const { health, members } = await cluster.status(name);
        const shown = members.find((member) => member.name === returner);
        return health === "degraded" && shown?.health === "fenced";
      });
    }
    const { body } = await cluster.client(returner).request("GET", "/ready");
    assert.match(JSON.stringify(body.changes), /this node takes no part/);
    await assertWrites(cluster, others);
    await workload.acknowledgedSince(performance.now());
    // The way back: it is taken out, and its machine joins with an empty folder.
    await cluster.kill(returner);
    const [asked = ""] = others;
    await cluster.until("it may be removed", async () => {
      const path = `/api/cluster/members/${returner}`;
      return (await cluster.client(asked).request("DELETE", path)).status === 200;
    });
    await cluster.join();
    await cluster.healthy(3);
    const { verdict } = await workload.finish();
    assert.deepEqual(verdict, { kind: "linearizable" });
  },
);

clusterTest(
  "of two processes with one node's disk one notices and ends, and the others go on",
  { nodes: 3 },
  async (cluster) => {
    const leader = await cluster.leader();
    const twin = cluster.names.find((name) => name !== leader) ?? "";
    const others = cluster.names.filter((name) => name !== twin);
    const data = join(cluster.client(twin).homeFolder, ".odist");
    await cluster.stop(twin);
    const copy = `${data}.copy`;
    await copyFolder(data, copy);
    await cluster.restart(twin);
    await cluster.healthy(3);
    await using second = await cluster.twin(twin, copy);
    const pair = [cluster.client(twin), second];
    let hasEnded = false;
    for (const node of pair) void node.ended().then(() => hasEnded = true);
    await cluster.until("one of them ends", () => Promise.resolve(hasEnded));
    const noticed =
      /another process runs under this node's identity: two copies of one data folder/;
    assert(pair.some(({ printed }) => noticed.test(printed)), pair[0]?.printed);
    await assertWrites(cluster, others);
    await Promise.all([second.kill(), cluster.kill(twin)]);
    await cluster.restart(twin);
    // The other copy may have acknowledged entries in its name that this disk never saw.
    await cluster.until("it is a good member, or it and all know that it can't be", async () => {
      const { health } = await cluster.status(twin);
      const seen = await Promise.all(others.map((name) => cluster.status(name)));
      const shown = seen.map(({ members }) => members.find(({ name }) => name === twin)?.health);
      if (health === "healthy") return seen.every((status) => status.health === "healthy");
      return health === "fenced" && shown.every((told) => told === "fenced");
    });
    await assertWrites(cluster, others);
  },
);
