import assert from "node:assert/strict";
import type { NodeId } from "../../src/base/mod.ts";
import { clusterTest, IS_LONG, lasting, type TestCluster } from "../harness/cluster.ts";
import { Ghost, stealIdentity } from "../harness/ghost.ts";
import { fenceByOldDisk } from "../harness/old_disk.ts";

const LEADERS_KILLED = IS_LONG ? 20 : 2;
/** The ten minutes, or as long as an ordinary run has. */
/** How long a revoked machine goes on trying in each of its lives. */
const TRYING_MS = IS_LONG ? 60_000 : 3_000;
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

/** Who of the nodes in `names` shows the machine as anything but revoked. */
async function seenBy(cluster: TestCluster, names: readonly string[], nodeId: string) {
  const statuses = await Promise.all(names.map((name) => cluster.status(name)));
  return names.filter((_, index) =>
    statuses[index]?.members.some(({ node_id, health }) =>
      node_id === nodeId && health !== "revoked"
    )
  );
}

/** It runs for a while under its own key, and nobody takes it for a member at any time. */
async function assertStaysOut(
  cluster: TestCluster,
  { name, nodeId, names }: { name: string; nodeId: string; names: readonly string[] },
): Promise<void> {
  const untilMs = performance.now() + TRYING_MS;
  let looks = 0;
  do {
    assert.deepEqual(await seenBy(cluster, names, nodeId), [], `${name} is a member again`);
    looks++;
  } while (performance.now() < untilMs);
  console.log(`${name}: ${looks} looks at each of ${names.join()}, seen as a member in none`);
  const [asked = ""] = names;
  await cluster.client(asked).ask("PUT", `/api/cluster/settings/without.${name}`, { value: "1" });
  if (!cluster.client(name).isAlive) return;
  const wished = await cluster.client(name).request("PUT", "/api/cluster/settings/by.it", {
    body: { value: "1" },
  }).catch(() => ({ status: 0 }));
  assert.notEqual(wished.status, 200, `${name} changed something`);
}

clusterTest("a machine that is revoked while it is fenced, or off, gets in under no key any more", {
  nodes: 4,
}, async (cluster) => {
  const leader = await cluster.leader();
  const { members } = await cluster.status(leader);
  const [fenced = "", off = ""] = members.filter(({ role }) => role === "voter")
    .map(({ name }) => name);
  const idOf = (name: string) => members.find((member) => member.name === name)?.node_id ?? "";
  const others = cluster.names.filter((name) => name !== fenced);
  const revoke = (name: string) =>
    cluster.client(leader).ask("POST", `/api/cluster/members/${name}/revoke`);

  await fenceByOldDisk(cluster, {
    name: fenced,
    meanwhile: async () => {
      for (let count = 0; count < 20; count++) {
        const path = `/api/cluster/settings/meanwhile.${count}`;
        await cluster.client(fenced).ask("PUT", path, { value: "1" });
      }
    },
  });
  const identity = await stealIdentity(cluster.client(leader));
  await revoke(fenced);
  await cluster.until(
    "all know",
    async () => (await seenBy(cluster, others, idOf(fenced))).length === 0,
  );
  const ghost = new Ghost(identity);
  for (const name of others) {
    const { listenPort } = cluster.client(name);
    ghost.haunt({ nodeId: idOf(name) as NodeId, address: `127.0.0.1:${listenPort}` });
  }
  await assertStaysOut(cluster, { name: fenced, nodeId: idOf(fenced), names: others });
  // A start is where it would try to be what it was.
  if (cluster.client(fenced).isAlive) await cluster.kill(fenced);
  await cluster.restart(fenced).catch((error) => console.log(String(error).split("\n")[0]));
  await assertStaysOut(cluster, { name: fenced, nodeId: idOf(fenced), names: others });

  const left = others.filter((name) => name !== off);
  await cluster.kill(off);
  await revoke(off);
  await cluster.restart(off).catch((error) => console.log(String(error).split("\n")[0]));
  await cluster.until(
    "all know",
    async () => (await seenBy(cluster, left, idOf(off))).length === 0,
  );
  await assertStaysOut(cluster, { name: off, nodeId: idOf(off), names: left });
  await ghost.stop();
  assertRefused(ghost);
});
