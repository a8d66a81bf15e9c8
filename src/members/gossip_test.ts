import assert from "node:assert/strict";
import {
  type DeviceFacts,
  type LoadedCopy,
  type ManifestPrefix,
  NODE_DEVICES_KEY,
  type NodeFacts,
  type NodeLoad,
} from "../protocol/mod.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { SimulatedMembers } from "../../tests/harness/simulated_members.ts";
import { Gossip } from "./gossip.ts";

const FACTS: NodeFacts = {
  name: "one",
  version: "0.3.0",
  catalogueSchema: 1,
  clusterAddress: "10.0.0.1:11435",
  cores: 2,
  numericClass: "",
  wire: 1,
};
const IDLE: NodeLoad = {
  runningRequests: 0,
  waitingRequests: 0,
  slots: 4,
  freeSlots: 4,
  decodeTokensPerMinute: 0,
  prefillTokensPerMinute: 0,
  availableBytes: 2 ** 33,
};
const COPY: LoadedCopy = {
  manifest: "00112233aabbccdd" as ManifestPrefix,
  name: "tiny:latest",
  sizeBytes: 2 ** 20,
  vramBytes: 0,
  contextLength: 4096,
  expiresAtMs: 0,
  slots: 4,
  runningRequests: 0,
};

const DEVICE: DeviceFacts = {
  name: "Vulkan0",
  description: "Some GPU",
  kind: "gpu",
  totalBytes: 2 ** 33,
  freeBytes: 2 ** 32,
  driver: "radv",
};

interface Teller {
  readonly gossip: Gossip;
  load: NodeLoad;
  copies: readonly LoadedCopy[];
  devices: readonly DeviceFacts[];
}

/** Two nodes that know each other, each with its gossip. */
async function pair(): Promise<
  { readonly cluster: SimulatedMembers; readonly tellers: readonly [Teller, Teller] } & Disposable
> {
  const cluster = new SimulatedMembers(2);
  cluster.join(1, 0);
  await cluster.until(1_000, () => cluster.standing(0, 1) === "alive");
  const tellers = [openTeller(cluster, 0), openTeller(cluster, 1)] as const;
  return {
    cluster,
    tellers,
    [Symbol.dispose]: () => {
      for (const { gossip } of tellers) gossip.close();
      cluster.close();
    },
  };
}

function openTeller(cluster: SimulatedMembers, index: number): Teller {
  const { nodeId, driver: membership } = cluster.get(index);
  const { clock } = cluster.network;
  const telemetry = new RecordingTelemetry();
  const teller: Teller = {
    load: IDLE,
    copies: [],
    devices: [],
    gossip: new Gossip({
      nodeId,
      membership,
      clock,
      log: telemetry,
      metrics: telemetry,
      readLoad: () => teller.load,
      readLoaded: () => teller.copies,
      readDevices: () => teller.devices,
    }),
  };
  return teller;
}

Deno.test("What one node tells, the other finds", async () => {
  using scene = await pair();
  const { cluster, tellers: [one, two] } = scene;
  const { nodeId } = cluster.get(0);
  one.gossip.tellFacts(FACTS);
  one.gossip.tellInventory([COPY.manifest]);
  one.copies = [COPY];
  one.gossip.loadChanged();
  await cluster.advance(1_000);
  const heard = two.gossip.find(nodeId);
  assert.deepEqual(heard.facts, FACTS);
  assert.deepEqual(heard.load, IDLE);
  assert.deepEqual(heard.loaded, { copies: [COPY], omitted: 0 });
  assert.deepEqual([...heard.inventory.prefixes], [COPY.manifest]);
  assert.ok(heard.loadHeardMs > 0 && heard.loadHeardMs <= cluster.network.clock.monotonicMs());
  assert.deepEqual(one.gossip.find(nodeId).facts, FACTS);
});

Deno.test("A request that comes is heard within 400 ms, and an idle node tells nothing for minutes", async () => {
  using scene = await pair();
  const { cluster, tellers: [one, two] } = scene;
  const { nodeId } = cluster.get(0);
  await cluster.advance(2_000);
  one.load = { ...IDLE, runningRequests: 1, freeSlots: 3 };
  one.gossip.loadChanged();
  const running = () => two.gossip.find(nodeId).load?.runningRequests;
  const tookMs = await cluster.until(1_000, () => running() === 1);
  assert.ok(tookMs <= 400, `${tookMs} ms`);
  await cluster.advance(2_000);
  let changes = 0;
  cluster.get(1).driver.onValuesChanged(() => changes++);
  await cluster.advance(300_000);
  assert.equal(changes, 0);
});

Deno.test("Memory that changes without a word is noticed by looking", async () => {
  using scene = await pair();
  const { cluster, tellers: [one, two] } = scene;
  const { nodeId } = cluster.get(0);
  await cluster.advance(2_000);
  one.load = { ...IDLE, availableBytes: 2 ** 30 };
  await cluster.advance(12_000);
  assert.equal(two.gossip.find(nodeId).load?.availableBytes, 2 ** 30);
});

Deno.test("Devices are told when they change, and a node that never had any says nothing of them", async () => {
  using scene = await pair();
  const { cluster, tellers: [one, two] } = scene;
  const { nodeId } = cluster.get(0);
  await cluster.advance(2_000);
  const told: string[] = [];
  cluster.get(1).driver.onValuesChanged(({ keys }) => told.push(...keys));
  one.load = { ...IDLE, runningRequests: 1, freeSlots: 3 };
  one.gossip.loadChanged();
  await cluster.advance(2_000);
  assert.ok(told.length > 0);
  assert.equal(cluster.get(1).driver.values(nodeId).has(NODE_DEVICES_KEY), false);
  one.devices = [DEVICE];
  await cluster.advance(6_000);
  assert.deepEqual(two.gossip.find(nodeId).devices, [DEVICE]);
  one.devices = [];
  await cluster.advance(6_000);
  assert.deepEqual(two.gossip.find(nodeId).devices, []);
});

Deno.test("What an earlier life said is forgotten with it", async () => {
  using scene = await pair();
  const { cluster, tellers: [one, two] } = scene;
  const { nodeId } = cluster.get(0);
  one.gossip.tellFacts(FACTS);
  await cluster.advance(1_000);
  assert.deepEqual(two.gossip.find(nodeId).facts, FACTS);
  one.gossip.close();
  cluster.crash(0);
  cluster.restart(0);
  cluster.join(0, 1);
  await cluster.advance(2_000);
  assert.equal(two.gossip.find(nodeId).facts, undefined);
});

Deno.test("A value that can't be read is as if it was not told", async () => {
  using scene = await pair();
  const { cluster, tellers: [, two] } = scene;
  const { nodeId, driver } = cluster.get(0);
  driver.publish("node", Uint8Array.of(1, 255));
  await cluster.advance(1_000);
  assert.equal(two.gossip.find(nodeId).facts, undefined);
});
