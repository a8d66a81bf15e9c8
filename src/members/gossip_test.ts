import assert from "node:assert/strict";
import { type KeyLimits, limitsKey, NO_LIMITS, writeKeyLimits } from "../core/queue/mod.ts";
import {
  type ComputedPrefixes,
  decodeKeyUses,
  type DeviceFacts,
  type ExactCopy,
  KEY_USES_KEY,
  type LoadedCopy,
  type ManifestPrefix,
  type ModelSpeed,
  NODE_DEVICES_KEY,
  type NodeFacts,
  type NodeLoad,
  type NodeSplit,
} from "../protocol/mod.ts";
import { NodeWorld } from "../../tests/harness/node_world.ts";
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
  exact: readonly ExactCopy[];
  devices: readonly DeviceFacts[];
  split: NodeSplit;
  speeds: readonly ModelSpeed[];
  prefixes: readonly ComputedPrefixes[];
}

/** Two nodes, each with a gossip that tells what the test says instead of its own. */
async function pair(): Promise<
  { readonly world: NodeWorld; readonly tellers: readonly [Teller, Teller] } & AsyncDisposable
> {
  const world = await NodeWorld.start(2);
  const tellers = [openTeller(world, 1), openTeller(world, 2)] as const;
  return {
    world,
    tellers,
    [Symbol.asyncDispose]: async () => {
      for (const { gossip } of tellers) gossip.close();
      await world[Symbol.asyncDispose]();
    },
  };
}

function openTeller(world: NodeWorld, number: number): Teller {
  world.node(number).cluster.gossip.close();
  const { nodeId, telemetry } = world.machine(number);
  const teller: Teller = {
    load: IDLE,
    copies: [],
    exact: [],
    devices: [],
    split: { roomBytes: 1_000, bytesPerMs: 800, models: [] },
    speeds: [],
    prefixes: [],
    gossip: new Gossip({
      nodeId,
      membership: world.membership(number),
      clock: world.network.clock,
      log: telemetry,
      metrics: telemetry,
      readLoad: () => teller.load,
      readLoaded: () => teller.copies,
      readExact: () => teller.exact,
      readDevices: () => teller.devices,
      readSplit: () => teller.split,
      readSpeeds: () => teller.speeds,
      readPrefixes: () => teller.prefixes,
    }),
  };
  return teller;
}

Deno.test("What one node tells, the other finds", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  one.gossip.tellFacts(FACTS);
  one.gossip.tellInventory([COPY.manifest]);
  one.copies = [COPY];
  one.gossip.loadChanged();
  await world.advance(1_000);
  const heard = two.gossip.find(nodeId);
  assert.deepEqual(heard.facts, FACTS);
  assert.deepEqual(heard.load, IDLE);
  assert.deepEqual(heard.loaded, { copies: [COPY], omitted: 0 });
  assert.deepEqual([...heard.inventory.prefixes], [COPY.manifest]);
  assert.ok(heard.loadHeardMs > 0 && heard.loadHeardMs <= world.network.clock.monotonicMs());
  assert.deepEqual(one.gossip.find(nodeId).facts, FACTS);
});

Deno.test("What a node has computed of texts is told once in ten seconds, as long as it changes", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  const heard = () => [...two.gossip.find(nodeId).prefixes.get(COPY.manifest) ?? []];
  one.prefixes = [{ manifest: COPY.manifest, marks: [1, 2] }];
  one.gossip.loadChanged();
  await world.advance(1_000);
  assert.deepEqual(heard(), [1, 2]);
  one.prefixes = [{ manifest: COPY.manifest, marks: [3] }];
  one.gossip.loadChanged();
  await world.advance(6_000);
  assert.deepEqual(heard(), [1, 2]);
  await world.advance(10_000);
  assert.deepEqual(heard(), [3]);
});

Deno.test("What a node computes after it had nothing new to tell is told at once", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  one.prefixes = [{ manifest: COPY.manifest, marks: [1] }];
  one.gossip.loadChanged();
  // Looks at itself meanwhile, of which the last is some seconds ago.
  await world.advance(63_000);
  one.prefixes = [{ manifest: COPY.manifest, marks: [1, 2] }];
  one.gossip.loadChanged();
  await world.advance(1_000);
  assert.deepEqual([...two.gossip.find(nodeId).prefixes.get(COPY.manifest) ?? []], [1, 2]);
});

Deno.test("A request that comes is heard within 400 ms, and an idle node tells nothing for minutes", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  await world.advance(2_000);
  one.load = { ...IDLE, runningRequests: 1, freeSlots: 3 };
  one.gossip.loadChanged();
  const running = () => two.gossip.find(nodeId).load?.runningRequests;
  const tookMs = await world.until("it is heard", () => running() === 1, 1_000);
  assert.ok(tookMs <= 400, `${tookMs} ms`);
  await world.advance(2_000);
  let changes = 0;
  world.membership(2).onValuesChanged(() => changes++);
  await world.advance(300_000);
  assert.equal(changes, 0);
});

Deno.test("Memory that changes without a word is noticed by looking", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  await world.advance(2_000);
  one.load = { ...IDLE, availableBytes: 2 ** 30 };
  await world.advance(12_000);
  assert.equal(two.gossip.find(nodeId).load?.availableBytes, 2 ** 30);
});

Deno.test("Devices are told when they change, and a node that never had any says nothing of them", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  await world.advance(2_000);
  const told: string[] = [];
  world.membership(2).onValuesChanged(({ keys }) => told.push(...keys));
  one.load = { ...IDLE, runningRequests: 1, freeSlots: 3 };
  one.gossip.loadChanged();
  await world.advance(2_000);
  assert.ok(told.length > 0);
  assert.equal(world.membership(2).values(nodeId).has(NODE_DEVICES_KEY), false);
  one.devices = [DEVICE];
  await world.advance(6_000);
  assert.deepEqual(two.gossip.find(nodeId).devices, [DEVICE]);
  one.devices = [];
  await world.advance(6_000);
  assert.deepEqual(two.gossip.find(nodeId).devices, []);
});

Deno.test("Which copies are exact is told with their class, and taken back", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  const exact = [{ manifest: COPY.manifest, numericClass: "0123456789abcdef" }];
  await world.advance(2_000);
  assert.deepEqual(two.gossip.find(nodeId).exact, []);
  for (const told of [exact, []]) {
    one.exact = told;
    one.gossip.loadChanged();
    await world.advance(2_000);
    assert.deepEqual(two.gossip.find(nodeId).exact, told);
  }
});

Deno.test("A model's speed is told when it has moved by more than an eighth, and not sooner than 5 s after", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  const speed = {
    manifest: COPY.manifest,
    ...{ decodeTokensPerMinute: 1_000, prefillTokensPerMinute: 9_000, loadMs: 700 },
  };
  one.speeds = [speed];
  await world.advance(12_000);
  assert.deepEqual(two.gossip.find(nodeId).speeds, [speed]);
  one.speeds = [{ ...speed, decodeTokensPerMinute: 1_100 }];
  await world.advance(12_000);
  assert.deepEqual(two.gossip.find(nodeId).speeds, [speed]);
  one.speeds = [{ ...speed, decodeTokensPerMinute: 4_000 }];
  await world.advance(12_000);
  assert.equal(two.gossip.find(nodeId).speeds[0]?.decodeTokensPerMinute, 4_000);
});

Deno.test("What an earlier life said is forgotten with it", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  one.gossip.tellFacts(FACTS);
  await world.advance(1_000);
  assert.deepEqual(two.gossip.find(nodeId).facts, FACTS);
  one.gossip.close();
  world.crash(1);
  await world.boot(1);
  await world.advance(2_000);
  assert.equal(two.gossip.find(nodeId).facts?.name, "n1");
});

Deno.test("A value that can't be read is as if it was not told", async () => {
  await using scene = await pair();
  const { world, tellers: [, two] } = scene;
  const { nodeId } = world.machine(1);
  world.membership(1).publish("node", Uint8Array.of(1, 255));
  await world.advance(1_000);
  assert.equal(two.gossip.find(nodeId).facts, undefined);
});

Deno.test("What room a node has for parts of models is told when it has changed by much, and which it leads at once", async () => {
  await using scene = await pair();
  const { world, tellers: [one, two] } = scene;
  const { nodeId } = world.machine(1);
  const heard = async () => {
    one.gossip.loadChanged();
    await world.advance(1_000);
    return two.gossip.find(nodeId).split;
  };
  assert.deepEqual(await heard(), { roomBytes: 1_000, bytesPerMs: 800, models: [] });
  one.split = { roomBytes: 1_100, bytesPerMs: 850, models: [] };
  assert.equal((await heard())?.roomBytes, 1_000);
  one.split = { roomBytes: 1_200, bytesPerMs: 800, models: [] };
  assert.equal((await heard())?.roomBytes, 1_200);
  const shards = [{ name: "n2", firstLayer: 0, layerCount: 3, memoryBytes: 7 }];
  one.split = { roomBytes: 1_200, bytesPerMs: 950, models: [] };
  assert.equal((await heard())?.bytesPerMs, 950);
  const split = {
    roomBytes: 1_201,
    bytesPerMs: 951,
    models: [{ manifest: COPY.manifest, shards }],
  };
  one.split = split;
  assert.deepEqual(await heard(), split);
});

Deno.test("What a key used on one node counts on the others within two seconds, and a key without limits is not told of", async () => {
  await using world = await NodeWorld.start(3);
  const limits: KeyLimits = { ...NO_LIMITS, requestsPerMinute: 4 };
  await world.propose({
    ...{ kind: "put_setting", key: limitsKey("k"), expected: undefined },
    value: writeKeyLimits(limits),
  });
  await world.converged();
  const [one, two, three] = [1, 2, 3].map((number) =>
    world.node(number).machinery.access.uses.meter
  );
  const nowMs = () => world.network.clock.nowMs();
  for (let count = 0; count < 3; count++) one?.admit("k", limits, nowMs());
  one?.admit("free", NO_LIMITS, nowMs());
  await world.advance(2_000);
  const told = world.membership(2).values(world.machine(1).nodeId).get(KEY_USES_KEY);
  const uses = told && decodeKeyUses(told);
  assert.ok(uses?.kind === "decoded");
  assert.deepEqual(uses.value.keys, [{ keyId: "k", requests: 3, tokens: 0, running: 3 }]);
  assert.equal(two?.admit("k", limits, nowMs()).kind, "admitted");
  await world.advance(2_000);
  assert.equal(three?.admit("k", limits, nowMs()).kind, "limited");
});
