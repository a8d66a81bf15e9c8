import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

/** Starts a node that must not get in, and returns what it printed. */
async function refusal(cluster: TestCluster, token: string): Promise<string> {
  const failure = await cluster.join({ token }).then(() => undefined, (error) => error);
  assert(failure instanceof Error, "the node got in");
  return failure.message;
}

clusterTest(
  "wrong, used, revoked and spoiled tokens let nobody in, and say why",
  { nodes: 1 },
  async (cluster) => {
    const used = await cluster.createToken(1);
    await cluster.join({ token: used });
    await cluster.healthy(2);
    assert.match(await refusal(cluster, used), /Error: .*token/i);

    const founder = cluster.client("n1");
    const revoked = await founder.ask("POST", "/api/cluster/tokens", { uses: 1 });
    await founder.ask("DELETE", `/api/cluster/tokens/${revoked.token_id}`);
    assert.match(await refusal(cluster, String(revoked.token)), /Error: .*token/i);

    assert.match(await refusal(cluster, "nonsense"), /Error: .*token/i);
    const good = await cluster.createToken(1);
    const spoiled = good.slice(0, -4) + [...good.slice(-4)].reverse().join("");
    assert.match(await refusal(cluster, spoiled), /Error: .*token/i);

    await cluster.healthy(2);
    assert.equal((await cluster.status("n1")).members.length, 2);
  },
);
