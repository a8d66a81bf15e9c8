import assert from "node:assert/strict";
import { Random } from "../../base/mod.ts";
import type { Decoded } from "../bytes.ts";
import { VALUE_BYTES_MAX } from "../membership.ts";
import {
  decodeNodeDisk,
  decodeNodeFacts,
  decodeNodeFence,
  decodeNodeLoad,
  encodeNodeDisk,
  encodeNodeFacts,
  encodeNodeFence,
  encodeNodeLoad,
  NODE_DISK_KEY,
  NODE_FACTS_KEY,
  NODE_FENCE_KEY,
  NODE_LOAD_KEY,
  type NodeFacts,
  type NodeLoad,
} from "./node_value.ts";
import {
  decodeNodeDevices,
  type DeviceFacts,
  encodeNodeDevices,
  NODE_DEVICES_KEY,
} from "./devices_value.ts";
import { encodeNodeHttp, NODE_HTTP_KEY } from "./http_value.ts";
import { encodeNodeYield, NODE_YIELD_KEY } from "./yield_value.ts";
import { decodeNodeSplit, encodeNodeSplit, NODE_SPLIT_KEY } from "./split_value.ts";
import { decodeModelSpeeds, encodeModelSpeeds, MODEL_SPEEDS_KEY } from "./speeds_value.ts";
import {
  decodeInventory,
  encodeInventory,
  INVENTORY_KEYS,
  type ManifestPrefix,
  manifestPrefixOf,
} from "./inventory_value.ts";
import {
  decodeLoadedCopies,
  encodeLoadedCopies,
  LOADED_COPIES_KEY,
  type LoadedCopy,
} from "./loaded_value.ts";
import { decodeKeyUses, encodeKeyUses, KEY_USES_KEY, type KeyUse } from "./key_uses_value.ts";
import {
  COMPUTED_PREFIXES_KEY,
  decodeComputedPrefixes,
  encodeComputedPrefixes,
} from "./prefixes_value.ts";
import { decodeExactCopies, encodeExactCopies, EXACT_COPIES_KEY } from "./exact_value.ts";

/** What a member's values may take together (`core/membership`), each with its key and 16 bytes. */
const MEMBER_VALUES_BYTES_MAX = 48 * 1024;

const FACTS: NodeFacts = {
  name: "büro-1",
  version: "0.3.0",
  catalogueSchema: 1,
  clusterAddress: "10.0.0.1:11435",
  cores: 8,
  numericClass: "avx2/t1",
  wire: 1,
};
const LOAD: NodeLoad = {
  runningRequests: 3,
  waitingRequests: 0,
  slots: 8,
  freeSlots: 5,
  decodeTokensPerMinute: 72,
  prefillTokensPerMinute: 9_000,
  availableBytes: 2 ** 37,
};
const COPY: LoadedCopy = {
  manifest: "00112233aabbccdd" as ManifestPrefix,
  name: "llama3:8b",
  sizeBytes: 5_000_000_000,
  vramBytes: 0,
  contextLength: 4096,
  expiresAtMs: 1_700_000_000_000,
  slots: 4,
  runningRequests: 1,
};

const DEVICE: DeviceFacts = {
  name: "CUDA0",
  description: "Some GPU",
  kind: "gpu",
  totalBytes: 24 * 2 ** 30,
  freeBytes: 20 * 2 ** 30,
  driver: "some 1.2",
};
const FASTEST = {
  decodeTokensPerMinute: Number.MAX_SAFE_INTEGER,
  prefillTokensPerMinute: Number.MAX_SAFE_INTEGER,
  loadMs: Number.MAX_SAFE_INTEGER,
};
const LONG_DEVICE: DeviceFacts = {
  ...DEVICE,
  name: "x".repeat(100),
  description: "y".repeat(100),
  driver: "z".repeat(100),
};

const LONG_SHARDS = Array.from({ length: 100 }, () => ({
  name: "x".repeat(1_000),
  firstLayer: 65_536,
  layerCount: 65_536,
  memoryBytes: Number.MAX_SAFE_INTEGER,
  device: "x".repeat(1_000),
}));
const MARKS = Array.from({ length: 1_000 }, (_, at) => 0xffff_ffff - at);

function valueOf<T>(decoded: Decoded<T>): T {
  if (decoded.kind === "malformed") throw new Error(decoded.reason);
  return decoded.value;
}

function prefixes(count: number): ManifestPrefix[] {
  const random = new Random(count);
  const digits = () => random.uint32().toString(16).padStart(8, "0");
  return Array.from({ length: count }, () => (digits() + digits()) as ManifestPrefix);
}

Deno.test("Gossip values come back as they were", () => {
  assert.deepEqual(valueOf(decodeNodeFacts(encodeNodeFacts(FACTS))), FACTS);
  assert.deepEqual(valueOf(decodeNodeLoad(encodeNodeLoad(LOAD))), LOAD);
  assert.deepEqual(valueOf(decodeNodeDisk(encodeNodeDisk({ freeBytes: 2 ** 45 }))), {
    freeBytes: 2 ** 45,
  });
  const fence = { kind: "log_lost" };
  assert.deepEqual(valueOf(decodeNodeFence(encodeNodeFence(fence))), fence);
  const loaded = valueOf(decodeLoadedCopies(encodeLoadedCopies([COPY])));
  assert.deepEqual(loaded, { copies: [COPY], omitted: 0 });
});

Deno.test("Gossip values with a byte too few or too many are malformed", () => {
  for (const bytes of [encodeNodeFacts(FACTS), encodeNodeLoad(LOAD), encodeLoadedCopies([COPY])]) {
    for (const decode of [decodeNodeFacts, decodeNodeLoad, decodeLoadedCopies]) {
      assert.equal(decode(bytes.subarray(0, -1)).kind, "malformed");
      assert.equal(decode(Uint8Array.of(...bytes, 0)).kind, "malformed");
      assert.equal(decode(Uint8Array.of(0, ...bytes.subarray(1))).kind, "malformed");
    }
  }
});

Deno.test("Fields that a later version appended are passed over", () => {
  const later = Uint8Array.of(2, ...encodeNodeLoad(LOAD).subarray(1), 7, 7);
  assert.deepEqual(valueOf(decodeNodeLoad(later)), LOAD);
});

Deno.test("Measurements that are no whole numbers and names that are too long still decode", () => {
  const load = { ...LOAD, availableBytes: -1, decodeTokensPerMinute: NaN, slots: 2.7 };
  const read = valueOf(decodeNodeLoad(encodeNodeLoad(load)));
  assert.equal(read.availableBytes, 0);
  assert.equal(read.decodeTokensPerMinute, 0);
  assert.equal(read.slots, 2);
  const named = { ...FACTS, name: "é".repeat(40) + "\u001b[2J", version: "a\nb\ud800" };
  const facts = valueOf(decodeNodeFacts(encodeNodeFacts(named)));
  assert.equal(facts.name, "é".repeat(32));
  assert.equal(facts.version, "a?b\ufffd");
});

Deno.test("An HTTP address, as older nodes tell it, is passed over and not told any more", () => {
  const address = "10.0.0.1:11434";
  const bytes = encodeNodeFacts(FACTS);
  const encoded = new TextEncoder().encode(FACTS.clusterAddress);
  // Its length stands in front of the cluster's, and is 0.
  const at = findBytes(bytes, encoded) - 2;
  assert.equal(bytes[at], 0);
  const said = Uint8Array.of(address.length, ...new TextEncoder().encode(address));
  const older = Uint8Array.of(...bytes.subarray(0, at), ...said, ...bytes.subarray(at + 1));
  assert.deepEqual(valueOf(decodeNodeFacts(older)), FACTS);
});

function findBytes(bytes: Uint8Array, wanted: Uint8Array): number {
  return bytes.findIndex((_, at) => wanted.every((byte, offset) => bytes[at + offset] === byte));
}

Deno.test("A text with control characters is malformed", () => {
  const bytes = encodeNodeFacts({ ...FACTS, name: "abc" });
  const at = bytes.indexOf(0x62);
  bytes[at] = 0x1b;
  assert.equal(decodeNodeFacts(bytes).kind, "malformed");
});

Deno.test("Loaded copies beyond the limit are counted, the busiest stay", () => {
  const copies = prefixes(400).map((manifest, index) => ({
    ...COPY,
    manifest,
    name: "n".repeat(300),
    runningRequests: index === 399 ? 5 : 0,
    expiresAtMs: index === 7 ? 0 : COPY.expiresAtMs + index,
  }));
  const bytes = encodeLoadedCopies(copies);
  const read = valueOf(decodeLoadedCopies(bytes));
  assert.ok(bytes.length <= 6 * 1024);
  assert.ok(read.copies.length > 15);
  assert.equal(read.copies.length + read.omitted, 400);
  assert.equal(read.copies[0]?.manifest, copies[399]?.manifest);
  assert.equal(read.copies[1]?.manifest, copies[7]?.manifest);
  assert.equal(read.copies[0]?.name, "n".repeat(256));
});

Deno.test("An inventory of 2,500 manifests is spread over three keys and put together again", () => {
  const held = prefixes(2_500);
  const values = encodeInventory(held);
  assert.deepEqual([...values.keys()], [...INVENTORY_KEYS]);
  const read = decodeInventory(withoutDeleted(values));
  assert.deepEqual([...read.prefixes].sort(), [...held].sort());
  assert.equal(read.isComplete, true);
});

Deno.test("Devices come back as they were, cut where they are too long, and counted where they are too many", () => {
  assert.deepEqual(valueOf(decodeNodeDevices(encodeNodeDevices([DEVICE]))), {
    devices: [DEVICE],
    omitted: 0,
  });
  const crowd = Array.from({ length: 100 }, () => LONG_DEVICE);
  const bytes = encodeNodeDevices(crowd);
  assert.ok(bytes.length <= 768, `${bytes.length}`);
  const { devices, omitted } = valueOf(decodeNodeDevices(bytes));
  assert.equal(devices.length + omitted, 100);
  assert.ok(devices.length >= 4, `${devices.length}`);
  assert.equal(devices[0]?.description, "y".repeat(48));
  const short = Array.from({ length: 100 }, () => ({ ...DEVICE, description: "", driver: "" }));
  assert.equal(valueOf(decodeNodeDevices(encodeNodeDevices(short))).devices.length, 16);
  assert.equal(decodeNodeDevices(bytes.subarray(0, -1)).kind, "malformed");
});

Deno.test("Speeds come back as they were, the first 24 of many", () => {
  const models = prefixes(30).map((manifest, index) => ({
    ...{ manifest, decodeTokensPerMinute: index, prefillTokensPerMinute: 9, loadMs: 1_000 + index },
  }));
  assert.deepEqual(
    valueOf(decodeModelSpeeds(encodeModelSpeeds(models))).models,
    models.slice(0, 24),
  );
  const bytes = encodeModelSpeeds(models);
  assert.equal(decodeModelSpeeds(bytes.subarray(0, -1)).kind, "malformed");
});

/** Keys whose uses take as many bytes as any. */
function manyKeys(count: number): readonly KeyUse[] {
  const most = Number.MAX_SAFE_INTEGER;
  return Array.from({ length: count }, (_, at) => ({
    ...{ keyId: `${at}`.padStart(32, "k"), requests: most, tokens: most, running: 65_536 },
  }));
}

Deno.test("Uses of keys come back as they were, of many the first that fit into a kilobyte", () => {
  const keys = Array.from({ length: 70 }, (_, at) => ({
    ...{ keyId: `key000000${at}`, requests: 90_000, tokens: 3, running: 4 },
  }));
  const bytes = encodeKeyUses({ day: 20_000, keys });
  const { day, keys: told } = valueOf(decodeKeyUses(bytes));
  assert.equal(day, 20_000);
  assert.ok(told.length >= 50 && told.length <= 64, `${told.length}`);
  assert.deepEqual(told, keys.slice(0, told.length));
  assert.equal(decodeKeyUses(bytes.subarray(0, -1)).kind, "malformed");
});

Deno.test("A small inventory leaves the further keys deleted, and an empty one is told", () => {
  const values = encodeInventory(prefixes(3));
  assert.equal(values.get(INVENTORY_KEYS[1]), undefined);
  const nothing = decodeInventory(withoutDeleted(encodeInventory([])));
  assert.deepEqual(nothing, { prefixes: new Set(), isComplete: true });
  assert.equal(decodeInventory(new Map()).isComplete, false);
});

Deno.test("Beyond 3,000 manifests the newest are told and the inventory says that it is not complete", () => {
  const held = prefixes(3_500);
  const read = decodeInventory(withoutDeleted(encodeInventory(held)));
  assert.equal(read.prefixes.size, 3_000);
  assert.ok(held.slice(0, 3_000).every((prefix) => read.prefixes.has(prefix)));
  assert.equal(read.isComplete, false);
});

Deno.test("A damaged chunk costs its own manifests only", () => {
  const values = withoutDeleted(encodeInventory(prefixes(2_500)));
  values.set(INVENTORY_KEYS[1], Uint8Array.of(1, 2, 3));
  const read = decodeInventory(values);
  assert.equal(read.prefixes.size, 1_500);
  assert.equal(read.isComplete, false);
});

Deno.test("A chunk whose prefixes are not in rising order is malformed", () => {
  const values = withoutDeleted(encodeInventory(prefixes(2)));
  const bytes = values.get(INVENTORY_KEYS[0]) ?? new Uint8Array(0);
  const swapped = Uint8Array.of(
    ...bytes.subarray(0, 2),
    ...bytes.subarray(10, 18),
    ...bytes.subarray(2, 10),
    ...bytes.subarray(18),
  );
  assert.equal(decodeInventory(new Map([[INVENTORY_KEYS[0], swapped]])).prefixes.size, 0);
});

Deno.test("All values of a member fit what a member may publish, at their largest", () => {
  const long = "x".repeat(1_000);
  const huge = Number.MAX_SAFE_INTEGER;
  const facts = encodeNodeFacts({
    name: long,
    version: long,
    catalogueSchema: huge,
    clusterAddress: long,
    cores: huge,
    numericClass: long,
    wire: huge,
  });
  const load = encodeNodeLoad({
    runningRequests: huge,
    waitingRequests: huge,
    slots: huge,
    freeSlots: huge,
    decodeTokensPerMinute: huge,
    prefillTokensPerMinute: huge,
    availableBytes: huge,
  });
  const copies = prefixes(400).map((manifest) => ({ ...COPY, manifest, name: long }));
  const values = new Map([
    [NODE_FACTS_KEY, facts],
    [NODE_LOAD_KEY, load],
    [NODE_DISK_KEY, encodeNodeDisk({ freeBytes: Number.MAX_SAFE_INTEGER })],
    [NODE_FENCE_KEY, encodeNodeFence({ kind: long })],
    [LOADED_COPIES_KEY, encodeLoadedCopies(copies)],
    [
      MODEL_SPEEDS_KEY,
      encodeModelSpeeds(prefixes(400).map((manifest) => ({ manifest, ...FASTEST }))),
    ],
    [NODE_DEVICES_KEY, encodeNodeDevices(Array.from({ length: 100 }, () => LONG_DEVICE))],
    [KEY_USES_KEY, encodeKeyUses({ day: huge, keys: manyKeys(100) })],
    ...withoutDeleted(encodeInventory(prefixes(5_000))),
    [
      COMPUTED_PREFIXES_KEY,
      encodeComputedPrefixes(prefixes(400).map((manifest) => ({ manifest, marks: MARKS }))),
    ],
    [
      EXACT_COPIES_KEY,
      encodeExactCopies(prefixes(400).map((manifest) => ({ manifest, numericClass: long }))),
    ],
    [
      NODE_SPLIT_KEY,
      encodeNodeSplit({
        roomBytes: huge,
        bytesPerMs: huge,
        models: prefixes(400).map((manifest) => ({ manifest, shards: LONG_SHARDS })),
      }),
    ],
    [NODE_HTTP_KEY, encodeNodeHttp({ hostname: long, port: 65_535 })],
    [NODE_YIELD_KEY, encodeNodeYield({ to: long })],
  ]);
  let bytes = 0;
  for (const [key, value] of values) {
    assert.ok(value.length <= VALUE_BYTES_MAX);
    bytes += value.length + key.length + 16;
  }
  assert.equal(values.size, 16);
  assert.ok(bytes <= MEMBER_VALUES_BYTES_MAX, `${bytes}`);
});

Deno.test("The prefix of a digest is its first eight bytes", () => {
  const digest = `0123456789abcdef${"0".repeat(48)}`;
  assert.equal(manifestPrefixOf(digest), "0123456789abcdef");
});

function withoutDeleted(
  values: ReadonlyMap<string, Uint8Array | undefined>,
): Map<string, Uint8Array> {
  const present = new Map<string, Uint8Array>();
  for (const [key, value] of values) if (value !== undefined) present.set(key, value);
  return present;
}

Deno.test("A node that says nothing of the wire speaks its first version, and what says more is read by older ones", () => {
  const said = encodeNodeFacts({ ...FACTS, wire: 7 });
  assert.equal(valueOf(decodeNodeFacts(said)).wire, 7);
  // As programs before wrote it: of the first layout, without the last byte.
  const before = said.slice(0, -1);
  before[0] = 1;
  assert.deepEqual(valueOf(decodeNodeFacts(before)), { ...FACTS, wire: 1 });
  // They pass over what follows in later layouts alone.
  assert.ok((said[0] ?? 0) > 1);
});

Deno.test("Which copies are exact is read back, as many as there is room for, and never throws", () => {
  const copies = Array.from({ length: 100 }, (_, index) => ({
    manifest: index.toString(16).padStart(16, "0") as ManifestPrefix,
    numericClass: "0123456789abcdef",
  }));
  const bytes = encodeExactCopies(copies);
  assert.deepEqual(valueOf(decodeExactCopies(bytes)).copies, copies.slice(0, 64));
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeExactCopies(bytes.subarray(0, length)).kind, "malformed", `${length} bytes`);
  }
});

Deno.test("Nodes that don't say how fast they are, or what computes a part, are read all the same", () => {
  const shard = { name: "attic", firstLayer: 0, layerCount: 3, memoryBytes: 9 };
  const [manifest] = prefixes(1) as [ManifestPrefix];
  const model = { manifest, shards: [{ ...shard, device: "Vulkan0" }, { ...shard, name: "den" }] };
  const split = { roomBytes: 5_000, bytesPerMs: 0, models: [model] };
  const bytes = encodeNodeSplit(split);
  assert.deepEqual(valueOf(decodeNodeSplit(bytes)), split);
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodeNodeSplit(bytes.subarray(0, length)).kind, "malformed", `${length} bytes`);
  }
  // As they wrote it before: the devices of one model's two parts, and before that no speed, a zero of one byte.
  const second = bytes.slice(0, -(1 + 1 + 1 + "Vulkan0".length + 1));
  second[0] = 2;
  const blind = { ...split, models: [{ manifest, shards: [shard, { ...shard, name: "den" }] }] };
  assert.deepEqual(valueOf(decodeNodeSplit(second)), blind);
  const first = second.slice(0, -1);
  first[0] = 1;
  assert.deepEqual(valueOf(decodeNodeSplit(first)), blind);
  assert.equal(
    valueOf(decodeNodeSplit(encodeNodeSplit({ ...split, bytesPerMs: 9 }))).bytesPerMs,
    9,
  );
});

Deno.test("Marks of prefixes come back, 500 of all models together, and never throw", () => {
  const [one, two] = prefixes(2) as [ManifestPrefix, ManifestPrefix];
  const told = (models: Parameters<typeof encodeComputedPrefixes>[0]) =>
    valueOf(decodeComputedPrefixes(encodeComputedPrefixes(models))).models;
  assert.deepEqual(
    told([{ manifest: one, marks: [0, 0xffff_ffff] }, { manifest: two, marks: [] }]),
    [
      { manifest: one, marks: [0, 0xffff_ffff] },
    ],
  );
  assert.deepEqual(told([{ manifest: one, marks: MARKS }])[0]?.marks, MARKS.slice(0, 500));
  const both = told([one, two].map((manifest) => ({ manifest, marks: MARKS })));
  assert.deepEqual(both.map(({ marks }) => marks.length), [250, 250]);
  const value = encodeComputedPrefixes([{ manifest: one, marks: MARKS }]);
  for (let length = 0; length < 40; length++) decodeComputedPrefixes(value.slice(0, length));
});
