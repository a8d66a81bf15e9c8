import assert from "node:assert/strict";
import { InvariantError, UnavailableError } from "../base/mod.ts";
import type { MemoryShape, ModelNeed } from "../core/scheduler/mod.ts";
import type {
  Clock,
  Devices,
  Engine,
  LoadedModel,
  Log,
  Metrics,
  QueueWait,
  RequestAccount,
} from "../ports/mod.ts";
import type { DeviceFacts, LoadedFacts, LoadSettings } from "../protocol/mod.ts";
import { DeviceRooms } from "./device_rooms.ts";
import { SchedulerDriver } from "./scheduler_driver.ts";

/** A clock that stands still until told otherwise. */
class HandClock implements Clock {
  #now = 0;
  #timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
  nowMs = () => this.#now;
  monotonicMs = () => this.#now;
  after(delayMs: number, run: () => void) {
    const timer = { atMs: this.#now + delayMs, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }
  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.#now || !this.#timers.delete(timer)) continue;
      timer.run();
    }
  }
}

/** Loads at once unless told to fail or to hang; a model ends when unloaded or killed. */
class ScriptedEngine implements Engine {
  loads: LoadSettings[] = [];
  unloads = 0;
  failsWith: Error | undefined;
  /** Loads on a device fail. */
  failsOnDevices = false;
  /** What runners say of their slots; undefined = what they were asked for. */
  toldSlots: number | undefined;
  /** Runners that are unloaded live on until they are killed. */
  endsSlowly = false;
  hangs = false;
  readonly kill: (() => void)[] = [];

  load(settings: LoadSettings, options: { signal: AbortSignal }): Promise<LoadedModel> {
    this.loads.push(settings);
    if (this.failsWith !== undefined) return Promise.reject(this.failsWith);
    if (this.failsOnDevices && settings.devices?.length) {
      return Promise.reject(new UnavailableError("load_failed", "The device CUDA0 is gone"));
    }
    if (this.hangs) {
      return new Promise((_, reject) =>
        options.signal.addEventListener("abort", () => reject(options.signal.reason))
      );
    }
    const exited = Promise.withResolvers<{ expected: boolean; reason: string }>();
    this.kill.push(() => exited.resolve({ expected: false, reason: "killed" }));
    const facts: Partial<LoadedFacts> = {
      memoryBytes: 10,
      slots: this.toldSlots ?? settings.slots,
    };
    const model: Partial<LoadedModel> = {
      facts: facts as LoadedFacts,
      processId: this.loads.length,
      exited: exited.promise,
      unload: async () => {
        this.unloads++;
        if (this.endsSlowly) return;
        exited.resolve({ expected: true, reason: "stopped" });
        await exited.promise;
      },
    };
    return Promise.resolve(model as LoadedModel);
  }
}

const NO_DEVICES: Devices = { list: () => [], look: () => Promise.resolve() };

/** Next to nothing. */
const SHAPE: MemoryShape = {
  ...{ weightsBytes: 8, blockCount: 1, kvHeads: 1, keyValueLength: 1, contextTokens: 1, slots: 1 },
  ...{ batchTokens: 1, isBatchWhole: false, vocabularyTokens: 1, embeddingLength: 1 },
  kvCacheType: "f16",
};

function stage(slots = 1, devices = NO_DEVICES, memoryLimitBytes = Infinity) {
  const clock = new HandClock();
  const engine = new ScriptedEngine();
  const lines: { readonly level: string; readonly event: string }[] = [];
  const samples: { readonly name: string; readonly value: number }[] = [];
  const quiet: Log & Metrics = {
    log: (level, event) => void lines.push({ level, event }),
    increment: (name) => void samples.push({ name, value: 1 }),
    set() {},
    observe: (name, value) => void samples.push({ name, value }),
    render: () => Promise.resolve({ contentType: "", text: "" }),
  };
  const driver = new SchedulerDriver({
    engine,
    clock,
    machine: { availableBytes: () => 1e9, cores: 2 },
    devices: new DeviceRooms(devices, { reserveBytes: [0], shares: [0] }),
    kvOffload: true,
    weightOf: (tenant) => tenant === "heavy" ? 3 : 1,
    log: quiet,
    metrics: quiet,
    options: {
      loadedModelsMax: 1,
      queueRequestsMax: 2,
      keepAliveMs: 1000,
      reserveBytes: 0,
      cores: 2,
      threads: 0,
    },
    memoryLimitBytes,
    loadTimeoutMs: 500,
  });
  let requests = 0;
  const acquire = (
    model: string,
    signal = new AbortController().signal,
    requestId = `r${requests++}`,
    readMemory = () => 10,
    account?: RequestAccount,
  ) => {
    const need: ModelNeed = {
      modelKey: model,
      settingsKey: "s",
      displayName: model,
      get memoryBytes() {
        return readMemory();
      },
      slots,
      contextTokens: 100,
      keepAliveMs: undefined,
      ...(devices === NO_DEVICES ? {} : { placing: { shape: SHAPE, gpuLayers: -1 } }),
    };
    const settings = { modelPath: model, slots, threads: 0 } as LoadSettings;
    const request = { requestId, need, settings, standing: "fresh" } as const;
    return driver.acquire({ ...request, ...(account && { account }) }, signal);
  };
  return { clock, engine, driver, acquire, lines, samples };
}

/** Lets everything that is ready to run, run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

Deno.test("SchedulerDriver loads with the scheduler's threads and hands out the model", async () => {
  const { acquire, engine } = stage();
  const lease = await acquire("a");
  assert.equal(engine.loads[0]?.threads, 1);
  assert.equal(lease.model.processId, 1);
  lease.release();
});

Deno.test("SchedulerDriver unloads when the keep-alive ends on the clock", async () => {
  const { acquire, engine, clock } = stage();
  (await acquire("a")).release();
  clock.advance(999);
  assert.equal(engine.unloads, 0);
  clock.advance(1);
  await settle();
  assert.equal(engine.unloads, 1);
});

Deno.test("SchedulerDriver loads what waited for the memory of a model that ends, within its bound", async () => {
  const { acquire, engine, driver } = stage(1, NO_DEVICES, 15);
  const lease = await acquire("a");
  const waiting = acquire("b");
  lease.release();
  (await waiting).release();
  assert.equal(engine.unloads, 1);
  await driver.close();
});

Deno.test("SchedulerDriver lets wait who would fit alone, also when a runner turns out to take less than was estimated", async () => {
  const { acquire, driver } = stage(1, NO_DEVICES, 15);
  // Estimated at 14 each; the runner says 10 of itself.
  const ask = (model: string) => acquire(model, undefined, undefined, () => 14);
  const loading = ask("a");
  const waiting = ask("b");
  (await loading).release();
  (await waiting).release();
  await driver.close();
});

Deno.test("SchedulerDriver gives a waiting request the slot that a cancelled one never took", async () => {
  const { acquire } = stage();
  const first = await acquire("a");
  const abort = new AbortController();
  const cancelled = acquire("a", abort.signal);
  const waiting = acquire("a");
  abort.abort(new Error("gone"));
  await assert.rejects(cancelled, /gone/);
  first.release();
  (await waiting).release();
});

Deno.test("SchedulerDriver keeps apart the slot that a request leaves and the one that it asks for meanwhile", async () => {
  const { acquire, driver } = stage(2);
  const signal = new AbortController().signal;
  const left = await acquire("a", signal, "r");
  const next = await acquire("a", signal, "r");
  assert.equal(driver.view().running, 2);
  left.release();
  assert.equal(driver.view().running, 1);
  const abort = new AbortController();
  const full = [await acquire("a"), acquire("a", abort.signal, "r")] as const;
  abort.abort(new Error("gone"));
  await assert.rejects(full[1], /gone/);
  assert.equal(driver.view().running, 2, "what it held before is not what it waited for");
  next.release();
  full[0].release();
});

Deno.test("SchedulerDriver refuses past the queue limit", async () => {
  const { acquire } = stage();
  const waiting = [acquire("a"), acquire("a")];
  await assert.rejects(acquire("a"), { code: "queue_full", status: 503 });
  for (const lease of waiting) (await lease).release();
});

Deno.test("SchedulerDriver loads again after a runner died, also when the lease notices first", async () => {
  const { acquire, engine } = stage();
  const lease = await acquire("a");
  lease.lost();
  engine.kill[0]?.();
  (await acquire("a")).release();
  assert.equal(engine.loads.length, 2);
});

Deno.test("SchedulerDriver tells who waits why the load failed", async () => {
  const { acquire, engine } = stage();
  engine.failsWith = new Error("bad magic");
  await assert.rejects(acquire("a"), { code: "load_failed", message: "bad magic" });
});

Deno.test("SchedulerDriver begins a load again that was put off, and tells at last that it failed", async () => {
  const { acquire, engine, clock } = stage();
  engine.failsWith = new UnavailableError("queue_full", "others load with parts of each other");
  const first = acquire("a");
  await settle();
  clock.advance(249);
  await settle();
  assert.equal(engine.loads.length, 1);
  engine.failsWith = undefined;
  clock.advance(1);
  (await first).release();
  assert.equal(engine.loads.length, 2);
  engine.failsWith = new UnavailableError("queue_full", "others load with parts of each other");
  const failed = assert.rejects(acquire("b"), { code: "load_failed", message: /others load/ });
  for (let seconds = 0; seconds < 60; seconds++) {
    await settle();
    clock.advance(1_000);
  }
  await failed;
});

Deno.test("SchedulerDriver measures how long requests wait, who waits longest now, and how many loads fail", async () => {
  const { acquire, engine, clock, driver, samples } = stage();
  const valuesOf = (wanted: string) =>
    samples.flatMap(({ name, value }) => name === wanted ? [value] : []);
  const lease = await acquire("a");
  clock.advance(100);
  const second = acquire("a");
  clock.advance(3_000);
  const third = acquire("a");
  clock.advance(2_000);
  assert.equal(driver.oldestWaitMs(), 5_000);
  lease.release();
  const held = await second;
  assert.equal(driver.oldestWaitMs(), 2_000);
  held.release();
  (await third).release();
  assert.equal(driver.oldestWaitMs(), 0);
  assert.deepEqual(valuesOf("odist_queue_wait_seconds"), [0, 5, 2]);
  engine.failsWith = new Error("bad magic");
  assert.deepEqual(valuesOf("odist_model_load_failures_total"), []);
  await assert.rejects(acquire("b"), /bad magic/);
  assert.deepEqual(valuesOf("odist_model_load_failures_total"), [1]);
});

Deno.test("SchedulerDriver gives up a load that makes no progress", async () => {
  const { acquire, engine, clock } = stage();
  engine.hangs = true;
  const lease = acquire("a");
  const refused = assert.rejects(lease, /no progress for 0.5 s/);
  await settle();
  clock.advance(500);
  await refused;
});

Deno.test("SchedulerDriver loads nothing after it is closed, not even for an answer it cut", async () => {
  const { acquire, engine, driver } = stage();
  await acquire("a");
  const waiting = acquire("b");
  const refused = assert.rejects(waiting, { code: "stopping" });
  await driver.close();
  await refused;
  await assert.rejects(acquire("a"), UnavailableError);
  assert.equal(engine.loads.length, 1);
});

Deno.test("SchedulerDriver takes no runner that tells of no slot", async () => {
  const { engine, acquire } = stage();
  engine.toldSlots = 0;
  await assert.rejects(acquire("a"), { code: "load_failed", message: /0 slots/ });
  assert.equal(engine.unloads, 1);
  engine.toldSlots = undefined;
  await acquire("a");
});

Deno.test("SchedulerDriver starts over after a bug: every runner ends, who waits is told, and slots are given again", async () => {
  const { engine, driver, acquire, lines } = stage();
  engine.endsSlowly = true;
  const { signal } = new AbortController();
  await acquire("a");
  const waiting = acquire("a");
  const isTold = { name: "UnavailableError", code: "load_failed" };
  const bug = () => {
    throw new InvariantError("Planted");
  };
  await Promise.all([
    assert.rejects(waiting, isTold),
    assert.rejects(acquire("b", signal, "met", bug), isTold),
  ]);
  const broken = lines.filter(({ event }) => event === "part_broken");
  assert.deepEqual(broken, [{ level: "error", event: "part_broken" }]);
  assert.equal(engine.unloads, 1);
  await acquire("a");
  // The first runner had the number that the new one has.
  engine.kill[0]?.();
  await settle();
  assert.deepEqual(driver.view().instances.map(({ state, running }) => [state, running]), [
    ["ready", 1],
  ]);
});

const CARD: DeviceFacts = {
  ...{ name: "CUDA0", description: "d", kind: "gpu", driver: "" },
  ...{ totalBytes: 1e6, freeBytes: 1e6 },
};

/** One device, until it vanishes. */
async function withDevice() {
  const card = { isThere: true, looks: 0 };
  const list = () => card.isThere ? [CARD] : [];
  let seen: readonly DeviceFacts[] = list();
  const devices: Devices = {
    list: () => seen,
    look: () => {
      card.looks++;
      seen = list();
      return Promise.resolve();
    },
  };
  await devices.look();
  return { ...stage(1, devices), card };
}

Deno.test("SchedulerDriver lets a model lie on a device within what is free there", async () => {
  const { acquire, engine } = await withDevice();
  (await acquire("a")).release();
  assert.deepEqual(engine.loads.map(({ devices, kvOffload }) => [devices, kvOffload]), [[
    [{ name: "CUDA0", budgetBytes: 1e6 }],
    true,
  ]]);
});

Deno.test("SchedulerDriver loads on the cores what was to lie on a device that vanished", async () => {
  const { acquire, engine, card } = await withDevice();
  engine.failsOnDevices = true;
  card.isThere = false;
  const lease = await acquire("a");
  assert.deepEqual(engine.loads.map(({ devices }) => devices?.length), [1, 0]);
  lease.release();
});

Deno.test("SchedulerDriver tells why a load on a device failed that is there still, and tries it no second time", async () => {
  const { acquire, engine, card } = await withDevice();
  engine.failsOnDevices = true;
  await assert.rejects(acquire("a"), /CUDA0 is gone/);
  assert.deepEqual([engine.loads.length, card.looks], [1, 2]);
});

Deno.test("SchedulerDriver looks for devices anew when a runner on one dies", async () => {
  const { acquire, engine, card } = await withDevice();
  const lease = await acquire("a");
  card.isThere = false;
  engine.kill[0]?.();
  await settle();
  assert.equal(card.looks, 2);
  lease.lost();
  (await acquire("a")).release();
  assert.deepEqual(engine.loads.map(({ devices }) => devices?.length), [1, 0]);
});

Deno.test("SchedulerDriver serves accounts by the weights of their keys", async () => {
  const { acquire, driver, clock } = stage();
  const running = await acquire("a");
  const order: string[] = [];
  const asked = ["light", "heavy"].flatMap((tenant) =>
    Array.from({ length: 8 }, async () => {
      const account = { tenant, priority: "normal", deadlineAtMs: Infinity } as const;
      const lease = await acquire("a", undefined, undefined, undefined, account);
      order.push(tenant);
      clock.advance(100);
      lease.release();
    })
  );
  await settle();
  assert.deepEqual(
    driver.tenants().map(({ tenant, weight, waiting }) => [tenant, weight, waiting]).sort(),
    [["", 1, 0], ["heavy", 3, 8], ["light", 1, 8]],
  );
  running.release();
  await Promise.all(asked);
  // Until the heavy one has nothing left to ask for.
  assert.equal(order.slice(0, 8).filter((tenant) => tenant === "heavy").length, 6);
});

Deno.test("SchedulerDriver tells who has to wait where it stands, then and later, and for how long in the end", async () => {
  const { acquire, clock } = stage();
  const first = await acquire("a");
  clock.advance(2_000);
  first.release();
  const waits: QueueWait[] = [];
  const account = {
    ...{ tenant: "k", priority: "normal" as const, deadlineAtMs: Infinity },
    onQueued: (wait: QueueWait) => void waits.push(wait),
  };
  const ask = () => acquire("a", undefined, undefined, undefined, account);
  const running = await ask();
  assert.equal(waits.length, 0, "who has a slot at once does not wait");
  const [second, third] = [ask(), ask()];
  await settle();
  assert.deepEqual(waits.map(({ told }) => told), [
    { position: 1, etaMs: 2_000 },
    { position: 2, etaMs: 4_000 },
  ]);
  clock.advance(1_500);
  assert.deepEqual(waits[1]?.place(), { position: 2, etaMs: 2_500 });
  running.release();
  const lease = await second;
  assert.equal(waits[0]?.place(), undefined);
  clock.advance(700);
  assert.deepEqual(waits.map((wait) => wait.waitedMs()), [1_500, 2_200]);
  lease.release();
  (await third).release();
});

Deno.test("SchedulerDriver refuses what its account wants sooner than can be, and says when to come back", async () => {
  const { acquire, clock } = stage();
  const first = await acquire("a");
  clock.advance(4_000);
  first.release();
  const account = (ms: number) => ({
    ...{ tenant: "", priority: "normal" as const },
    deadlineAtMs: clock.nowMs() + ms,
  });
  const ask = (ms: number) => acquire("a", undefined, undefined, undefined, account(ms));
  (await ask(5_000)).release();
  await assert.rejects(
    ask(1_000),
    (error) =>
      error instanceof UnavailableError && error.code === "deadline_unmet" &&
      (error.retryAfterMs ?? 0) >= 1_000,
  );
});
