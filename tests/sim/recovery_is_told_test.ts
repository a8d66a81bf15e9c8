/**
 * Whole nodes that lose their voters for good: one goes on alone, the others are told when they come back, and nobody can
 * outvote it; where two went on alone, both say so.
 *
 * @module
 */
import assert from "node:assert/strict";
import { NodeWorld } from "../harness/node_world.ts";

/** Longer than it takes to know that a quorum is lost. */
const LOST_MS = 8_000;

async function put(world: NodeWorld, number: number, key: string): Promise<boolean> {
  const command = { kind: "put_setting", key, value: "1", expected: undefined } as const;
  const answer = world.group(number).propose(command, { timeoutMs: 3_000 });
  return (await world.settle(answer.catch(() => undefined)))?.kind === "applied";
}

function keys(world: NodeWorld, number: number): readonly string[] {
  return world.group(number).catalogue.settings().map(({ key }) => key)
    .filter((key) => key.startsWith("k."));
}

/** Goes on alone: what `odist recover` does to a node, and its start. */
async function recover(world: NodeWorld, number: number): Promise<void> {
  await world.settle(world.node(number).machinery.recovery.prepare());
  await world.stop(number);
  await world.boot(number);
  await world.until("it leads", () => world.group(number).view().role === "leader");
}

function fence(world: NodeWorld, number: number): string | undefined {
  return world.group(number).fenced?.kind;
}

function warnings(world: NodeWorld, number: number): string {
  return world.node(number).machinery.recovery.warnings().join("\n");
}

async function lost(seed: number, count: number, survivors: readonly number[]): Promise<NodeWorld> {
  const world = await NodeWorld.start(count, { seed });
  assert.ok(await put(world, 1, "k.before"));
  await world.advance(2_000);
  for (const number of world.running) if (!survivors.includes(number)) world.crash(number);
  await world.advance(LOST_MS);
  for (const number of survivors) assert.equal(await put(world, number, "k.none"), false);
  return world;
}

Deno.test("old voters that come back are told, take no part, also after a restart, and can join again", async () => {
  await using world = await lost(1, 3, [3]);
  await recover(world, 3);
  assert.deepEqual(keys(world, 3), ["k.before"]);
  assert.ok(await put(world, 3, "k.after"));
  await world.boot(1);
  await world.boot(2);
  await world.until("both know", () => [1, 2].every((it) => fence(world, it) !== undefined));
  for (const number of [1, 2]) {
    assert.equal(fence(world, number), "recovered_elsewhere");
    assert.match(warnings(world, number), /was recovered on n3 at .*odist serve --join/);
    assert.equal(await put(world, number, "k.outvoted"), false);
  }
  await world.stop(1);
  world.isolate(3);
  await world.boot(1);
  await world.advance(LOST_MS);
  assert.equal(fence(world, 1), "recovered_elsewhere");
  world.network.heal();
  await world.stop(1);
  const wish = { lifetimeMs: 60_000, uses: 1 };
  const { token } = await world.settle(world.node(3).credentials.createToken(wish));
  await world.boot(1, { joinToken: token, joinAddresses: world.machine(3).address });
  await world.until("it is a member", () => keys(world, 1).includes("k.after"));
  assert.equal(fence(world, 1), undefined);
  assert.equal(warnings(world, 1), "");
  assert.ok(await put(world, 1, "k.together"));
});

Deno.test("voters that never lost their quorum go on, and both sides say that there are two clusters", async () => {
  await using world = await NodeWorld.start(3, { seed: 2 });
  world.isolate(3);
  await world.advance(LOST_MS);
  await recover(world, 3);
  assert.ok(await put(world, 1, "k.behind"));
  world.network.heal();
  await world.until("all know", () => [1, 2, 3].every((it) => warnings(world, it) !== ""), 60_000);
  assert.match(warnings(world, 1), /begun on n3 at .*had its quorum all the time/);
  assert.match(warnings(world, 3), /was never lost, as n. says, and goes on: there are two now/);
  for (const number of [1, 3]) {
    assert.equal(fence(world, number), undefined);
    assert.ok(await put(world, number, "k.after"));
  }
  // Once it does lose it, there is nothing to be said against the other.
  world.crash(2);
  await world.until("it knows", () => fence(world, 1) !== undefined, 60_000);
});

Deno.test("voters that come back between a recovery's wish and the start that carries it out lose nothing, and all say so", async () => {
  await using world = await lost(3, 3, [3]);
  await world.settle(world.node(3).machinery.recovery.prepare());
  await world.boot(1);
  await world.boot(2);
  await world.until("there is a quorum", () => world.leader() !== undefined);
  assert.ok(await put(world, 1, "k.late"));
  await world.stop(3);
  await world.boot(3);
  await world.until("all know", () => [1, 2, 3].every((it) => warnings(world, it) !== ""), 60_000);
  // It was seen as a member after it says to have gone.
  assert.match(warnings(world, 1), /goes on/);
  assert.deepEqual(keys(world, 3), ["k.before", "k.late"]);
});

Deno.test("of two nodes the one that never voted goes on, without the authority's key, and takes the other in", async () => {
  await using world = await lost(4, 2, [2]);
  await recover(world, 2);
  await world.boot(1);
  await world.until("it knows", () => fence(world, 1) !== undefined);
  await world.stop(1);
  const wish = { lifetimeMs: 60_000, uses: 1 };
  const { token } = await world.settle(world.node(2).credentials.createToken(wish));
  await world.boot(1, { joinToken: token, joinAddresses: world.machine(2).address });
  await world.until("it is a member", () => keys(world, 1).includes("k.before"));
  await world.until(
    "it is not waited for any more",
    () => !world.group(2).catalogue.settings().some(({ key }) => key.startsWith("left_behind")),
    60_000,
  );
});

Deno.test("a node without a vote that lived on is told, too, and says so without a restart", async () => {
  await using world = await lost(5, 4, [3, 4]);
  const [survivor = 0, other = 0] = world.voters(3).includes(3) ? [3, 4] : [4, 3];
  await recover(world, survivor);
  await world.until("it knows", () => fence(world, other) !== undefined);
  assert.match(warnings(world, other), new RegExp(`recovered on n${survivor} `));
});

Deno.test("where two nodes recovered one cluster both say so, and one of them can join the other", async () => {
  await using world = await lost(6, 5, [4, 5]);
  world.isolate(5);
  await recover(world, 4);
  await recover(world, 5);
  assert.ok(await put(world, 4, "k.four"));
  assert.ok(await put(world, 5, "k.five"));
  assert.equal(warnings(world, 4) + warnings(world, 5), "");
  world.network.heal();
  await world.until("both know", () => [4, 5].every((it) => warnings(world, it) !== ""), 60_000);
  assert.match(warnings(world, 4), /also recovered on n5 at .*there are two now/);
  assert.match(warnings(world, 5), /also recovered on n4 at /);
  // A machine that comes back only now hears of both.
  await world.boot(1);
  await world.until("it knows", () => warnings(world, 1).split("\n").length === 2, 60_000);
  assert.ok(await put(world, 4, "k.more"), "nobody has to stop for it");
  await world.stop(5);
  const wish = { lifetimeMs: 60_000, uses: 1 };
  const { token } = await world.settle(world.node(4).credentials.createToken(wish));
  await world.boot(5, { joinToken: token, joinAddresses: world.machine(4).address });
  await world.until("it is a member", () => keys(world, 5).includes("k.more"));
  assert.equal(warnings(world, 5), "");
});

Deno.test("a recovered node is started as it was before, and does not go back", async () => {
  await using world = await NodeWorld.start(2, { seed: 7 });
  const wish = { lifetimeMs: 3_600_000, uses: 1 };
  const { token } = await world.settle(world.node(1).credentials.createToken(wish));
  await world.advance(2_000);
  const flags = { joinToken: token, joinAddresses: world.machine(1).address };
  world.crash(1);
  await world.advance(LOST_MS);
  await world.settle(world.node(2).machinery.recovery.prepare());
  await world.stop(2);
  await world.boot(2, flags);
  await world.until("it leads", () => world.group(2).view().role === "leader");
  await world.until("it is a member", () => world.group(2).catalogue.members().length === 1);
  await world.boot(1);
  for (const more of [flags, { joinAddresses: world.machine(1).address }]) {
    await world.stop(2);
    await world.boot(2, more);
    await world.until("it leads", () => world.group(2).view().role === "leader");
  }
});

Deno.test("what no member has signed is not believed", async () => {
  await using world = await NodeWorld.start(3, { seed: 8 });
  await world.advance(2_000);
  world.isolate(3);
  await world.advance(LOST_MS);
  await world.settle(world.node(3).machinery.recovery.prepare());
  // The machine was stolen, and the others have shut it out.
  const revoke = { kind: "revoke_member", nodeId: world.machine(3).nodeId, atMs: 1 } as const;
  const answer = world.group(1).propose(revoke, { timeoutMs: 5_000 });
  assert.equal((await world.settle(answer)).kind, "applied");
  await world.stop(3);
  await world.boot(3);
  world.network.heal();
  await world.advance(60_000);
  for (const number of [1, 2]) assert.equal(warnings(world, number), "");
  assert.ok(await put(world, 1, "k.after"));
  // Not even where no quorum speaks against it.
  world.crash(2);
  await world.advance(60_000);
  assert.equal(warnings(world, 1), "");
  assert.equal(fence(world, 1), undefined);
});
