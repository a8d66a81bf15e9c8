import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

/** The discard port: what others are told of a node whose router forwards nothing to it. */
const NOWHERE = "127.0.0.1:9";
/** Copies stay where they were made. */
const ENVIRONMENT = { ODIST_REPLICATE_AFTER: "1h", ODIST_LOG_LEVEL: "debug" };
const ANSWER = { prompt: "Hello!", stream: false, options: { num_predict: 4, seed: 1 } };

/** Ways in which others and the hidden node are connected, as `name` sees them. */
async function directions(cluster: TestCluster, name: string): Promise<readonly string[]> {
  const { connections } = await cluster.client(name).ask("GET", "/api/cluster/connections");
  const rows = connections as readonly { readonly direction: string }[];
  return rows.map(({ direction }) => direction);
}

clusterTest(
  "a node that nobody can dial is reached over the connections that it makes itself, and makes them again",
  { nodes: 2, environment: ENVIRONMENT },
  async (cluster) => {
    const hidden = await cluster.join({ environment: { ODIST_ADVERTISE: NOWHERE } });
    await cluster.healthy(3);
    await cluster.voting(3);
    assert.deepEqual(await directions(cluster, hidden), ["dialed", "dialed"]);
    const body = { model: "mine", from: "tiny", system: "Be hidden.", stream: false };
    await cluster.client(hidden).ask("POST", "/api/create", body);
    const askOthers = async () => {
      for (const other of ["n1", "n2"]) {
        const answer = await cluster.client(other).request("POST", "/api/generate", {
          body: { ...ANSWER, model: "mine" },
        });
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        assert.equal(answer.headers.get("x-odist-node"), hidden);
      }
    };
    await askOthers();
    // All connections end at once; nobody but the hidden node can make its own anew.
    await cluster.kill("n1");
    await cluster.kill("n2");
    await Promise.all([cluster.restart("n1"), cluster.restart("n2")]);
    await cluster.healthy(3);
    assert.deepEqual(await directions(cluster, hidden), ["dialed", "dialed"]);
    await askOthers();
    // Without the leader the two that are left agree over the connection that the hidden one made.
    const before = await cluster.status(hidden);
    for (const other of ["n1", "n2"]) {
      if ((await cluster.status(other)).node_id === before.leader) await cluster.stop(other);
    }
    await cluster.until(
      "the two others agree",
      async () => (await cluster.status(hidden)).leader !== undefined,
    );
  },
);
