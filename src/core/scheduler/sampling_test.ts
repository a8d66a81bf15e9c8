import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import { chooseRoute, type RouteCandidate, type RouteRequest } from "./mod.ts";
import { sampleCandidates, SCORED_MAX } from "./sampling.ts";

const COUNT = 1_000;

function node(index: number, changes: Partial<RouteCandidate> = {}): RouteCandidate {
  return {
    nodeId: index.toString(16).padStart(16, "0") as NodeId,
    name: `n${index}`,
    isSelf: false,
    health: "alive",
    drained: false,
    load: {
      ...{ ageMs: 0, state: "loaded", slots: 4, freeSlots: 4, waitingRequests: 0 },
      ...{ runningRequests: 0, decodeTokensPerMinute: 0, prefillTokensPerMinute: 0 },
      availableBytes: 8e9,
    },
    sentSinceReport: 0,
    residentTokens: 0,
    ...changes,
  };
}

function asks(changes: Partial<RouteRequest> = {}): RouteRequest {
  return { promptTokens: 2_000, memoryBytes: 1e9, avoid: [], refused: [], draw: 1, ...changes };
}

function many(changes: (index: number) => Partial<RouteCandidate> = () => ({})): RouteCandidate[] {
  return Array.from({ length: COUNT }, (_, index) => node(index, changes(index)));
}

Deno.test("a choice among a thousand nodes scores 32 of them, and each of them is scored at some time", () => {
  const nodes = many();
  const seen = new Map<string, number>();
  for (let draw = 0; draw < 1_000; draw++) {
    const sample = sampleCandidates(asks({ draw: draw * 2_654_435_761 }), nodes);
    assert.ok(sample.length <= SCORED_MAX, `${sample.length}`);
    for (const { name } of sample) seen.set(name, (seen.get(name) ?? 0) + 1);
  }
  assert.equal(seen.size, COUNT);
  assert.ok(Math.max(...seen.values()) < 100, `one was seen ${Math.max(...seen.values())} times`);
});

Deno.test("who has most of a prompt, who has the model loaded, and this node itself are among those scored", () => {
  const cold = { ...node(0).load, state: "cold" } as RouteCandidate["load"];
  const nodes = many((index) => ({
    ...index % 100 !== 7 && { load: cold },
    ...index === 407 && { residentTokens: 1_900 },
    ...index === 300 && { isSelf: true },
  }));
  for (let draw = 0; draw < 50; draw++) {
    const sample = sampleCandidates(asks({ draw: draw * 99_991 }), nodes);
    const names = new Set(sample.map(({ name }) => name));
    assert.ok(names.has("n300"), "itself");
    for (let index = 7; index < COUNT; index += 100) assert.ok(names.has(`n${index}`), `n${index}`);
    assert.equal(chooseRoute(asks({ draw }), nodes).route?.name, "n407");
  }
});

Deno.test("all are scored where few could take a request, so that no sound one is overlooked", () => {
  const nodes = many((index) => index === 999 ? {} : { health: "suspect" });
  assert.equal(chooseRoute(asks(), nodes).route?.name, "n999");
  const drained = many((index) => ({ drained: index !== 500 }));
  assert.equal(chooseRoute(asks(), drained).route?.name, "n500");
  const classes = many((index) => index === 3 ? { numericClass: "c" } : {});
  assert.equal(chooseRoute(asks({ numericClass: "c" }), classes).route?.name, "n3");
  assert.equal(sampleCandidates(asks(), many(() => ({ health: "down" }))).length, COUNT);
});

Deno.test("who refused is told of, and not asked again", () => {
  const nodes = many();
  const refused = nodes.slice(0, 8).map(({ nodeId }) => ({ nodeId, reason: "full" }));
  const { route, excluded } = chooseRoute(asks({ refused }), nodes);
  assert.equal(excluded.length, 8);
  assert.ok(!refused.some(({ nodeId }) => nodeId === route?.nodeId));
});

Deno.test("equals are drawn, so that those who heard the same do not all send to one", () => {
  const random = new Random(3);
  const counts = new Map<string, number>();
  const nodes = many().slice(0, 10);
  for (let round = 0; round < 1_000; round++) {
    const name = chooseRoute(asks({ draw: random.uint32() }), nodes).route?.name ?? "";
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  assert.equal(counts.size, 10);
  for (const [name, count] of counts) assert.ok(count > 50 && count < 200, `${name} ${count}`);
});

Deno.test("the fullest of a thousand nodes is hardly ever taken, though few are looked at", () => {
  const nodes = many((index) => {
    const load = { ...node(0).load, freeSlots: index % 10 === 0 ? 1 : 0, waitingRequests: 3 };
    return { load: load as RouteCandidate["load"] };
  });
  let full = 0;
  for (let draw = 1; draw <= 500; draw++) {
    const name = chooseRoute(asks({ draw: draw * 99_991 }), nodes).route?.name ?? "";
    if (Number(name.slice(1)) % 10 !== 0) full++;
  }
  // None of 28 random ones is of the tenth that has a slot: 5 in 100.
  assert.ok(full < 50, `${full} of 500`);
});
