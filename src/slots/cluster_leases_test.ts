import assert from "node:assert/strict";
import { type NodeId, PeerError, RequestError, UnavailableError } from "../base/mod.ts";
import { PrefixBook, traceOf } from "../core/answers/mod.ts";
import type { CandidateLoad, InstanceView } from "../core/scheduler/mod.ts";
import type { LoadedModel } from "../ports/mod.ts";
import { HandClock, settle } from "../../tests/harness/hand_clock.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import type { Lease } from "./scheduler_driver.ts";
import { ClusterLeases } from "./cluster_leases.ts";
import type { Holder } from "../library/holders.ts";
import type { LeaseRequest, UnloadTarget } from "./lease.ts";
import { toldClass } from "./own_load.ts";
import { RouteJournal } from "./route_journal.ts";

const never = new AbortController().signal;
const SELF = { nodeId: "1111111111111111" as NodeId, name: "me" };

const IDLE: CandidateLoad = {
  ageMs: 100,
  state: "loaded",
  slots: 2,
  freeSlots: 2,
  waitingRequests: 0,
  runningRequests: 0,
  decodeTokensPerMinute: 0,
  prefillTokensPerMinute: 0,
  availableBytes: 1e9,
};
const COLD: CandidateLoad = { ...IDLE, state: "cold", slots: 0, freeSlots: 0 };

function holder(digit: string, changes: Partial<Holder> = {}): Holder {
  const nodeId = digit.repeat(16) as NodeId;
  const known = { name: `n${digit}`, address: `${digit}:1`, health: "alive", drained: false };
  return { nodeId, load: IDLE, ...known, ...changes } as Holder;
}

function request(changes: Partial<LeaseRequest> = {}): LeaseRequest {
  return {
    requestId: "r1",
    need: { modelKey: "generate:/m", memoryBytes: 1e6 } as LeaseRequest["need"],
    settings: { modelPath: "/m" } as LeaseRequest["settings"],
    standing: "fresh",
    promptTokens: 10,
    promptText: "",
    avoid: [],
    wanted: {
      name: "tiny",
      manifestDigest: "d",
      keepAliveMs: undefined,
      load: {},
    } as unknown as LeaseRequest["wanted"],
    label: "mine",
    ...changes,
  };
}

/** A cluster whose nodes grant unless they were told what to say. */
class Stage {
  readonly clock = new HandClock();
  readonly telemetry = new RecordingTelemetry();
  readonly journal = new RouteJournal();
  readonly asked: string[] = [];
  readonly refusals = new Map<string, Error>();
  readonly ends = new Map<string, (end: { expected: boolean; reason: string }) => void>();
  readonly unloads: string[] = [];
  /** Why a node's model sees no images; "" = it sees them. */
  readonly imageFaults = new Map<string, string>();
  holders: Holder[] = [];
  instances: Partial<InstanceView>[] = [{
    modelKey: "generate:/m",
    state: "ready",
    slots: 2,
    running: 0,
  }];
  readonly facts = new Map<string, Partial<LoadedModel["facts"]>>();
  running = 0;
  /** As moves to this node were measured. */
  readonly moves: { bytesPerMs: number | undefined } = { bytesPerMs: undefined };
  readonly computed = new PrefixBook();
  drained = false;
  /** Of the last lease elsewhere. */
  couldGoOn: (facts: LoadedModel["facts"] | undefined) => boolean = () => false;
  readonly leases: ClusterLeases;

  constructor() {
    this.leases = new ClusterLeases({
      driver: {
        acquire: (asked) => this.#grant(SELF.name, asked),
        requestUnload: ({ modelKey }) => void this.unloads.push(`me ${modelKey}`),
        view: () => ({
          instances: this.instances as InstanceView[],
          waiting: 0,
          running: this.running,
        }),
      },
      remote: {
        acquire: (peer, asked) => {
          this.couldGoOn = peer.couldGoOnElsewhere;
          return this.#grant(peer.name, asked, peer);
        },
      },
      self: SELF,
      isDrained: () => this.drained,
      moves: this.moves,
      ownFigures: () => ({
        availableBytes: 1e9,
        decodeTokensPerMinute: 0,
        prefillTokensPerMinute: 0,
        speedOf: () => ({ decodeTokensPerMinute: 0, prefillTokensPerMinute: 0, loadMs: 0 }),
        computedChars: (_, trace) => this.computed.computedChars(trace),
      }),
      holders: () => this.holders,
      supersede: () => {},
      unloadAt: (peer, model) => void this.unloads.push(`${peer.name} ${model.mode}`),
      journal: this.journal,
      clock: this.clock,
      log: this.telemetry,
      metrics: this.telemetry,
    });
  }

  async acquire(changes: Partial<LeaseRequest> = {}): Promise<string | undefined> {
    return (await this.leases.acquire(request(changes), never)).servedBy?.name;
  }

  #grant(
    name: string,
    asked: { readonly standing: string },
    servedBy?: { nodeId: NodeId; name: string },
  ): Promise<Lease> {
    this.asked.push(asked.standing === "fresh" ? name : `${name} ${asked.standing}`);
    const refusal = this.refusals.get(name);
    if (refusal !== undefined) return Promise.reject(refusal);
    const { promise, resolve } = Promise.withResolvers<{ expected: boolean; reason: string }>();
    this.ends.set(name, resolve);
    const imageFault = this.imageFaults.get(name);
    const known = this.facts.get(name);
    // A double: nothing else of it is read.
    const facts = {
      ...(imageFault === undefined ? {} : { imageFault }),
      ...known,
    } as LoadedModel["facts"];
    const model = { exited: promise, facts } as LoadedModel;
    const end = () => resolve({ expected: true, reason: "" });
    return Promise.resolve({
      model,
      loadNs: 0,
      release: end,
      lost: end,
      ...(servedBy && { servedBy }),
    });
  }
}

Deno.test("ClusterLeases of a lone node asks its own scheduler and passes on what it says", async () => {
  const stage = new Stage();
  assert.equal(await stage.acquire(), "me");
  const refusal = new UnavailableError("queue_full", "busy");
  stage.refusals.set("me", refusal);
  await assert.rejects(stage.acquire(), (error) => error === refusal);
  assert.deepEqual(stage.asked, ["me", "me"]);
});

Deno.test("ClusterLeases sends a request where its first token is expected soonest", async () => {
  const stage = new Stage();
  stage.holders = [holder("2"), holder("3", { load: COLD })];
  assert.equal(await stage.acquire(), "me");
  stage.running = 2;
  stage.instances = [{ ...stage.instances[0], running: 2 }];
  assert.equal(await stage.acquire(), "n2");
  stage.instances = [];
  assert.equal(await stage.acquire(), "n2");
});

Deno.test("ClusterLeases counts the slots it gets, by where they are", async () => {
  const stage = new Stage();
  const { samples } = stage.telemetry;
  const granted = () =>
    samples.flatMap(({ name, labels }) => name === "odist_slots_granted_total" ? labels.where : []);
  stage.holders = [holder("2")];
  await stage.acquire();
  stage.refusals.set("me", new UnavailableError("queue_full", "busy"));
  await stage.acquire();
  assert.deepEqual(granted(), ["here", "elsewhere"]);
  stage.refusals.set("n2", new UnavailableError("queue_full", "busy"));
  await assert.rejects(stage.acquire());
  assert.equal(granted().length, 2);
});

Deno.test("ClusterLeases never takes this node for a model whose blobs are not here", async () => {
  const stage = new Stage();
  stage.holders = [holder("2", { load: COLD, health: "suspect" })];
  const settings = { modelPath: "" } as LeaseRequest["settings"];
  assert.equal(await stage.acquire({ settings }), "n2");
  stage.holders = [holder("2", { health: "down" })];
  await assert.rejects(stage.acquire({ settings }), { code: "node_unreachable", status: 503 });
});

Deno.test("ClusterLeases asks the next node when one refuses, each once", async () => {
  for (
    const refusal of [
      new UnavailableError("queue_full", "busy"),
      new UnavailableError("peer_lost", "gone"),
      new UnavailableError("load_failed", "damaged"),
      new RequestError("model_too_large", "too large"),
      new RequestError("model_not_found", "not whole here"),
      new PeerError("unknown_version", "too old"),
    ]
  ) {
    const stage = new Stage();
    stage.holders = [holder("2"), holder("3")];
    stage.refusals.set("me", refusal);
    stage.refusals.set("n2", refusal);
    assert.equal(await stage.acquire({ standing: "resumed" }), "n3", refusal.code);
    assert.deepEqual(stage.asked, ["me resumed", "n2 resumed", "n3 resumed"]);
  }
});

Deno.test("ClusterLeases tells what helps most when all nodes refuse", async () => {
  const busy = new UnavailableError("queue_full", "busy");
  const large = new RequestError("model_too_large", "too large");
  const gone = new UnavailableError("peer_lost", "gone");
  for (
    const [one, two, code] of [
      [large, busy, "queue_full"],
      [gone, large, "model_too_large"],
      [gone, gone, "node_unreachable"],
    ] as const
  ) {
    const stage = new Stage();
    stage.holders = [holder("2"), holder("3")];
    stage.refusals.set("me", one);
    stage.refusals.set("n2", one);
    stage.refusals.set("n3", two);
    await assert.rejects(stage.acquire(), { code });
    // What no node holds whole, each is asked to lead over several.
    assert.equal(stage.asked.length, code === "model_too_large" ? 6 : 3);
  }
});

Deno.test("ClusterLeases passes on at once what no other node could better", async () => {
  const stage = new Stage();
  stage.holders = [holder("2")];
  stage.refusals.set("me", new RequestError("invalid_request", "bad option"));
  await assert.rejects(stage.acquire(), { code: "invalid_request" });
  assert.deepEqual(stage.asked, ["me"]);
});

Deno.test("ClusterLeases asks at most eight nodes for one slot", async () => {
  const stage = new Stage();
  stage.holders = [..."23456789abcdef"].map((digit) => holder(digit));
  for (const { name } of stage.holders) {
    stage.refusals.set(name, new UnavailableError("queue_full", "busy"));
  }
  stage.refusals.set("me", new UnavailableError("queue_full", "busy"));
  await assert.rejects(stage.acquire(), { code: "queue_full" });
  assert.equal(stage.asked.length, 8);
});

Deno.test("ClusterLeases asks nobody after the caller left", async () => {
  const stage = new Stage();
  stage.holders = [holder("2")];
  const abort = new AbortController();
  stage.refusals.set("me", new UnavailableError("queue_full", "busy"));
  const acquiring = stage.leases.acquire(request(), abort.signal);
  abort.abort(new Error("left"));
  await assert.rejects(acquiring);
  assert.deepEqual(stage.asked, ["me"]);
});

Deno.test("ClusterLeases avoids the node that lost the request, unless there is no other", async () => {
  const stage = new Stage();
  stage.holders = [holder("2")];
  assert.equal(await stage.acquire({ avoid: [SELF.nodeId] }), "n2");
  stage.holders = [];
  assert.equal(await stage.acquire({ avoid: [SELF.nodeId] }), "me");
});

Deno.test("ClusterLeases drains itself, but serves what nobody else holds", async () => {
  const stage = new Stage();
  stage.drained = true;
  assert.equal(await stage.acquire(), "me");
  stage.holders = [holder("2", { load: COLD })];
  assert.equal(await stage.acquire(), "n2");
});

Deno.test("ClusterLeases spreads a burst before the first report of it arrives", async () => {
  const stage = new Stage();
  stage.instances = [];
  stage.holders = [holder("2"), holder("3")];
  const served = [];
  for (let count = 0; count < 4; count++) served.push(await stage.acquire());
  assert.deepEqual(served.toSorted(), ["n2", "n2", "n3", "n3"]);
  // Its slots are taken now, and a report says so: what was sent before is not counted again.
  await stage.clock.advance(1_000);
  stage.holders = [holder("2", { load: { ...IDLE, ageMs: 50 } }), holder("3")];
  assert.equal(await stage.acquire(), "n2");
});

Deno.test("ClusterLeases doubts a node that lost a lease for a while, and then no more", async () => {
  const stage = new Stage();
  stage.instances = [];
  stage.holders = [holder("2"), holder("3", { load: COLD })];
  assert.equal(await stage.acquire(), "n2");
  stage.ends.get("n2")?.({ expected: false, reason: "silent" });
  await settle();
  assert.notEqual(await stage.acquire(), "n2");
  await stage.clock.advance(5_001);
  assert.equal(await stage.acquire(), "n2");
  stage.ends.get("n2")?.({ expected: true, reason: "given back" });
  await settle();
  assert.equal(await stage.acquire(), "n2");
});

Deno.test("ClusterLeases keeps each decision with its reasons and outcome", async () => {
  const stage = new Stage();
  stage.holders = [holder("2"), holder("3", { health: "down" })];
  stage.refusals.set("me", new UnavailableError("queue_full", "busy"));
  await stage.acquire();
  const records = stage.journal.find("mine");
  assert.deepEqual(records, stage.journal.find("r1"));
  assert.deepEqual(
    stage.journal.explain("mine").map(({ chosen, outcome }) => [chosen?.name, outcome]),
    records.map(({ decision, outcome }) => [decision.route?.name, outcome]),
  );
  assert.deepEqual(
    records.map(({ decision, outcome }) => [decision.route?.name, outcome]),
    [["me", "queue_full"], ["n2", "granted"]],
  );
  assert.deepEqual(
    records[1]?.decision.excluded.map(({ name, reason }) => [name, reason]),
    [["me", "queue_full"], ["n3", "down"]],
  );
});

Deno.test("ClusterLeases explains with what of the prompt was computed before, once the runner says so", async () => {
  const stage = new Stage();
  const lease = await stage.leases.acquire(request({ label: "mine" }), never);
  const told = () => stage.journal.explain("mine").map(({ outcome, reuse }) => [outcome, reuse]);
  assert.deepEqual(told(), [["granted", undefined]]);
  const reuse = {
    ...{ promptTokens: 9, matchedTokens: 8, reusedTokens: 4 },
    ...{ source: "slot", end: "uncuttable" } as const,
  };
  lease.noteReuse?.(reuse);
  assert.deepEqual(told(), [["granted", reuse]]);
});

Deno.test("RouteJournal keeps the last 512 decisions", async () => {
  const stage = new Stage();
  for (let count = 0; count < 600; count++) await stage.acquire({ requestId: `r${count}` });
  assert.equal(stage.journal.list().length, 512);
  assert.equal(stage.journal.find("r599").length, 1);
  assert.equal(stage.journal.find("r0").length, 0);
});

Deno.test("ClusterLeases unloads a model on every node that may have it", () => {
  const stage = new Stage();
  stage.holders = [holder("2"), holder("3", { health: "down" })];
  const target: UnloadTarget = { name: "m", modelKey: "k", manifestDigest: "d", mode: "embed" };
  stage.leases.requestUnload(target);
  assert.deepEqual(stage.unloads, ["me k", "n2 embed"]);
});

Deno.test("ClusterLeases goes on with a conversation where its beginning is computed", async () => {
  const stage = new Stage();
  stage.instances = [];
  stage.holders = [holder("2"), holder("3")];
  const text = "Once upon a time. ".repeat(100);
  const ask = async (promptText: string) => {
    const asked = request({ promptText, promptTokens: promptText.length / 4 });
    const lease = await stage.leases.acquire(asked, never);
    lease.release();
    await settle();
    return lease.servedBy?.name;
  };
  stage.holders = [holder("2", { drained: true }), holder("3")];
  assert.equal(await ask(text), "n3");
  stage.holders = [holder("2"), holder("3")];
  assert.equal(await ask("Something else. ".repeat(100)), "n2");
  assert.equal(await ask(`${text} And then?`), "n3");
  stage.holders = [holder("2"), holder("3", { load: COLD })];
  assert.equal(await ask(`${text} And then?`), "n2");
});

Deno.test("ClusterLeases goes where a prompt's beginning was computed for whomever, as nodes tell", async () => {
  const stage = new Stage();
  const text = "Once upon a time. ".repeat(100);
  const asked = { promptText: `${text} And then?`, promptTokens: 455 };
  const told = new PrefixBook();
  told.note(traceOf(text));
  const prefixMarks = new Set(told.marks(100));
  stage.holders = [holder("2"), holder("3", { prefixMarks })];
  assert.equal(await stage.acquire(asked), "n3");
  assert.equal(await stage.acquire({ ...asked, promptText: "x".repeat(1_800) }), "me");
  stage.holders = [holder("2"), holder("3", { prefixMarks, load: COLD })];
  stage.instances = [];
  // Its disk has it, but loading takes longer than computing.
  assert.equal(await stage.acquire({ ...asked, requestId: "r2", promptText: text }), "n2");
  const [route] = stage.journal.explain("r2");
  const cold = route?.runnersUp.find(({ name }) => name === "n3");
  assert.ok((cold?.prefillMs ?? Infinity) < 500, `${cold?.prefillMs}`);
});

Deno.test("ClusterLeases counts a move of cells only, where another node has the prompt's beginning and is busy", async () => {
  const stage = new Stage();
  stage.running = 1;
  const text = "Once upon a time. ".repeat(1_000);
  const told = new PrefixBook();
  told.note(traceOf(text));
  const load = { ...IDLE, prefillTokensPerMinute: 6_000 };
  const busy = { ...load, freeSlots: 0, waitingRequests: 1 };
  stage.holders = [
    holder("2", { load }),
    holder("3", { load: busy, prefixMarks: new Set(told.marks(100)) }),
  ];
  // 2 x 2 x 64 elements of two bytes: 512 a token.
  const shape = { blockCount: 2, kvHeads: 2, keyValueLength: 64, kvCacheType: "f16" };
  const { need } = request();
  const asked = {
    ...{ promptText: text, promptTokens: 4_500 },
    need: { ...need, placing: { shape, gpuLayers: 0 } } as LeaseRequest["need"],
  };
  assert.equal(await stage.acquire(asked), "n3");
  stage.moves.bytesPerMs = 1_000;
  assert.equal(await stage.acquire({ ...asked, requestId: "r2" }), "n2");
  const [route] = stage.journal.explain("r2");
  assert.equal(route?.chosen?.moveMs, Math.ceil(4_480 * 512 / 1_000));
});

Deno.test("ClusterLeases stays where a prompt's beginning was computed for another node", async () => {
  const stage = new Stage();
  stage.running = 0;
  const text = "Once upon a time. ".repeat(100);
  stage.computed.note(traceOf(text));
  stage.holders = [holder("2")];
  assert.equal(await stage.acquire({ promptText: text, promptTokens: 450 }), "me");
  const [route] = stage.journal.explain("r1");
  assert.ok((route?.chosen?.prefillMs ?? Infinity) < 100, `${route?.chosen?.prefillMs}`);
});

Deno.test("ClusterLeases asks a node that does not hold what it says once a minute, and names it", async () => {
  const stage = new Stage();
  stage.instances = [];
  stage.holders = [holder("2"), holder("3", { load: COLD })];
  const { nodeId } = holder("2");
  stage.refusals.set("n2", new RequestError("model_not_found", "not whole on this node"));
  for (let count = 0; count < 1_000; count++) {
    assert.notEqual(await stage.acquire(), "n2");
    await stage.clock.advance(120);
  }
  const asked = stage.asked.filter((name) => name === "n2").length;
  assert.ok(asked >= 2 && asked <= 3, `asked ${asked} times in two minutes`);
  const { samples, lines } = stage.telemetry;
  const counted = samples.filter(({ name }) => name === "odist_broken_words_total");
  assert.deepEqual(counted[0]?.labels, { peer: nodeId, reason: "model_not_found" });
  assert.equal(counted.length, asked);
  assert.equal(lines.find(({ event }) => event === "word_broken")?.values.peer, nodeId);
});

Deno.test("ClusterLeases passes over nodes that see no images, for requests that have some", async () => {
  const stage = new Stage();
  stage.holders = [holder("2"), holder("3", { load: COLD })];
  stage.imageFaults.set("me", "libmtmd is not there").set("n3", "");
  assert.equal(await stage.acquire({ hasImages: true }), "n3");
  assert.deepEqual(stage.asked, ["me", "n2", "n3"]);
  assert.equal(await stage.acquire(), "me");
  stage.imageFaults.set("n3", "a projector of another model");
  await assert.rejects(stage.acquire({ hasImages: true }), {
    code: "unsupported_capability",
    message: "the model can't be shown images: libmtmd is not there",
  });
});

Deno.test("ClusterLeases goes on with an exact answer in its class, here too where the copy is gone", async () => {
  const stage = new Stage();
  const exactness = { isExact: true } as NonNullable<LoadedModel["facts"]["exactness"]>;
  stage.holders = [holder("2"), holder("3", { numericClass: toldClass("avx2") })];
  const numericClass = "avx2";
  assert.equal(await stage.acquire({ numericClass }), "n3");
  stage.facts.set("me", { exactness, numericClass });
  assert.equal(await stage.acquire(), "me");
  stage.instances = [];
  const goesOn = { numericClass, standing: "resumed" as const, avoid: [holder("3").nodeId] };
  assert.equal(await stage.acquire(goesOn), "me");
  assert.deepEqual(stage.journal.list().map(({ exact }) => exact), [undefined, true, true]);
  stage.facts.set("me", { exactness: { ...exactness, isExact: false }, numericClass });
  await stage.acquire(goesOn);
  assert.equal(await stage.acquire(goesOn), "n3", "what was lost there comes before another class");
});

Deno.test("a lease names the node that has computed a conversation where another one is to go on with it", async () => {
  const stage = new Stage();
  stage.instances = [];
  stage.holders = [holder("2"), holder("3", { load: { ...IDLE, freeSlots: 0 } })];
  const turn = { promptText: "a long conversation ".repeat(50) };
  const lease = async (changes: Partial<LeaseRequest>) =>
    await stage.leases.acquire(request({ ...turn, ...changes }), never);
  const first = await lease({});
  assert.deepEqual([first.servedBy?.name, first.cellsAt], ["n2", undefined]);
  // It is busy by now.
  stage.holders = [
    holder("2", { load: { ...IDLE, waitingRequests: 9, freeSlots: 0 } }),
    holder("3"),
  ];
  const next = await lease({});
  assert.deepEqual([next.servedBy?.name, next.cellsAt], ["n3", ["2".repeat(16)]]);
  // Both have it now.
  assert.equal((await lease({})).cellsAt, undefined);
  const ran = "3".repeat(16) as NodeId;
  const moved = await lease({ standing: "resumed", avoid: [ran], promptText: "" });
  assert.notEqual(moved.servedBy?.nodeId, ran);
  assert.deepEqual(moved.cellsAt, [ran]);
});

Deno.test("ClusterLeases knows whether a lease could go on elsewhere by who is there then, in its class", async () => {
  const stage = new Stage();
  const settings = { modelPath: "" } as LeaseRequest["settings"];
  stage.holders = [holder("2")];
  await stage.acquire({ settings });
  assert.equal(stage.couldGoOn(undefined), false);
  stage.holders = [holder("2"), holder("3", { health: "suspect" })];
  assert.equal(stage.couldGoOn(undefined), false);
  stage.holders = [holder("2"), holder("3", { drained: true })];
  assert.equal(stage.couldGoOn(undefined), true);
  const exactness = { isExact: true } as LoadedModel["facts"]["exactness"];
  const exact = { exactness, numericClass: "a" } as LoadedModel["facts"];
  assert.equal(stage.couldGoOn(exact), false);
  stage.holders = [holder("2"), holder("3", { numericClass: toldClass("a") })];
  assert.equal(stage.couldGoOn(exact), true);
});
