import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import {
  type CandidateLoad,
  chooseRoute,
  type RouteCandidate,
  type RouteDecision,
  type RouteRequest,
} from "./mod.ts";
import { ROUTE_OPTIONS } from "./routing.ts";

const IDLE: CandidateLoad = {
  ageMs: 100,
  state: "loaded",
  slots: 4,
  freeSlots: 4,
  waitingRequests: 0,
  runningRequests: 0,
  decodeTokensPerMinute: 0,
  prefillTokensPerMinute: 0,
  availableBytes: 8e9,
};
const COLD: CandidateLoad = { ...IDLE, state: "cold", slots: 0, freeSlots: 0 };

function id(text: string): NodeId {
  return text.padStart(16, "0") as NodeId;
}

function node(name: string, changes: Partial<RouteCandidate> = {}): RouteCandidate {
  return {
    nodeId: id(name),
    name,
    isSelf: false,
    health: "alive",
    drained: false,
    load: IDLE,
    sentSinceReport: 0,
    residentTokens: 0,
    ...changes,
  };
}

function asks(changes: Partial<RouteRequest> = {}): RouteRequest {
  return { promptTokens: 20, memoryBytes: 1e9, avoid: [], refused: [], ...changes };
}

function namesOf(decision: RouteDecision): string[] {
  return [decision.route, ...decision.runnersUp].flatMap((route) => route ? [route.name] : []);
}

/** Each row: what is the case, who is asked in which order, and what the request brings. */
const TABLE: {
  readonly claim: string;
  readonly nodes: readonly RouteCandidate[];
  readonly request?: Partial<RouteRequest>;
  readonly order: readonly string[];
}[] = [
  {
    claim: "those of an exact answer's class, and of them one where it was lost before any other",
    nodes: [
      node("a", { isSelf: true }),
      node("b", { numericClass: "neon" }),
      node("c", { numericClass: "avx2", load: { ...IDLE, freeSlots: 0 } }),
      node("d", { numericClass: "avx2" }),
      node("e", { numericClass: "avx2", health: "suspect" }),
    ],
    request: { numericClass: "avx2", avoid: [id("d")] },
    order: ["c", "d", "a", "b", "e"],
  },
  {
    claim: "this node before an equal one, which costs a hop",
    nodes: [node("a"), node("b", { isSelf: true })],
    order: ["b", "a"],
  },
  {
    claim: "ties go to the lower id",
    nodes: [node("c"), node("a"), node("b")],
    order: ["a", "b", "c"],
  },
  {
    claim: "a loaded node far away before a cold one here",
    nodes: [node("a", { isSelf: true, load: COLD }), node("b")],
    order: ["b", "a"],
  },
  {
    claim: "a loading node before a cold one",
    nodes: [node("a", { load: COLD }), node("b", { load: { ...COLD, state: "loading" } })],
    order: ["b", "a"],
  },
  {
    claim: "a cold node before a loaded one with a long queue",
    nodes: [
      node("a", { load: { ...IDLE, freeSlots: 0, waitingRequests: 9, runningRequests: 4 } }),
      node("b", { load: COLD }),
    ],
    order: ["b", "a"],
  },
  {
    claim: "a cold node with room before one that must evict first",
    nodes: [node("a", { load: { ...COLD, availableBytes: 5e8 } }), node("b", { load: COLD })],
    order: ["b", "a"],
  },
  {
    claim: "a node with a free slot before a full one",
    nodes: [node("a", { load: { ...IDLE, freeSlots: 0 } }), node("b")],
    order: ["b", "a"],
  },
  {
    claim: "an idle node before one whose cores are shared",
    nodes: [node("a", { isSelf: true, load: { ...IDLE, runningRequests: 3 } }), node("b")],
    order: ["b", "a"],
  },
  {
    claim: "what was sent since the report counts as waiting",
    nodes: [node("a", { sentSinceReport: 4 }), node("b")],
    order: ["b", "a"],
  },
  {
    claim: "the faster of two for a long prompt",
    nodes: [node("a"), node("b", { load: { ...IDLE, prefillTokensPerMinute: 24_000 } })],
    request: { promptTokens: 4000 },
    order: ["b", "a"],
  },
  {
    claim: "the node that has computed the conversation so far",
    nodes: [node("a", { isSelf: true }), node("b", { residentTokens: 900 })],
    request: { promptTokens: 1000 },
    order: ["b", "a"],
  },
  {
    claim: "a node of which something is known, however old, before one of which nothing is",
    nodes: [node("a", { load: undefined }), node("b", { load: { ...COLD, ageMs: 1e9 } })],
    order: ["b", "a"],
  },
  {
    claim: "a node that lost the request before any that is drained, that before a suspect",
    nodes: [
      node("a", { health: "suspect" }),
      node("b", { drained: true }),
      node("c"),
      node("d", { load: COLD }),
    ],
    request: { avoid: [id("c")] },
    order: ["d", "c", "b", "a"],
  },
];

for (const { claim, nodes, request, order } of TABLE) {
  Deno.test(`chooseRoute() prefers: ${claim}`, () => {
    assert.deepEqual(namesOf(chooseRoute(asks(request), nodes)), order);
    assert.deepEqual(namesOf(chooseRoute(asks(request), nodes.toReversed())), order);
  });
}

Deno.test("chooseRoute() never chooses a node that is down or has refused, and says so", () => {
  const nodes = [node("c", { health: "down" }), node("a"), node("b")];
  const refused = [{ nodeId: id("a"), reason: "queue_full" }];
  const decision = chooseRoute(asks({ refused }), nodes);
  assert.deepEqual(namesOf(decision), ["b"]);
  assert.deepEqual(decision.excluded, [
    { nodeId: id("a"), name: "a", reason: "queue_full" },
    { nodeId: id("c"), name: "c", reason: "down" },
  ]);
  assert.equal(chooseRoute(asks(), [node("c", { health: "down" })]).route, undefined);
});

Deno.test("chooseRoute() wakes nobody beside a free node that was measured to be slower than is assumed", () => {
  const asleep = node("a", { health: "asleep", wakeMs: 1_000, load: undefined });
  const slow: readonly Partial<CandidateLoad>[] = [
    { decodeTokensPerMinute: 60 },
    { prefillTokensPerMinute: 60 },
    { state: "cold", loadMs: 600_000 },
  ];
  for (const changes of slow) {
    const decision = chooseRoute(asks(), [asleep, node("b", { load: { ...IDLE, ...changes } })]);
    assert.deepEqual(namesOf(decision), ["b", "a"], JSON.stringify(changes));
  }
  // Who is down is no measure: a busy node is still passed over for one that is woken.
  const down = node("c", { health: "down", load: { ...IDLE, decodeTokensPerMinute: 1 } });
  const busy = node("b", { load: { ...IDLE, freeSlots: 0, waitingRequests: 40 } });
  assert.deepEqual(namesOf(chooseRoute(asks(), [asleep, busy, down])), ["a", "b"]);
});

Deno.test("chooseRoute() wakes a node only where the others would take longer, and never one that nobody can wake", () => {
  const asleep = node("a", { health: "asleep", wakeMs: 15_000, load: undefined });
  const busy = node("b", { load: { ...IDLE, slots: 1, freeSlots: 0, waitingRequests: 1 } });
  assert.deepEqual(namesOf(chooseRoute(asks(), [asleep, node("b")])), ["b", "a"]);
  const decision = chooseRoute(asks(), [asleep, busy]);
  assert.deepEqual(namesOf(decision), ["a", "b"]);
  assert.equal(decision.route?.wakeMs, 15_000);
  assert.ok((decision.route?.expectedMs ?? 0) > 15_000, "its model is to be loaded then");
  const lost = chooseRoute(asks(), [{ ...asleep, wakeMs: undefined }]);
  assert.deepEqual(lost.excluded.map(({ reason }) => reason), ["asleep, and nobody can wake it"]);
});

Deno.test("chooseRoute() goes where a whole answer is there sooner, though its first token isn't, and not for a little speed", () => {
  const fast = { ...COLD, decodeTokensPerMinute: 6_000, loadMs: 3_000 };
  const slow = { ...IDLE, decodeTokensPerMinute: 600 };
  const choose = (load: CandidateLoad) =>
    chooseRoute(asks(), [node("a", { load: slow }), node("b", { load })]).route?.name;
  assert.equal(choose(fast), "b");
  // Loading there takes longer than the answer here.
  assert.equal(choose({ ...fast, loadMs: 60_000 }), "a");
  assert.equal(choose({ ...slow, decodeTokensPerMinute: 700 }), "a");
});

Deno.test("chooseRoute() shows what a score is made of", () => {
  const { route } = chooseRoute(asks({ promptTokens: 400 }), [node("a", { load: COLD })]);
  assert.deepEqual(route, {
    nodeId: id("a"),
    name: "a",
    isSelf: false,
    rank: "sound",
    wakeMs: 0,
    hopMs: 3,
    queueMs: 0,
    loadMs: 2400,
    moveMs: 0,
    prefillMs: 2000,
    answerMs: 11_719,
    expectedMs: 4403,
  });
});

Deno.test("a node that can fetch a prompt's beginning counts the move instead of computing it, where that is less", () => {
  const speed = { prefillTokensPerMinute: 6_000 };
  const busy = { ...IDLE, ...speed, freeSlots: 0, waitingRequests: 1, runningRequests: 4 };
  const has = node("has", { load: busy, residentTokens: 900 });
  const idle = (move?: RouteCandidate["move"]) =>
    node("idle", { load: { ...IDLE, ...speed }, move });
  const request = asks({ promptTokens: 1_000 });
  const parts = (move?: RouteCandidate["move"]) => {
    const { route } = chooseRoute(request, [idle(move)]);
    return [route?.moveMs, route?.prefillMs, route?.expectedMs];
  };
  assert.deepEqual(parts(), [0, 10_000, 10_003]);
  assert.deepEqual(parts({ savedTokens: 900, ms: 210 }), [210, 1_000, 1_213]);
  assert.deepEqual(parts({ savedTokens: 900, ms: 9_000 }), [0, 10_000, 10_003], "as long");
  assert.deepEqual(parts({ savedTokens: 900, ms: NaN }), [0, 10_000, 10_003], "senseless");
  assert.deepEqual(parts({ savedTokens: 2_000, ms: 0 }), [1, 0, 4], "no more than the prompt");
  assert.equal(chooseRoute(request, [has, idle()]).route?.name, "has");
  assert.equal(
    chooseRoute(request, [has, idle({ savedTokens: 900, ms: 210 })]).route?.name,
    "idle",
  );
});

function randomCandidate(random: Random, index: number): RouteCandidate {
  const pick = <T>(...values: readonly T[]) => values[random.below(values.length)] as T;
  const figure = () => pick(0, 1, 2, 5, 40, 1000, -3, NaN, Infinity);
  return node(String.fromCharCode(97 + index), {
    isSelf: index === 0,
    health: pick("alive", "alive", "alive", "suspect", "down"),
    drained: random.below(4) === 0,
    sentSinceReport: figure(),
    residentTokens: figure(),
    load: random.below(6) === 0 ? undefined : {
      ageMs: pick(0, 500, 14_000, 20_000, NaN),
      state: pick("loaded", "loading", "cold"),
      slots: figure(),
      freeSlots: figure(),
      waitingRequests: figure(),
      runningRequests: figure(),
      decodeTokensPerMinute: figure(),
      prefillTokensPerMinute: figure(),
      availableBytes: pick(0, 1e8, 8e9),
    },
  });
}

/** The same rules, written down a second time without any thought of order: who is beaten by nobody. */
function naiveChoice(request: RouteRequest, nodes: readonly RouteCandidate[]): NodeId | undefined {
  const sane = (value: number) => Number.isFinite(value) && value >= 1 ? Math.trunc(value) : 0;
  const o = ROUTE_OPTIONS;
  const cost = (it: RouteCandidate): number => {
    const { load } = it;
    const cap = (ms: number) => ms > 86_400_000 ? 86_400_000 : ms;
    let ms = it.isSelf ? 0 : o.hopMs;
    const sent = sane(it.sentSinceReport);
    if (load === undefined) ms += o.unknownLoadMs;
    else {
      const free = load.state === "loaded" ? sane(load.freeSlots) : 1;
      const ahead = Math.max(0, sane(load.waitingRequests) + sent + 1 - free);
      const answer = Math.ceil(
        o.answerTokens * 60_000 / (sane(load.decodeTokensPerMinute) || o.decodeTokensPerMinute),
      );
      ms += cap(Math.ceil(ahead * answer / (sane(load.slots) || 1)));
    }
    if (load?.state !== "loaded") {
      let cold = o.runnerStartMs + Math.ceil(request.memoryBytes / o.loadBytesPerMs);
      if (load?.state === "loading") cold = Math.ceil(cold / 2);
      else if (load && load.availableBytes < request.memoryBytes) cold += o.evictionMs;
      ms += cap(cold);
    }
    const tokens = Math.max(0, request.promptTokens - sane(it.residentTokens));
    const speed = (load ? sane(load.prefillTokensPerMinute) : 0) || o.prefillTokensPerMinute;
    const sharing = 1 + (load ? sane(load.runningRequests) : 0) + sent;
    return cap(ms + cap(Math.ceil(tokens * 60_000 * sharing / speed)));
  };
  const rest = ({ load }: RouteCandidate) => {
    let speed = (load ? sane(load.decodeTokensPerMinute) : 0) || o.decodeTokensPerMinute;
    for (let power = 1; power <= speed; power *= 2) if (power * 2 > speed) speed = power;
    return Math.ceil(o.answerTokens * 60_000 / speed);
  };
  const class_ = (it: RouteCandidate) =>
    it.health === "suspect" ? 3 : it.drained ? 2 : request.avoid.includes(it.nodeId) ? 1 : 0;
  const beats = (a: RouteCandidate, b: RouteCandidate) =>
    class_(a) !== class_(b)
      ? class_(a) < class_(b)
      : cost(a) + rest(a) !== cost(b) + rest(b)
      ? cost(a) + rest(a) < cost(b) + rest(b)
      : a.nodeId < b.nodeId;
  const able = nodes.filter((it) =>
    it.health !== "down" && !request.refused.some(({ nodeId }) => nodeId === it.nodeId)
  );
  return able.find((it) => able.every((other) => other === it || !beats(other, it)))?.nodeId;
}

Deno.test("chooseRoute() agrees with its naive twin and keeps its promises on random clusters", () => {
  const random = new Random(7);
  for (let round = 0; round < 3000; round++) {
    const nodes = Array.from(
      { length: random.below(6) },
      (_, index) => randomCandidate(random, index),
    );
    const some = () => nodes.filter(() => random.below(5) === 0).map(({ nodeId }) => nodeId);
    const request = asks({
      promptTokens: random.below(5000),
      memoryBytes: random.below(4e9),
      avoid: some(),
      refused: some().map((nodeId) => ({ nodeId, reason: "full" })),
    });
    const decision = chooseRoute(request, nodes);
    assert.equal(decision.route?.nodeId, naiveChoice(request, nodes), `round ${round}`);
    const named = [...namesOf(decision), ...decision.excluded.map(({ name }) => name)];
    assert.deepEqual(named.sort(), nodes.map(({ name }) => name).sort(), "each is explained once");
    const shuffled = nodes.toSorted(() => random.below(3) - 1);
    assert.deepEqual(chooseRoute(request, shuffled), decision, "the order of arrival is nothing");
    for (const route of [decision.route, ...decision.runnersUp]) {
      assert.ok(route === undefined || Number.isSafeInteger(route.expectedMs), "whole numbers");
    }
    const sound = nodes.some((it) =>
      it.health === "alive" && !it.drained && !request.avoid.includes(it.nodeId) &&
      !request.refused.some(({ nodeId }) => nodeId === it.nodeId)
    );
    if (sound) assert.equal(decision.route?.rank, "sound");
  }
});
