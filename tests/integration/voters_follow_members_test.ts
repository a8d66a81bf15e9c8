/**
 * Who votes, as nodes come, die, return and go: membership, group and voters together, on virtual time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { SelfGoverningCluster } from "../harness/self_governing.ts";

/** All running nodes of `among` know that exactly these vote. */
function haveVoters(
  cluster: SelfGoverningCluster,
  voters: readonly number[],
  among: readonly number[] = voters,
): boolean {
  return among.every((number) => String(cluster.voters(number)) === String(voters));
}

Deno.test("One votes, then three, then five, within a second of their coming", async () => {
  await using cluster = await SelfGoverningCluster.start(2);
  await cluster.advance(5_000);
  assert.deepEqual(cluster.voters(1), [1]);
  await cluster.join(3);
  const threeMs = await cluster.until("three vote", () => haveVoters(cluster, [1, 2, 3]));
  assert.ok(threeMs <= 1_000, `${threeMs} ms`);
  await cluster.join(4);
  await cluster.advance(5_000);
  assert.deepEqual(cluster.voters(1), [1, 2, 3]);
  await cluster.join(5);
  const fiveMs = await cluster.until("five vote", () => haveVoters(cluster, [1, 2, 3, 4, 5]));
  assert.ok(fiveMs <= 1_000, `${fiveMs} ms`);
});

Deno.test("A dead voter's vote goes to a learner after a minute, also when it led", async () => {
  await using cluster = await SelfGoverningCluster.start(4);
  await cluster.until("three vote", () => haveVoters(cluster, [1, 2, 3]));
  assert.equal(cluster.leader(), 1);
  cluster.crash(1);
  await cluster.advance(55_000);
  assert.deepEqual(cluster.voters(2), [1, 2, 3]);
  await cluster.until("node 4 votes", () => haveVoters(cluster, [2, 3, 4]), 15_000);
  // Its return changes nothing: it learns.
  await cluster.boot(1);
  await cluster.advance(20_000);
  assert.ok(haveVoters(cluster, [2, 3, 4], [1, 2, 3, 4]));
});

Deno.test("A voter that restarts within the minute keeps its vote", async () => {
  await using cluster = await SelfGoverningCluster.start(4);
  await cluster.until("three vote", () => haveVoters(cluster, [1, 2, 3]));
  cluster.crash(2);
  await cluster.advance(30_000);
  await cluster.boot(2);
  await cluster.advance(60_000);
  assert.ok(haveVoters(cluster, [1, 2, 3], [1, 2, 3, 4]));
});

Deno.test("The leader of two nodes leaves: the other takes over its vote and leads alone", async () => {
  await using cluster = await SelfGoverningCluster.start(2);
  await cluster.advance(2_000);
  assert.deepEqual(cluster.voters(1), [1]);
  // The leaving node goes in the moment it knows that it may: by then the other must not need it any more.
  let isGone = false;
  cluster.group(1).onChanged(() => {
    if (isGone || !haveVoters(cluster, [2], [1])) return;
    isGone = true;
    cluster.crash(1);
  });
  await cluster.leave(1);
  const tookMs = await cluster.until("node 2 votes alone", () => isGone);
  assert.ok(tookMs <= 3_000, `${tookMs} ms`);
  await cluster.propose({ kind: "put_setting", key: "a", value: "1", expected: undefined });
  assert.equal(cluster.leader(), 2);
});

Deno.test("Of five nodes two leave, the leader among them: three vote and go on", async () => {
  await using cluster = await SelfGoverningCluster.start(5);
  await cluster.until("five vote", () => haveVoters(cluster, [1, 2, 3, 4, 5]));
  await cluster.leave(1);
  await cluster.leave(5);
  await cluster.until("three vote", () => haveVoters(cluster, [2, 3, 4], [1, 5]));
  cluster.crash(1);
  cluster.crash(5);
  await cluster.propose({ kind: "put_setting", key: "a", value: "1", expected: undefined });
});

Deno.test("Voters that die one by one are replaced until three are left, and the log goes on", async () => {
  await using cluster = await SelfGoverningCluster.start(7);
  await cluster.until("five vote", () => haveVoters(cluster, [1, 2, 3, 4, 5]));
  for (const number of [2, 4, 1, 3]) {
    cluster.crash(number);
    await cluster.advance(75_000);
  }
  assert.deepEqual(cluster.voters(5), [5, 6, 7]);
  await cluster.propose({ kind: "put_setting", key: "a", value: "1", expected: undefined });
});
