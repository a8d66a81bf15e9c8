/**
 * A node with several addresses in a cluster of which some members run a program that takes what it is told for one.
 *
 * @module
 */
import assert from "node:assert/strict";
import { NodeWorld } from "../harness/node_world.ts";

const SECOND = "vpn.example:11435";

/** Where node 3 is, as node 1 hears. */
function told(world: NodeWorld): string | undefined {
  return world.node(1).cluster.membership.find(world.machine(3).nodeId)?.address;
}

/** From now on it says of itself that it runs a program of that version of the wire. */
function speak(world: NodeWorld, number: number, wire: number): void {
  const { cluster, machinery } = world.node(number);
  cluster.gossip.tellFacts({ ...machinery.settings.facts, wire });
}

Deno.test("a node tells one address while a member of an older version is there, and all of them afterwards", async () => {
  await using world = await NodeWorld.start(2);
  const { address: first } = await world.prepare(3);
  const both = `${first},${SECOND}`;
  speak(world, 2, 1);
  const wish = { lifetimeMs: 60_000, uses: 1 };
  const { token: joinToken } = await world.settle(world.node(1).credentials.createToken(wish));
  const joinAddresses = world.machine(1).address;
  await world.boot(3, { joinToken, joinAddresses, advertiseAddresses: both });
  const heard = new Set<string | undefined>();
  await world.until("it is a member", () => {
    heard.add(told(world));
    return world.group(3).catalogue.members().length === 3 && told(world) !== undefined;
  });
  for (let step = 0; step < 200; step++) {
    await world.advance(100);
    heard.add(told(world));
  }
  heard.delete(undefined);
  assert.deepEqual([...heard], [first]);
  // It is updated.
  speak(world, 2, 2);
  await world.until("all are told", () => told(world) === both);
  // It goes back to the older version.
  speak(world, 2, 1);
  await world.until("one is told again", () => told(world) === first);
});
