import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import {
  isRoomNews,
  type PlacedModel,
  type PlacementNode,
  planFetches,
  planShortages,
} from "./mod.ts";
import { PLACEMENT_DEFAULTS } from "../../../tests/harness/placement.ts";
import { placeModel } from "./placement.ts";

const OPTIONS = PLACEMENT_DEFAULTS;
const SETTLED_MS = OPTIONS.replicateAfterMs;

const nodeId = (number: number) => number.toString(16).padStart(2, "0").repeat(8) as NodeId;
const digest = (number: number) =>
  (number * 0x9e3779b1 >>> 0).toString(16).padStart(8, "0").repeat(8);

function model(number: number, changes: Partial<PlacedModel> = {}): PlacedModel {
  const manifestDigest = digest(number);
  return { manifestDigest, blobBytes: 100, replicas: 0, pins: [], ageMs: SETTLED_MS, ...changes };
}

/** A node of use that holds these models. */
function node(number: number, held: readonly number[] = [], changes: Partial<PlacementNode> = {}) {
  return {
    nodeId: nodeId(number),
    awayMs: undefined,
    reachable: true,
    freeBytes: undefined,
    held: new Set(held.map(digest)),
    ...changes,
  };
}

Deno.test("placeModel() wants two copies where there are two nodes, and prefers who has one", () => {
  assert.deepEqual(placeModel(model(1), [node(1, [1])], OPTIONS), [nodeId(1)]);
  assert.deepEqual(placeModel(model(1), [node(1, [1]), node(2)], OPTIONS), [nodeId(1), nodeId(2)]);
  for (let number = 1; number <= 50; number++) {
    const nodes = [node(1), node(2), node(3), node(4, [number]), node(5, [number])];
    assert.deepEqual(placeModel(model(number), nodes, OPTIONS), [nodeId(4), nodeId(5)]);
  }
});

Deno.test("placeModel() puts pins before everything, and counts them among the copies", () => {
  const nodes = [node(1, [1]), node(2, [1]), node(3), node(4)];
  const pins = [nodeId(3), nodeId(9)];
  assert.deepEqual(placeModel(model(1, { pins }), nodes, OPTIONS).length, 2);
  assert.ok(placeModel(model(1, { pins }), nodes, OPTIONS).includes(nodeId(3)));
  const all = nodes.map((each) => each.nodeId);
  assert.deepEqual(placeModel(model(1, { pins: all, replicas: 1 }), nodes, OPTIONS), all);
});

Deno.test("placeModel() leaves out nodes without room, drained ones and strangers", () => {
  const nodes = [
    node(1, [1]),
    node(2, [], { freeBytes: 99 }),
    node(3, [], { awayMs: 5 }),
    node(4, [], { freeBytes: 100 }),
  ];
  assert.deepEqual(placeModel(model(1), nodes, OPTIONS), [nodeId(1), nodeId(4)]);
});

Deno.test("placeModel() waits for a holder that is away, and not for one that left", () => {
  const away = (awayMs: number) => [node(1, [1]), node(2, [1], { awayMs }), node(3)];
  assert.deepEqual(placeModel(model(1), away(OPTIONS.repairAfterMs - 1), OPTIONS), [
    nodeId(1),
    nodeId(2),
  ]);
  for (const awayMs of [OPTIONS.repairAfterMs, Infinity]) {
    assert.deepEqual(placeModel(model(1), away(awayMs), OPTIONS), [nodeId(1), nodeId(3)]);
  }
});

Deno.test("placeModel() does not depend on the order of nodes", () => {
  const random = new Random(3);
  for (let round = 0; round < 200; round++) {
    const nodes = Array.from({ length: 6 }, (_, at) => node(at, random.below(3) === 0 ? [1] : []));
    const shuffled = [...nodes].sort(() => random.below(3) - 1);
    const wanted = model(1, { replicas: random.below(5) });
    assert.deepEqual(placeModel(wanted, nodes, OPTIONS), placeModel(wanted, shuffled, OPTIONS));
  }
});

Deno.test("placeModel() moves nothing when a node comes, and only what it held when one goes", () => {
  const count = 300;
  const placed = (nodes: readonly PlacementNode[]) =>
    Array.from({ length: count }, (_, number) => placeModel(model(number), nodes, OPTIONS));
  // Given models on the nodes they were placed on.
  const empty = [1, 2, 3, 4, 5].map((number) => node(number));
  const before = placed(empty);
  const holding = empty.map((each) => ({
    ...each,
    held: new Set(
      before.flatMap((ids, number) => ids.includes(each.nodeId) ? [digest(number)] : []),
    ),
  }));
  assert.deepEqual(placed(holding), before);
  // When one more comes: nothing moves.
  assert.deepEqual(placed([...holding, node(6)]), before);
  // When one goes: only its models get another holder, and all others take their share.
  const after = placed(holding.slice(1));
  const heirs = new Map<NodeId, number>();
  for (const [number, ids] of after.entries()) {
    const old = before[number] ?? [];
    const fresh = ids.filter((id) => !old.includes(id));
    assert.equal(fresh.length, old.includes(nodeId(1)) ? 1 : 0);
    for (const id of fresh) heirs.set(id, (heirs.get(id) ?? 0) + 1);
  }
  const moved = before.filter((ids) => ids.includes(nodeId(1))).length;
  assert.ok(moved > count * 0.3 && moved < count * 0.5, `${moved} of ${count} on one of five`);
  for (const share of heirs.values()) assert.ok(share < moved / 2, `${share} of ${moved}`);
  assert.equal(heirs.size, 4);
});

Deno.test("planFetches() names what this node should get: pinned first, then the smallest", () => {
  const models = [
    model(1, { blobBytes: 300 }),
    model(2, { blobBytes: 200 }),
    model(3, { blobBytes: 900, pins: [nodeId(2)], ageMs: 0 }),
    model(4, { ageMs: SETTLED_MS - 1 }),
    model(5),
  ];
  const nodes = [node(1, [1, 2, 3, 4]), node(2)];
  assert.deepEqual(planFetches(nodeId(2), { models, nodes }, OPTIONS), [
    { manifestDigest: digest(3), because: "pinned" },
    { manifestDigest: digest(2), because: "replica" },
    { manifestDigest: digest(1), because: "replica" },
  ]);
  assert.deepEqual(planFetches(nodeId(1), { models, nodes }, OPTIONS), [], "5 is nowhere");
});

Deno.test("planFetches() plans nothing for a node of no use, or from one", () => {
  const models = [model(1)];
  const gone = [node(1, [1]), node(2, [], { awayMs: 0 })];
  assert.deepEqual(planFetches(nodeId(2), { models, nodes: gone }, OPTIONS), []);
  const unreachable = [node(1, [1], { awayMs: 0, reachable: false }), node(2)];
  assert.deepEqual(planFetches(nodeId(2), { models, nodes: unreachable }, OPTIONS), []);
  assert.deepEqual(planFetches(nodeId(7), { models, nodes: unreachable }, OPTIONS), []);
});

Deno.test("planFetches() takes a model from the only holder while that is drained, and so about to go", () => {
  const nodes = [node(1, [1], { awayMs: 0 }), node(2)];
  assert.deepEqual(planFetches(nodeId(2), { models: [model(1)], nodes }, OPTIONS), [
    { manifestDigest: digest(1), because: "replica" },
  ]);
});

Deno.test("isRoomNews() tells the first figure, and changes of more than an eighth", () => {
  assert.deepEqual(
    [[undefined, 0], [800, 700], [800, 699], [800, 901], [0, 1], [0, 0]].map(([told, free]) =>
      isRoomNews(told, free ?? 0)
    ),
    [true, false, true, true, true, false],
  );
});

Deno.test("planShortages() names what lacks a copy for want of room on this node, and nothing else", () => {
  const small = node(2, [], { freeBytes: 99 });
  const short = (models: readonly PlacedModel[], nodes: readonly PlacementNode[]) =>
    planShortages(nodeId(2), { models, nodes }, OPTIONS).map(({ blobBytes }) => blobBytes);
  const models = [model(1), model(2, { blobBytes: 300 }), model(3, { blobBytes: 50 })];
  assert.deepEqual(short(models, [node(1, [1, 2, 3]), small]), [300, 100]);
  assert.deepEqual(short(models, [node(1, [1, 2, 3]), small, node(3)]), [], "another has room");
  assert.deepEqual(short(models, [node(1, [1, 2, 3]), node(2, [1, 2], { freeBytes: 0 })]), [50]);
  assert.deepEqual(short([model(1, { ageMs: 0 })], [node(1, [1]), small]), []);
  assert.deepEqual(short(models, [node(1, [1]), { ...small, awayMs: 0 }]), []);
  assert.deepEqual(short(models, [node(1, [1])]), []);
});
