import assert from "node:assert/strict";
import { type NodeId, Random } from "../../src/base/mod.ts";
import { Gossip } from "../../src/members/mod.ts";
import { encodeNodeLoad, NODE_LOAD_KEY, type NodeLoad } from "../../src/protocol/mod.ts";
import { RecordingTelemetry } from "../harness/scripted_client.ts";
import { SimulatedMembers } from "../harness/simulated_members.ts";

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
  const cluster = new SimulatedMembers(2);
  try {
    const [liar, hearer] = [cluster.get(0), cluster.get(1)];
    cluster.join(0, 1);
    await cluster.advance(2_000);
    assert.deepEqual([...Uint8Array.from([1, ...Object.values(LOAD).flatMap(varint)])], [
      ...encodeNodeLoad(LOAD),
    ], "the liar writes as everyone does");
    const telemetry = new RecordingTelemetry();
    const gossip = new Gossip({
      nodeId: hearer.nodeId,
      membership: hearer.driver,
      clock: cluster.network.clock,
      log: telemetry,
      metrics: telemetry,
      readLoad: () => LOAD,
      readLoaded: () => [],
      readDevices: () => [],
    });
    const random = new Random(3);
    const subject: NodeId = liar.nodeId;
    liar.driver.publish(NODE_LOAD_KEY, encodeNodeLoad(LOAD));
    await cluster.advance(1_000);
    assert.deepEqual(gossip.find(subject).load, LOAD);
    for (let lie = 0; lie < LIES; lie++) {
      liar.driver.publish(NODE_LOAD_KEY, impossible(random));
      await cluster.advance(150);
      assert.equal(gossip.find(subject).load, undefined);
    }
    const refused = telemetry.samples.filter(({ name }) =>
      name === "odist_gossip_values_refused_total"
    );
    assert.equal(refused.length, LIES);
    for (const { labels } of refused) assert.deepEqual(labels, { peer: subject });
    const lines = telemetry.lines.filter(({ event }) => event === "gossip_value_malformed");
    assert.ok(lines.length > 0 && lines.length < LIES);
    for (const { values } of lines) assert.equal(values.peer, subject);
    liar.driver.publish(NODE_LOAD_KEY, encodeNodeLoad(LOAD));
    await cluster.advance(1_000);
    assert.deepEqual(gossip.find(subject).load, LOAD);
    gossip.close();
  } finally {
    cluster.close();
  }
});
