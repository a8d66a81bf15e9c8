import assert from "node:assert/strict";
import {
  type Asking,
  type DeviceRoom,
  type ModelNeed,
  Scheduler,
  type SchedulerEffect,
  type SchedulerEvent,
  type SchedulerOptions,
} from "./mod.ts";

const GIB = 2 ** 30;

/** Drives one scheduler; time and memory are what the test says. */
class Stage {
  readonly scheduler: Scheduler;
  nowMs = 0;
  availableBytes = 16 * GIB;
  devices: readonly DeviceRoom[] = [];
  constructor(options: Partial<SchedulerOptions> = {}) {
    this.scheduler = new Scheduler({
      loadedModelsMax: 3,
      queueRequestsMax: 512,
      keepAliveMs: 300_000,
      reserveBytes: GIB,
      cores: 2,
      threads: 0,
      ...options,
    });
  }
  step(event: SchedulerEvent): readonly SchedulerEffect[] {
    const { nowMs, availableBytes, devices } = this;
    return this.scheduler.step(event, { nowMs, availableBytes, devices });
  }
  arrive(requestId: string, need: ModelNeed, standing: "fresh" | "resumed" = "fresh") {
    return this.step({ kind: "request_arrived", requestId, need, standing });
  }
  ask(requestId: string, asking: Partial<Asking>, of = need("a")) {
    return this.step({
      ...{ kind: "request_arrived", requestId, need: of, standing: "fresh" },
      asking: {
        ...{ tenant: "", weight: 1, priority: "normal", promptTokens: 0 },
        ...{ answerTokensMax: Infinity, deadlineMs: Infinity },
        ...asking,
      },
    });
  }
  end(requestId: string) {
    return this.step({ kind: "request_ended", requestId });
  }
  loaded(instanceId: number, slots = 1) {
    return this.step({ kind: "model_loaded", instanceId, memoryBytes: GIB, slots });
  }
  exited(instanceId: number) {
    return this.step({ kind: "runner_exited", instanceId });
  }
  advance(ms: number) {
    this.nowMs += ms;
    return this.step({ kind: "time_elapsed" });
  }
}

function need(model: string, changes: Partial<ModelNeed> = {}): ModelNeed {
  return {
    modelKey: model,
    settingsKey: "ctx=4096",
    displayName: `${model}:latest`,
    memoryBytes: GIB,
    slots: 1,
    contextTokens: 4096,
    keepAliveMs: undefined,
    ...changes,
  };
}

const kinds = (effects: readonly SchedulerEffect[]) => effects.map(({ kind }) => kind);
const granted = (effects: readonly SchedulerEffect[]) =>
  effects.flatMap((effect) => effect.kind === "grant_slot" ? [effect.requestId] : []);
const loads = (effects: readonly SchedulerEffect[]) =>
  effects.flatMap((effect) => effect.kind === "load_model" ? [effect.need.modelKey] : []);
const unloads = (effects: readonly SchedulerEffect[]) =>
  effects.flatMap((effect) =>
    effect.kind === "unload_model" ? [[effect.instanceId, effect.why]] : []
  );

Deno.test("Scheduler loads a model on the first request and grants it when loaded", () => {
  const stage = new Stage();
  assert.deepEqual(loads(stage.arrive("r1", need("a"))), ["a"]);
  assert.deepEqual(granted(stage.loaded(1)), ["r1"]);
});

Deno.test("Scheduler grants a loaded model at once", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  stage.end("r1");
  assert.deepEqual(granted(stage.arrive("r2", need("a"))), ["r2"]);
});

Deno.test("Scheduler never runs more requests than slots and serves them in order", () => {
  const stage = new Stage();
  for (const id of ["r1", "r2", "r3", "r4"]) stage.arrive(id, need("a", { slots: 2 }));
  assert.deepEqual(granted(stage.loaded(1, 2)), ["r1", "r2"]);
  assert.deepEqual(granted(stage.end("r2")), ["r3"]);
  assert.deepEqual(granted(stage.end("r1")), ["r4"]);
});

Deno.test("Scheduler refuses past the queue limit with both figures", () => {
  const stage = new Stage({ queueRequestsMax: 1 });
  stage.arrive("r1", need("a"));
  const [refusal] = stage.arrive("r2", need("a"));
  assert.deepEqual(refusal, {
    kind: "refuse_request",
    requestId: "r2",
    refusal: { kind: "queue_full", waiting: 1, limit: 1 },
  });
});

Deno.test("Scheduler lets any number wait at a loaded model, and counts them not as the queue", () => {
  const stage = new Stage({ queueRequestsMax: 2 });
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  for (const id of ["r2", "r3", "r4", "r5"]) assert.deepEqual(stage.arrive(id, need("a")), []);
  // A load waits in the queue behind none of them, and only loads fill it.
  assert.deepEqual(loads(stage.arrive("r6", need("b"))), ["b"]);
  assert.deepEqual(stage.arrive("r7", need("c")), []);
  assert.deepEqual(kinds(stage.arrive("r8", need("d"))), ["refuse_request"]);
  assert.deepEqual(stage.arrive("r9", need("a")), []);
  for (const [ended, next] of [["r1", "r2"], ["r2", "r3"], ["r3", "r4"], ["r4", "r5"]] as const) {
    assert.deepEqual(granted(stage.end(ended)), [next]);
  }
});

Deno.test("Scheduler bounds those who wait at a loaded model, too", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  const refusals = Array.from({ length: 16_385 }, (_, at) => stage.arrive(`w${at}`, need("a")))
    .flat();
  assert.deepEqual(refusals, [{
    kind: "refuse_request",
    requestId: "w16384",
    refusal: { kind: "queue_full", waiting: 16_384, limit: 16_384 },
  }]);
});

Deno.test("Scheduler takes a resumed request past the queue limit and ahead of others", () => {
  const stage = new Stage({ queueRequestsMax: 1 });
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  stage.arrive("r2", need("a"));
  stage.exited(1);
  assert.deepEqual(kinds(stage.arrive("r1", need("a"), "resumed")), []);
  assert.deepEqual(granted(stage.loaded(2)), ["r1"]);
});

Deno.test("Scheduler loads again after a runner died under waiting requests", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  stage.arrive("r2", need("a"));
  assert.deepEqual(loads(stage.exited(1)), ["a"]);
});

Deno.test("Scheduler unloads an idle model when its keep-alive ends, and not before", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a", { keepAliveMs: 1000 }));
  stage.loaded(1);
  const effects = stage.end("r1");
  assert.deepEqual(effects, [{ kind: "wake_at", atMs: 1000 }]);
  assert.deepEqual(stage.advance(999), []);
  assert.deepEqual(unloads(stage.advance(1)), [[1, "expired"]]);
});

Deno.test("Scheduler keeps the instance's keep-alive for a request without one", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a", { keepAliveMs: 600_000 }));
  stage.loaded(1);
  stage.end("r1");
  stage.arrive("r2", need("a"));
  stage.end("r2");
  assert.equal(stage.scheduler.view().instances[0]?.keepAliveMs, 600_000);
});

Deno.test("Scheduler never unloads a model with an endless keep-alive", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a", { keepAliveMs: Infinity }));
  stage.loaded(1);
  assert.deepEqual(stage.end("r1"), []);
  assert.deepEqual(stage.advance(1e12), []);
});

Deno.test("Scheduler unloads at once on keep_alive 0, after the running request", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  assert.deepEqual(unloads(stage.step({ kind: "unload_requested", modelKey: "a" })), []);
  assert.deepEqual(unloads(stage.end("r1")), [[1, "expired"]]);
});

Deno.test("Scheduler evicts the idle model with the shortest keep-alive at the model limit", () => {
  const stage = new Stage({ loadedModelsMax: 2 });
  stage.arrive("r1", need("a", { keepAliveMs: 9000 }));
  stage.loaded(1);
  stage.end("r1");
  stage.arrive("r2", need("b", { keepAliveMs: 5000 }));
  stage.loaded(2);
  stage.end("r2");
  assert.deepEqual(unloads(stage.arrive("r3", need("c"))), [[2, "evicted"]]);
  assert.deepEqual(loads(stage.exited(2)), ["c"]);
});

Deno.test("Scheduler never cuts a running request to make room, and starves no load", () => {
  const stage = new Stage({ loadedModelsMax: 1 });
  stage.arrive("r1", need("a"));
  stage.loaded(1, 2);
  assert.deepEqual(unloads(stage.arrive("r2", need("b"))), []);
  // A steady stream for the old model must not hold the new one up for ever.
  assert.deepEqual(granted(stage.arrive("r3", need("a"))), []);
  assert.deepEqual(unloads(stage.end("r1")), [[1, "evicted"]]);
  assert.deepEqual(loads(stage.exited(1)), ["b"]);
  assert.deepEqual(granted(stage.loaded(2)), ["r2"]);
  assert.deepEqual(unloads(stage.end("r2")), [[2, "evicted"]]);
});

Deno.test("Scheduler evicts until a model fits into free memory", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  stage.end("r1");
  stage.availableBytes = 2 * GIB;
  assert.deepEqual(unloads(stage.arrive("r2", need("b", { memoryBytes: 2 * GIB }))), [[
    1,
    "evicted",
  ]]);
  stage.availableBytes = 3 * GIB;
  assert.deepEqual(loads(stage.exited(1)), ["b"]);
});

Deno.test("Scheduler refuses a model that can't fit into an empty machine, with the figures", () => {
  const stage = new Stage();
  stage.availableBytes = 4 * GIB;
  const [effect] = stage.arrive("r1", need("a", { memoryBytes: 8 * GIB }));
  assert.deepEqual(effect, {
    kind: "refuse_request",
    requestId: "r1",
    refusal: {
      kind: "does_not_fit",
      neededBytes: 8 * GIB,
      availableBytes: 4 * GIB,
      reserveBytes: GIB,
    },
  });
});

Deno.test("Scheduler reloads for other load options once the instance is idle", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  assert.deepEqual(unloads(stage.arrive("r2", need("a", { settingsKey: "ctx=8192" }))), []);
  assert.deepEqual(unloads(stage.end("r1")), [[1, "reload"]]);
  assert.deepEqual(loads(stage.exited(1)), ["a"]);
  assert.deepEqual(granted(stage.loaded(2)), ["r2"]);
});

Deno.test("Scheduler loads one model at a time while loaded ones go on serving", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  stage.end("r1");
  assert.deepEqual(loads(stage.arrive("r2", need("b"))), ["b"]);
  assert.deepEqual(loads(stage.arrive("r3", need("c"))), []);
  assert.deepEqual(granted(stage.arrive("r4", need("a"))), ["r4"]);
  assert.deepEqual(loads(stage.loaded(2)), ["c"]);
});

Deno.test("Scheduler tells every request that waits for a load that failed", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.arrive("r2", need("a"));
  stage.arrive("r3", need("b"));
  const effects = stage.step({ kind: "load_failed", instanceId: 1, message: "bad magic" });
  assert.deepEqual(kinds(effects), ["refuse_request", "refuse_request", "load_model"]);
});

Deno.test("Scheduler forgets a request cancelled while waiting", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.end("r1");
  assert.deepEqual(granted(stage.loaded(1)), []);
});

Deno.test("Scheduler refuses fresh requests while stopping and finishes the running ones", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  stage.step({ kind: "stop_requested" });
  assert.deepEqual(kinds(stage.arrive("r2", need("a"))), ["refuse_request"]);
  assert.equal(stage.scheduler.view().running, 1);
});

Deno.test("Scheduler gives a second runner its share of the threads, never none", () => {
  const stage = new Stage({ cores: 9 });
  const first = stage.arrive("r1", need("a"));
  stage.loaded(1);
  const second = stage.arrive("r2", need("b"));
  assert.deepEqual(
    [...first, ...second].flatMap((effect) => effect.kind === "load_model" ? [effect.threads] : []),
    [8, 4],
  );
});

Deno.test("No model without a slot counts as loaded: who waits for one would wait for ever", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  assert.throws(() => stage.loaded(1, 0), { name: "InvariantError" });
});

Deno.test("Scheduler loads a model over several nodes only where it can't be here whole, or is asked to", () => {
  const rows = [
    // Whole, its own part, when it may be split, and what comes of it.
    [4, 2, "if_too_large", { isSplit: false }],
    [40, 2, "if_too_large", { isSplit: true }],
    [4, 2, "always", { isSplit: true }],
    [40, 30, "if_too_large", { neededBytes: 30 * GIB }],
    [4, 30, "always", { neededBytes: 30 * GIB }],
  ] as const;
  for (const [whole, own, when, wanted] of rows) {
    const stage = new Stage();
    const split = { ownBytes: own * GIB, when };
    const [effect] = stage.arrive("a", need("m", { memoryBytes: whole * GIB, split }));
    if (effect?.kind === "refuse_request" && effect.refusal.kind === "does_not_fit") {
      assert.deepEqual({ neededBytes: effect.refusal.neededBytes }, wanted);
    } else {
      assert.ok(effect?.kind === "load_model");
      assert.deepEqual({ isSplit: effect.isSplit }, wanted);
      const [instance] = stage.scheduler.view().instances;
      assert.equal(instance?.memoryBytes, (effect.isSplit ? own : whole) * GIB);
    }
  }
});

Deno.test("Scheduler gives a model that is split to requests that would not split it", () => {
  const stage = new Stage();
  const split = { ownBytes: GIB, when: "if_too_large" } as const;
  stage.arrive("a", need("m", { memoryBytes: 40 * GIB, split }));
  stage.loaded(1, 2);
  assert.deepEqual(granted(stage.arrive("b", need("m", { memoryBytes: 40 * GIB }))), ["b"]);
});

Deno.test("Scheduler takes what the part of a split model lies on of its device, and has idle models make room there", () => {
  const stage = new Stage();
  stage.devices = [{ name: "CUDA0", roomBytes: 10 * GIB, isShared: false }];
  const split = (bytes: number) => ({
    split: { ownBytes: GIB, when: "always" as const, device: { name: "CUDA0", bytes } },
  });
  const [first] = stage.arrive("a", need("m", split(6 * GIB)));
  assert.ok(first?.kind === "load_model");
  assert.deepEqual(first.devices.map(({ name, bytes }) => [name, bytes]), [["CUDA0", 6 * GIB]]);
  stage.step({
    ...{ kind: "model_loaded", instanceId: 1, memoryBytes: 7 * GIB, hostBytes: GIB, slots: 1 },
    devices: [{ name: "CUDA0", bytes: 6 * GIB }],
  });
  assert.deepEqual(kinds(stage.arrive("b", need("n", split(5 * GIB)))), []);
  assert.deepEqual(unloads(stage.end("a")).map(([id]) => id), [1]);
  assert.deepEqual(loads(stage.exited(1)), ["n"]);
  stage.step({
    ...{ kind: "model_loaded", instanceId: 2, memoryBytes: 6 * GIB, hostBytes: GIB, slots: 1 },
    devices: [{ name: "CUDA0", bytes: 5 * GIB }],
  });
  // Beside it there is room.
  assert.deepEqual(loads(stage.arrive("c", need("o", split(5 * GIB)))), ["o"]);
});

/** A model of `gib` on a device. */
function large(model: string, gib: number, changes: Partial<ModelNeed> = {}): ModelNeed {
  const shape = {
    ...{ weightsBytes: gib * GIB, blockCount: 32, kvHeads: 8, keyValueLength: 256 },
    ...{ contextTokens: 4096, slots: 1, batchTokens: 512, isBatchWhole: false },
    ...{ vocabularyTokens: 32_000, embeddingLength: 4096, kvCacheType: "f16" as const },
  };
  const placing = { shape, gpuLayers: -1 };
  return need(model, { memoryBytes: gib * GIB, placing, ...changes });
}
const GPU: DeviceRoom = { name: "CUDA0", roomBytes: 24 * GIB, isShared: false };
const plansOf = (effects: readonly SchedulerEffect[]) =>
  effects.flatMap((effect) => effect.kind === "load_model" ? [effect.devices] : []);

Deno.test("Scheduler loads on a GPU what the machine's own memory could never hold", () => {
  const stage = new Stage();
  assert.deepEqual(kinds(stage.arrive("r0", large("a", 20))), ["refuse_request"]);
  stage.devices = [GPU];
  const [devices = []] = plansOf(stage.arrive("r1", large("a", 20)));
  assert.deepEqual(devices.map(({ name, budgetBytes }) => [name, budgetBytes]), [[
    "CUDA0",
    24 * GIB,
  ]]);
  stage.loaded(1);
  const refused = stage.arrive("r2", large("b", 60));
  assert.deepEqual(kinds(refused), ["refuse_request"]);
});

Deno.test("Scheduler gives a second model what the first one leaves of a GPU, by what it took in the end", () => {
  const stage = new Stage();
  stage.devices = [GPU];
  stage.arrive("r1", large("a", 8));
  const devices = [{ name: "CUDA0", bytes: 10 * GIB }];
  const loaded = { memoryBytes: 10 * GIB, hostBytes: GIB, devices, slots: 1 };
  stage.step({ kind: "model_loaded", instanceId: 1, ...loaded });
  assert.deepEqual(stage.scheduler.view().instances[0]?.devices, devices);
  const [next = []] = plansOf(stage.arrive("r2", large("b", 4)));
  assert.equal(next[0]?.budgetBytes, 14 * GIB);
});

Deno.test("Scheduler evicts an idle model for layers on a GPU, shares it with a busy one, and lets be who takes none of it", () => {
  const stage = new Stage();
  stage.devices = [GPU];
  stage.arrive("r1", large("a", 16));
  const devices = [{ name: "CUDA0", bytes: 18 * GIB }];
  const took = { memoryBytes: 18 * GIB, hostBytes: GIB, devices, slots: 1 };
  stage.step({ kind: "model_loaded", instanceId: 1, ...took });
  stage.arrive("s1", need("small"));
  stage.loaded(2);
  stage.end("s1");
  // Busy: what is left of the device has to do.
  const [partly = []] = plansOf(stage.arrive("r2", large("b", 10)));
  assert.equal(partly[0]?.budgetBytes, 6 * GIB);
  stage.step({ kind: "load_failed", instanceId: 3, message: "" });
  stage.end("r1");
  assert.deepEqual(unloads(stage.arrive("r3", large("b", 10))), [[1, "evicted"]]);
  const [whole = []] = plansOf(stage.exited(1));
  assert.equal(whole[0]?.budgetBytes, 24 * GIB);
});

Deno.test("Scheduler refuses a GPU that isn't there, with those that are", () => {
  const stage = new Stage();
  stage.devices = [GPU];
  const { placing } = large("a", 4);
  assert.ok(placing !== undefined);
  const [refusal] = stage.arrive("r1", need("a", { placing: { ...placing, mainGpu: 1 } }));
  assert.deepEqual(refusal, {
    kind: "refuse_request",
    requestId: "r1",
    refusal: { kind: "no_such_device", wanted: 1, present: ["CUDA0"] },
  });
  stage.devices = [];
  assert.deepEqual(
    loads(stage.arrive("r2", need("a", { placing: { ...placing, mainGpu: 1 } }))),
    ["a"],
  );
});

const exactly = (isExact: boolean, isPossible = true) => ({
  exactness: { isExact, isPossible, reason: isExact ? "" : "its logits depend on the batch" },
});
const loadedAs = (instanceId: number, exactness: ReturnType<typeof exactly>) => ({
  kind: "model_loaded" as const,
  ...{ instanceId, memoryBytes: GIB, slots: 1 },
  ...exactness,
});
const mustBeExact = need("a", { mustBeExact: true });

Deno.test("Scheduler lets those that want it exact have a copy that turned out to be, and others any", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.arrive("r2", mustBeExact);
  assert.deepEqual(granted(stage.step(loadedAs(1, exactly(true)))), ["r1"]);
  assert.deepEqual(granted(stage.end("r1")), ["r2"]);
  stage.end("r2");
  assert.deepEqual(granted(stage.arrive("r3", need("a"))), ["r3"]);
});

Deno.test("Scheduler loads a copy again for those that want it exact, and keeps it for all", () => {
  const stage = new Stage();
  stage.arrive("r1", mustBeExact);
  stage.exited(1);
  stage.end("r1");
  stage.arrive("r2", need("a"));
  stage.step(loadedAs(2, exactly(false)));
  stage.arrive("r3", mustBeExact);
  assert.deepEqual(unloads(stage.end("r2")), [[2, "reload"]]);
  const reload = stage.exited(2);
  assert.deepEqual(loads(reload), ["a"]);
  const [effect] = reload;
  assert.ok(effect?.kind === "load_model" && effect.need.mustBeExact === true);
  assert.deepEqual(granted(stage.step(loadedAs(3, exactly(true)))), ["r3"]);
  stage.end("r3");
  assert.deepEqual(granted(stage.arrive("r4", need("a"))), ["r4"]);
});

Deno.test("Scheduler refuses what can't be exact without taking the copy from others", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.step(loadedAs(1, exactly(false, false)));
  const effects = stage.arrive("r2", mustBeExact);
  assert.deepEqual(effects.map((effect) => effect.kind === "refuse_request" && effect.refusal), [
    { kind: "load_failed", message: "not exact: its logits depend on the batch" },
  ]);
  assert.deepEqual(granted(stage.end("r1")), []);
  assert.deepEqual(granted(stage.arrive("r3", need("a"))), ["r3"]);
});

Deno.test("Scheduler fails a load that had to be exact for those alone that wanted it so", () => {
  const stage = new Stage();
  stage.arrive("r1", mustBeExact);
  stage.arrive("r2", need("a"));
  const failed = stage.step({ kind: "load_failed", instanceId: 1, message: "not exact" });
  assert.deepEqual(kinds(failed), ["refuse_request", "load_model"]);
  assert.deepEqual(granted(stage.loaded(2)), ["r2"]);
});

/** A model with one slot that r1 holds, of which requests take a second. */
function measuredStage(options: Partial<SchedulerOptions> = {}): Stage {
  const stage = new Stage(options);
  stage.arrive("r0", need("a"));
  stage.loaded(1);
  stage.nowMs += 1_000;
  stage.end("r0");
  stage.arrive("r1", need("a"));
  return stage;
}

Deno.test("Scheduler tells who waits how many come before and how long that takes, by what it measured", () => {
  const stage = measuredStage();
  for (const id of ["a1", "a2", "a3"]) stage.ask(id, { tenant: "a" });
  stage.ask("b1", { tenant: "b" });
  const place = (id: string) => stage.scheduler.placeOf(id, stage.nowMs);
  assert.deepEqual(place("a1"), { position: 1, etaMs: 1_000 });
  assert.deepEqual(place("a3"), { position: 4, etaMs: 4_000 });
  stage.advance(600);
  assert.deepEqual(place("a1"), { position: 1, etaMs: 400 });
  assert.equal(place("r1"), undefined);
  assert.deepEqual(
    stage.scheduler.tenants().map(({ tenant, waiting, running }) => [tenant, waiting, running]),
    [["a", 3, 0], ["b", 1, 0], ["", 0, 1]],
  );
});

Deno.test("Scheduler says nothing of how long others take before it measured any", () => {
  const stage = new Stage();
  stage.arrive("r1", need("a"));
  stage.loaded(1);
  stage.arrive("r2", need("a"));
  assert.deepEqual(stage.scheduler.placeOf("r2", 0), { position: 1, etaMs: undefined });
});

Deno.test("Scheduler refuses at once what can't be whole in time, and drops what waited past the time to begin", () => {
  const stage = measuredStage();
  const inMs = (ms: number) => ({ deadlineMs: stage.nowMs + ms });
  assert.deepEqual(stage.ask("late", inMs(1_900)), [{
    kind: "refuse_request",
    requestId: "late",
    refusal: { kind: "too_late", neededMs: 2_000, leftMs: 1_900 },
  }]);
  const wakes = stage.ask("soon", inMs(2_100));
  // Its answer takes a second, which it must begin by then.
  assert.deepEqual(wakes, [{ kind: "wake_at", atMs: stage.nowMs + 1_100 }]);
  stage.advance(1_000);
  assert.deepEqual(kinds(stage.advance(110)), ["refuse_request"]);
  assert.deepEqual(granted(stage.end("r1")), []);
});

Deno.test("Scheduler gives no slot to what could not use it in time, but to the next", () => {
  const stage = measuredStage();
  stage.ask("soon", { deadlineMs: stage.nowMs + 2_500 });
  stage.arrive("next", need("a"));
  stage.nowMs += 2_000;
  const effects = stage.end("r1");
  assert.deepEqual(kinds(effects), ["refuse_request", "grant_slot"]);
  assert.deepEqual(granted(effects), ["next"]);
});

Deno.test("Scheduler has a place for each key's first request where another's fill the queue", () => {
  const stage = new Stage({ queueRequestsMax: 2 });
  for (const id of ["a1", "a2"]) stage.ask(id, { tenant: "a" });
  assert.deepEqual(kinds(stage.ask("a3", { tenant: "a" })), ["refuse_request"]);
  assert.deepEqual(stage.ask("b1", { tenant: "b" }), []);
  assert.deepEqual(kinds(stage.ask("b2", { tenant: "b" })), ["refuse_request"]);
  assert.deepEqual(granted(stage.loaded(1)), ["a1"]);
  assert.deepEqual(granted(stage.end("a1")), ["b1"]);
});

Deno.test("Scheduler lets what runs on a model that is to move go on, and loads it anew for what comes", () => {
  const stage = new Stage();
  stage.arrive("a", need("m", { slots: 2 }));
  stage.loaded(1, 2);
  stage.step({ kind: "move_requested", instanceId: 1 });
  assert.deepEqual(
    kinds(stage.arrive("b", need("m", { slots: 2 }))),
    [],
    "it waits for another one",
  );
  assert.deepEqual(unloads(stage.end("a")).map(([id]) => id), [1]);
  assert.deepEqual(loads(stage.exited(1)), ["m"]);
  assert.deepEqual(granted(stage.loaded(2, 2)), ["b"]);
});

Deno.test("Scheduler unloads an idle model that is to move at once", () => {
  const stage = new Stage();
  stage.arrive("a", need("m", { keepAliveMs: Infinity }));
  stage.loaded(1);
  stage.end("a");
  assert.deepEqual(
    unloads(stage.step({ kind: "move_requested", instanceId: 1 })).map(([id]) => id),
    [1],
  );
});
