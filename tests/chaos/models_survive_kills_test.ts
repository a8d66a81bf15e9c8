import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { clusterTest, IS_LONG, lasting, type TestCluster } from "../harness/cluster.ts";

const ROUNDS = IS_LONG ? 50 : 3;
const CLIENTS = 3;
/** Of a registry that nobody can reach: what is not in the cluster is not pulled from anywhere. */
const NAMES = ["a", "b", "c", "d", "e"].map((name) => `127.0.0.1:1/test/${name}`);
/** A request to a node that dies is not waited for. */
const REQUEST_TIMEOUT_MS = 8_000;

/** One random change on a random node; whether it was acknowledged. */
async function change(cluster: TestCluster, random: Random): Promise<boolean> {
  const pick = <T>(items: readonly T[]): T => {
    const item = items[random.below(items.length)];
    assert.ok(item !== undefined);
    return item;
  };
  const [model, other] = [pick(NAMES), pick(NAMES)];
  const system = `Be ${random.below(1_000)}.`;
  const [method, path, body] = pick(
    [
      ["POST", "/api/create", { model, from: "tiny", system, stream: false }],
      ["POST", "/api/create", { model, from: other, system, stream: false }],
      ["POST", "/api/copy", { source: other, destination: model }],
      ["DELETE", "/api/delete", { model }],
    ] as const,
  );
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  try {
    const { status } = await cluster.client(pick(cluster.names)).request(method, path, {
      body,
      signal,
    });
    return status === 200;
  } catch {
    // The node is down, or died with the request; the next one would be refused as fast as this.
    await lasting(50);
    return false;
  }
}

clusterTest(
  "models keep their bytes while nodes are killed under changes of them",
  {
    nodes: 3,
    environment: { ODIST_REPLICATE_AFTER: "1s", ODIST_REPAIR_AFTER: "2s" },
  },
  async (cluster) => {
    const random = new Random(7);
    const over = new AbortController();
    let acknowledged = 0;
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (!over.signal.aborted) if (await change(cluster, random)) acknowledged++;
    });
    for (let round = 0; round < ROUNDS; round++) {
      await lasting(2_000);
      const victim = cluster.names[random.below(cluster.names.length)] ?? "";
      await cluster.kill(victim);
      await lasting(2_000);
      await cluster.restart(victim);
    }
    over.abort();
    await Promise.all(clients);
    await cluster.healthy(3);
    assert.ok(acknowledged > 20, `${acknowledged} changes`);

    const lists = await Promise.all(cluster.names.map(async (node) => {
      const { models } = await cluster.client(node).ask("GET", "/api/tags");
      assert.ok(Array.isArray(models));
      return models.map(({ name, digest }) => ({ name: String(name), digest: String(digest) }))
        .sort((a, b) => a.name < b.name ? -1 : 1);
    }));
    const [list] = lists;
    assert.ok(list !== undefined && list.length > 0);
    for (const other of lists) assert.deepEqual(other, list);
    for (const node of cluster.names) {
      for (const { name: model } of list) {
        const shown = await cluster.client(node).request("POST", "/api/show", { body: { model } });
        assert.equal(shown.status, 200, `${node} shows ${model}: ${JSON.stringify(shown.body)}`);
      }
    }
  },
);
