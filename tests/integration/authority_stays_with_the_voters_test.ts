import assert from "node:assert/strict";
import { join } from "node:path";
import { AUTHORITY_KEY } from "../../src/core/catalogue/mod.ts";
import { decodeApiKey } from "../../src/protocol/mod.ts";
import { askRemote } from "../../src/transport/mod.ts";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { testClock } from "../harness/quic_world.ts";

function fileOf(cluster: TestCluster, node: string, name: string): string {
  return join(cluster.client(node).homeFolder, ".odist", "cluster", name);
}

/** Nodes with the authority's key on their disks, which nobody else may read. */
function holders(cluster: TestCluster): readonly string[] {
  return cluster.running.filter((name) => {
    try {
      const { mode } = Deno.statSync(fileOf(cluster, name, "authority_key.pem"));
      assert.equal((mode ?? 0) & 0o777, 0o600);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
}

async function votersOf(cluster: TestCluster): Promise<readonly string[]> {
  const [first = ""] = cluster.running;
  const { members } = await cluster.status(first);
  return members.filter(({ role }) => role === "leader" || role === "voter")
    .map(({ name }) => name);
}

async function keysFollowVotes(cluster: TestCluster, count: number): Promise<readonly string[]> {
  return await cluster.until("the voters, and no others, hold the key", async () => {
    const voters = await votersOf(cluster);
    return voters.length === count && voters.join() === holders(cluster).join() && voters;
  });
}

/** Members, by the key of their authority: a PEM block. */
function authorities(cluster: TestCluster): ReadonlySet<string> {
  return new Set(
    cluster.running.map((name) =>
      Deno.readTextFileSync(fileOf(cluster, name, "authority.pem")).split("-----END")[0] ?? ""
    ),
  );
}

async function statusFromAfar(cluster: TestCluster, name: string, key: string): Promise<number> {
  const decoded = decodeApiKey(key);
  assert.ok(decoded.kind === "decoded");
  const { listenPort: port } = cluster.client(name);
  const node = {
    ...{ hostname: "127.0.0.1", port, key: decoded.value, keyText: key },
    clock: testClock,
  };
  const response = await askRemote(node, "/api/cluster/status");
  await response.text();
  return response.status;
}

clusterTest(
  "the authority's key is where the votes are, and a joiner gets in through a member without it",
  {
    nodes: 4,
  },
  async (cluster) => {
    const voters = await keysFollowVotes(cluster, 3);
    const learner = cluster.names.find((name) => !voters.includes(name)) ?? assert.fail();
    const token = await cluster.createToken(1);
    const fifth = await cluster.join({
      token,
      environment: { ODIST_JOIN: cluster.client(learner).publicAddress },
    });
    await cluster.healthy(5);
    const five = await keysFollowVotes(cluster, 5);
    assert.ok(five.includes(fifth));
  },
);

clusterTest("revoking a machine replaces the authority, and older keys still open every node", {
  nodes: 4,
}, async (cluster) => {
  const voters = await keysFollowVotes(cluster, 3);
  const made = await cluster.client("n1").ask("POST", "/api/cluster/keys", { label: "before" });
  const token = await cluster.createToken(1);
  for (let round = 1; round <= 2; round++) {
    const before = authorities(cluster);
    assert.equal(before.size, 1);
    const victim = voters[round] ?? assert.fail();
    await cluster.client("n1").ask("POST", `/api/cluster/members/${victim}/revoke`);
    await cluster.kill(victim);
    await cluster.until("all have the next authority", () => {
      const now = authorities(cluster);
      return Promise.resolve(now.size === 1 && [...now].every((one) => !before.has(one)));
    });
    await cluster.join();
    await keysFollowVotes(cluster, 3);
    for (const name of cluster.running) {
      assert.equal(await statusFromAfar(cluster, name, String(made.key)), 200);
    }
  }
  const { tokens } = await cluster.client("n1").ask("GET", "/api/cluster/tokens");
  assert.deepEqual(tokens, []);
  await assert.rejects(cluster.join({ token }), /join/);
  const { settings } = await cluster.client("n1").ask("GET", "/api/cluster/settings");
  const keys = (settings as readonly { readonly key: string }[]).map(({ key }) => key);
  assert.ok(!keys.includes(AUTHORITY_KEY), "it is the nodes' own");
});
