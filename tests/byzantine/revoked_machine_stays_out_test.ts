import assert from "node:assert/strict";
import type { NodeId } from "../../src/base/mod.ts";
import { clusterTest, IS_LONG, lasting, type TestCluster } from "../harness/cluster.ts";
import { Ghost, stealIdentity } from "../harness/ghost.ts";

const LEADERS_KILLED = IS_LONG ? 20 : 2;
/** The ten minutes, or as long as an ordinary run has. */
const NO_QUORUM_MS = IS_LONG ? 600_000 : 3_000;

/** A machine was revoked; it has kept the authority's key, and dials every node under a key that nobody knows. */
async function hauntedBy(cluster: TestCluster): Promise<Ghost> {
  const identity = await stealIdentity(cluster.client("n1"));
  await cluster.client("n1").ask("POST", "/api/cluster/members/n4/revoke");
  await cluster.kill("n4");
  await cluster.until("its vote is another's", async () => {
    const { members } = await cluster.status("n1");
    const voters = members.filter(({ role }) => role === "leader" || role === "voter");
    return voters.map(({ name }) => name).join() === "n1,n2,n3";
  });
  const { members } = await cluster.status("n1");
  const ghost = new Ghost(identity);
  for (const { name, node_id } of members) {
    if (name === "n4") continue;
    const { listenPort } = cluster.client(name);
    ghost.haunt({ nodeId: node_id as NodeId, address: `127.0.0.1:${listenPort}` });
  }
  return ghost;
}

function assertRefused(ghost: Ghost): void {
  const counts = Object.fromEntries(ghost.counts);
  console.log(`dials by what came of them: ${JSON.stringify(counts)}`);
  assert.equal(counts.admitted ?? 0, 0);
  const { unreachable: _, ...refused } = counts;
  // It was heard, or nothing is shown by this.
  assert.ok(Object.values(refused).reduce((sum, count) => sum + count, 0) > 20);
}

clusterTest("a revoked machine with a new key gets in at no change of leader, stop or start", {
  nodes: 4,
}, async (cluster) => {
  const ghost = await hauntedBy(cluster);
  for (let kill = 0; kill < LEADERS_KILLED; kill++) {
    const leader = await cluster.leader();
    await cluster.kill(leader);
    await cluster.until("another node leads", async () => await cluster.leader() !== leader);
    await cluster.restart(leader);
    await cluster.voting(3);
  }
  for (const name of ["n1", "n2", "n3"]) {
    await cluster.stop(name);
    await cluster.restart(name);
    await cluster.voting(3);
  }
  await ghost.stop();
  assertRefused(ghost);
});

clusterTest("a revoked machine with a new key does not get in where no quorum is left", {
  nodes: 4,
}, async (cluster) => {
  const ghost = await hauntedBy(cluster);
  await cluster.kill("n2");
  await cluster.kill("n3");
  await lasting(NO_QUORUM_MS);
  await cluster.restart("n2");
  await cluster.leader();
  await ghost.stop();
  assertRefused(ghost);
});
