import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { encodeNodeLoad, NODE_LOAD_KEY, type NodeLoad } from "../../src/protocol/mod.ts";
import { NodeWorld } from "../harness/node_world.ts";

const LIES = 1_000;
const LOAD: NodeLoad = {
  runningRequests: 1,
  waitingRequests: 0,
  slots: 4,
  freeSlots: 3,
  decodeTokensPerMinute: 600,
  prefillTokensPerMinute: 6_000,
  availableBytes: 2 ** 30,
};

/** A whole number as the wire has it, seven bits a byte. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(rest % 128 | 128);
  bytes.push(Math.floor(value / 128 ** bytes.length) % 128);
  return bytes;
}

/** A load as a liar writes it: one figure is beyond anything, or there are more free slots than slots. */
function impossible(random: Random): Uint8Array {
  const figures = Object.values(LOAD);
  const changed = random.below(figures.length);
  const beyond = figures.with(changed, 2 ** 52 - random.below(1_000));
  if (random.chance(1, 4)) beyond[3] = LOAD.slots + 1 + random.below(1_000);
  return Uint8Array.from([1, ...beyond.flatMap(varint)]);
}

Deno.test("A member that says a thousand impossible loads of itself is not believed, and named", async () => {
  await using world = await NodeWorld.start(2);
  assert.deepEqual([...Uint8Array.from([1, ...Object.values(LOAD).flatMap(varint)])], [
    ...encodeNodeLoad(LOAD),
  ], "the liar writes as everyone does");
  const { nodeId: liar } = world.machine(1);
  const { telemetry } = world.machine(2);
  const tell = (load: Uint8Array) => world.membership(1).publish(NODE_LOAD_KEY, load);
  const heard = () => world.node(2).cluster.gossip.find(liar).load;
  world.node(1).cluster.gossip.close();
  const random = new Random(3);
  tell(encodeNodeLoad(LOAD));
  await world.advance(1_000);
  assert.deepEqual(heard(), LOAD);
  for (let lie = 0; lie < LIES; lie++) {
    tell(impossible(random));
    await world.advance(150);
    assert.equal(heard(), undefined);
  }
  const refused = telemetry.samples.filter(({ name }) =>
    name === "odist_gossip_values_refused_total"
  );
  assert.equal(refused.length, LIES);
  for (const { labels } of refused) assert.deepEqual(labels, { peer: liar });
  const lines = telemetry.lines.filter(({ event }) => event === "gossip_value_malformed");
  assert.ok(lines.length > 0 && lines.length < LIES);
  for (const { values } of lines) assert.equal(values.peer, liar);
  tell(encodeNodeLoad(LOAD));
  await world.advance(1_000);
  assert.deepEqual(heard(), LOAD);
});
