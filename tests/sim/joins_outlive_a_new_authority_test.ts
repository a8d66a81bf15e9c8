/**
 * A machine is revoked, so the cluster's authority is replaced; whoever is let in just then is let in all the same.
 *
 * @module
 */
import assert from "node:assert/strict";
import { NodeWorld } from "../harness/node_world.ts";

const WISH = { lifetimeMs: 60_000, uses: 1 };

function authorityOf(world: NodeWorld, number: number): string {
  return world.node(number).machinery.stored.membership?.authority.chainPem ?? "";
}

function revoke(world: NodeWorld, number: number): Promise<unknown> {
  const { nodeId } = world.machine(number);
  return world.group(1).propose({ kind: "revoke_member", nodeId, atMs: 1 }, { timeoutMs: 20_000 });
}

async function createToken(world: NodeWorld, number: number, before: string): Promise<string> {
  assert.equal(authorityOf(world, number), before, "it has not gone over yet");
  return (await world.node(number).credentials.createToken(WISH)).token;
}

async function joins(
  world: NodeWorld,
  wish: { readonly number: number; readonly token: string; readonly door: number },
): Promise<void> {
  const { number, token, door } = wish;
  await world.boot(number, { joinToken: token, joinAddresses: world.machine(door).address });
  await world.until(
    "it is a member",
    () => world.group(number).catalogue.members().length === number,
  );
  assert.equal(authorityOf(world, number), authorityOf(world, 1));
}

Deno.test("a token that is made in the turn in which a machine was revoked lets a node in", async () => {
  await using world = await NodeWorld.start(3);
  const before = authorityOf(world, 1);
  const token = await world.settle(revoke(world, 3).then(() => createToken(world, 1, before)));
  assert.notEqual(authorityOf(world, 1), before);
  await joins(world, { number: 4, token, door: 2 });
});

Deno.test("a member that lags behind the next authority lets a node in as soon as it has caught up", async () => {
  await using world = await NodeWorld.start(4, { seed: 3 });
  const [door = 0] = world.voters(1).filter((number) => number !== world.leader() && number !== 1);
  const before = authorityOf(world, door);
  world.isolate(door);
  const token = await world.settle(
    revoke(world, 4).then(() => createToken(world, 1, before)),
  );
  world.network.heal();
  assert.equal(authorityOf(world, door), before, "it is behind");
  await joins(world, { number: 5, token, door });
});

Deno.test("a token made before a revocation lets nobody in, and the joiner says why", async () => {
  await using world = await NodeWorld.start(3);
  const { token } = await world.settle(world.node(1).credentials.createToken(WISH));
  const before = authorityOf(world, 1);
  await world.settle(revoke(world, 3));
  await world.until("all have the next authority", () => {
    const now = authorityOf(world, 1);
    return now !== before && now === authorityOf(world, 2);
  });
  const wish = { joinToken: token, joinAddresses: world.machine(2).address };
  await assert.rejects(world.boot(4, wish), /was made before a machine was revoked/);
});
