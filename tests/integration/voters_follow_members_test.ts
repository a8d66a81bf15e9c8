/**
 * Who votes, as nodes come, die, return and go, on virtual time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { NodeWorld } from "../harness/node_world.ts";

/** All running nodes of `among` know that exactly these vote. */
function haveVoters(
  world: NodeWorld,
  voters: readonly number[],
  among: readonly number[] = voters,
): boolean {
  return among.every((number) => String(world.voters(number)) === String(voters));
}

Deno.test("One votes, then three, then five, within a second of their coming", async () => {
  await using world = await NodeWorld.start(2);
  await world.advance(5_000);
  assert.deepEqual(world.voters(1), [1]);
  await world.join(3);
  const threeMs = await world.until("three vote", () => haveVoters(world, [1, 2, 3]));
  assert.ok(threeMs <= 1_000, `${threeMs} ms`);
  await world.join(4);
  await world.advance(5_000);
  assert.deepEqual(world.voters(1), [1, 2, 3]);
  await world.join(5);
  const fiveMs = await world.until("five vote", () => haveVoters(world, [1, 2, 3, 4, 5]));
  assert.ok(fiveMs <= 1_000, `${fiveMs} ms`);
});

Deno.test("A dead voter's vote goes to a learner after a minute, also when it led", async () => {
  await using world = await NodeWorld.start(4);
  await world.until("three vote", () => haveVoters(world, [1, 2, 3]));
  assert.equal(world.leader(), 1);
  world.crash(1);
  await world.advance(55_000);
  assert.deepEqual(world.voters(2), [1, 2, 3]);
  await world.until("node 4 votes", () => haveVoters(world, [2, 3, 4]), 15_000);
  // Its return changes nothing: it learns.
  await world.boot(1);
  await world.advance(20_000);
  assert.ok(haveVoters(world, [2, 3, 4], [1, 2, 3, 4]));
});

Deno.test("A voter that restarts within the minute keeps its vote", async () => {
  await using world = await NodeWorld.start(4);
  await world.until("three vote", () => haveVoters(world, [1, 2, 3]));
  world.crash(2);
  await world.advance(30_000);
  await world.boot(2);
  await world.advance(60_000);
  assert.ok(haveVoters(world, [1, 2, 3], [1, 2, 3, 4]));
});

Deno.test("The leader of two nodes leaves: the other takes over its vote and leads alone", async () => {
  await using world = await NodeWorld.start(2);
  await world.advance(2_000);
  assert.deepEqual(world.voters(1), [1]);
  // The leaving node goes in the moment it knows that it may: by then the other must not need it any more.
  let isGone = false;
  world.group(1).onChanged(() => {
    if (isGone || !haveVoters(world, [2], [1])) return;
    isGone = true;
    world.crash(1);
  });
  await world.leave(1);
  const tookMs = await world.until("node 2 votes alone", () => isGone);
  assert.ok(tookMs <= 3_000, `${tookMs} ms`);
  await world.propose({ kind: "put_setting", key: "a", value: "1", expected: undefined });
  assert.equal(world.leader(), 2);
});

Deno.test("Of five nodes two leave, the leader among them: three vote and go on", async () => {
  await using world = await NodeWorld.start(5);
  await world.until("five vote", () => haveVoters(world, [1, 2, 3, 4, 5]));
  await world.leave(1);
  await world.leave(5);
  await world.until("three vote", () => haveVoters(world, [2, 3, 4], [1, 5]));
  world.crash(1);
  world.crash(5);
  await world.propose({ kind: "put_setting", key: "a", value: "1", expected: undefined });
});

Deno.test("Voters that die one by one are replaced until three are left, and the log goes on", async () => {
  await using world = await NodeWorld.start(7);
  await world.until("five vote", () => haveVoters(world, [1, 2, 3, 4, 5]));
  for (const number of [2, 4, 1, 3]) {
    world.crash(number);
    await world.advance(75_000);
  }
  assert.deepEqual(world.voters(5), [5, 6, 7]);
  await world.propose({ kind: "put_setting", key: "a", value: "1", expected: undefined });
});
