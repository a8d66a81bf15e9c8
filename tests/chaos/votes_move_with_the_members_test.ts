/**
 * Who votes in a cluster of real processes, as its nodes come, die and go.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

/** Names of the voters, as a node sees them. */
async function votersAt(cluster: TestCluster, name: string): Promise<readonly string[]> {
  const { members } = await cluster.status(name);
  return members.filter(({ role }) => role === "leader" || role === "voter")
    .map((member) => member.name);
}

clusterTest(
  "one votes, then three, then five; a dead one's vote moves, and leaders leave one after the other",
  { nodes: 4, environment: { ODIST_REPLACE_VOTERS_AFTER: "2s" } },
  async (cluster) => {
    const three = await cluster.until("three vote", async () => {
      const voters = await votersAt(cluster, "n1");
      return voters.length === 3 ? voters : undefined;
    });
    const fifth = await cluster.join();
    await cluster.until("five vote", async () => (await votersAt(cluster, "n1")).length === 5);

    // One of those that came first, but not the one that is asked.
    const victim = three.find((name) => name !== "n1") ?? fifth;
    await cluster.join();
    await cluster.kill(victim);
    await cluster.until("the sixth votes instead", async () => {
      const voters = await votersAt(cluster, "n1");
      return voters.length === 5 && !voters.includes(victim);
    });

    // Down to the last one; the dead one stays a member, which does not count as a voter any more.
    while (cluster.running.length > 1) {
      const leader = await cluster.leader();
      await cluster.client(leader).ask("POST", "/api/cluster/leave");
      assert.equal(await cluster.client(leader).ended(), 0);
      await cluster.stop(leader);
      const [other = ""] = cluster.running;
      await cluster.until("the others go on", async () => {
        const voters = await votersAt(cluster, other);
        return voters.length % 2 === 1 && !voters.includes(leader);
      });
      await cluster.client(other).ask("PUT", "/api/cluster/settings/test.left", { value: leader });
    }
    const [last = ""] = cluster.running;
    assert.deepEqual(await votersAt(cluster, last), [last]);
  },
);
