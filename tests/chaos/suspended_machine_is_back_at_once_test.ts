import assert from "node:assert/strict";
import { clusterTest, IS_LONG, type TestCluster } from "../harness/cluster.ts";

/** Longer than connections live in silence, and than a member that says nothing counts as alive. */
const SUSPENDED_MS = IS_LONG ? 600_000 : 15_000;
const BACK_MS_MAX = 3_000;
/** On a machine that has too much to do, the others' stalls are measured instead. */
const TRIES_MAX = 3;

clusterTest(
  "a machine that was suspended is a member again within 3 s of its wake, whether it led or followed",
  { nodes: 3 },
  async (cluster) => {
    for (const role of ["follower", "leader"] as const) {
      const tookMs: number[] = [];
      do tookMs.push(await suspend(cluster, role)); while (
        (tookMs.at(-1) ?? 0) > BACK_MS_MAX && tookMs.length < TRIES_MAX
      );
      console.log(`the ${role} was back after ${tookMs.join(", then ")} ms`);
      assert.ok(Math.min(...tookMs) <= BACK_MS_MAX, `the ${role} took ${tookMs.join(", ")} ms`);
    }
  },
);

/** Milliseconds from its wake until all agree that it is a member. */
async function suspend(cluster: TestCluster, role: "leader" | "follower"): Promise<number> {
  const leader = await cluster.leader();
  const sleeper = cluster.names.find((name) => (name === leader) === (role === "leader")) ?? "";
  cluster.pause(sleeper);
  await new Promise((resolve) => setTimeout(resolve, SUSPENDED_MS));
  const [other = ""] = cluster.running;
  const { members } = await cluster.status(other);
  assert.equal(members.find(({ name }) => name === sleeper)?.health, "down");
  cluster.resume(sleeper);
  const wokeMs = performance.now();
  await cluster.healthy(3);
  return Math.round(performance.now() - wokeMs);
}
