import assert from "node:assert/strict";
import type { NodeId } from "../../src/base/mod.ts";
import { SimulatedNetwork } from "../harness/simulated_transport.ts";
import {
  assertCode,
  openNode,
  RecordingNode,
  testTransport,
} from "../harness/transport_contract.ts";

testTransport("SimulatedTransport", async (limits, use) => {
  const network = new SimulatedNetwork({ mode: "prompt", limits });
  let count = 0;
  await use({
    deadAddress: "nowhere:1",
    open: (handlers) => {
      const nodeId = `${++count}`.padStart(16, "0") as NodeId;
      return Promise.resolve({ nodeId, transport: network.open(nodeId, `n${count}:1`, handlers) });
    },
  });
  network.close();
});

/** Two nodes that move only when told. */
async function steppedPair(seed = 1) {
  const network = new SimulatedNetwork({ seed });
  let count = 0;
  const world = {
    deadAddress: "nowhere:1",
    open: (handlers: RecordingNode) => {
      const nodeId = `${++count}`.padStart(16, "0") as NodeId;
      return Promise.resolve({ nodeId, transport: network.open(nodeId, `n${count}:1`, handlers) });
    },
  };
  const [one, two] = [await openNode(world), await openNode(world)];
  return { network, one, two };
}

Deno.test("SimulatedNetwork moves nothing by itself", async () => {
  const { network, one, two } = await steppedPair();
  one.send(two.at, "a");
  await network.advance(2);
  assert.deepEqual(two.texts(), []);
  await network.advance(1);
  assert.deepEqual(two.texts(), ["a"]);
});

Deno.test("SimulatedNetwork holds frames over a short cut, and loses datagrams", async () => {
  const { network, one, two } = await steppedPair();
  one.send(two.at, "before");
  await network.advance(10);
  network.cut(one.nodeId, two.nodeId);
  one.send(two.at, "held");
  one.transport.sendDatagram(two.at, new Uint8Array(1));
  two.send(one.at, "the other way");
  await network.advance(network.limits.idleMs - 1_000);
  assert.deepEqual([two.texts(), one.texts()], [["before"], ["the other way"]]);
  network.heal();
  await network.advance(10);
  assert.deepEqual([two.texts(), two.datagrams, one.failures], [["before", "held"], [], []]);
});

Deno.test("SimulatedNetwork gives a connection up after a long cut", async () => {
  const { network, one, two } = await steppedPair();
  one.send(two.at, "before");
  await network.advance(10);
  network.partition([one.nodeId], [two.nodeId]);
  one.send(two.at, "held");
  await network.advance(network.limits.idleMs);
  assert.deepEqual(one.failures, [{ to: two.nodeId, what: "raft" }]);
  assert.deepEqual([one.lost, two.lost], [[two.nodeId], [one.nodeId]]);
});

Deno.test("SimulatedNetwork notices a crash late and takes the node back", async () => {
  const { network, one, two } = await steppedPair();
  const stream = one.transport.openStream(two.at, new AbortController().signal);
  await network.advance(10);
  network.crash(two.nodeId);
  await network.advance(1_000);
  assert.deepEqual(one.lost, []);
  const again = new RecordingNode();
  again.nodeId = two.nodeId;
  again.transport = network.open(two.nodeId, two.transport.address, again);
  again.send(one.at, "back");
  await network.advance(10);
  assert.deepEqual([one.texts(), one.lost], [["back"], []]);
  await assertCode((await stream).read(), "peer_lost");
});

Deno.test("SimulatedNetwork repeats itself from a seed", async () => {
  const run = async (seed: number) => {
    const { network, one, two } = await steppedPair(seed);
    network.shape({ lossPercent: 30, jitterMs: 40, duplicatePercent: 10 });
    for (let index = 0; index < 50; index++) {
      one.transport.sendDatagram(two.at, new Uint8Array([index]));
      one.send(two.at, `${index}`);
      await network.advance(5);
    }
    await network.advance(5_000);
    assert.equal(two.frames.length, 50);
    return two.datagrams.map(({ bytes }) => bytes[0]).join();
  };
  assert.equal(await run(7), await run(7));
  assert.notEqual(await run(7), await run(8));
});
