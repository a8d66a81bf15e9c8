import assert from "node:assert/strict";
import { Random } from "../../base/mod.ts";
import {
  type Asking,
  type ModelNeed,
  Scheduler,
  type SchedulerEffect,
  type SchedulerEvent,
} from "./mod.ts";

const SEEDS = 300;
const STEPS = 200;

/** A world that obeys the scheduler and checks its promises after every step. */
class World {
  readonly #random: Random;
  readonly #scheduler = new Scheduler({
    loadedModelsMax: 2,
    queueRequestsMax: 8,
    keepAliveMs: 50,
    reserveBytes: 10,
    cores: 4,
    threads: 0,
  });
  readonly #running = new Map<string, number>();
  readonly #open = new Set<string>();
  readonly #loading = new Set<number>();
  readonly #ready = new Map<number, { slots: number; modelKey: string }>();
  readonly #unloading = new Set<number>();
  #nowMs = 0;
  #requests = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) this.#apply(this.#chooseEvent());
    // Liveness: everything loads, ends and exits in the end, so nobody may be left waiting.
    for (let round = 0; round < 500 && this.#open.size > 0; round++) this.#settle();
    assert.equal(this.#open.size, 0, `left waiting: ${[...this.#open].join(" ")}`);
  }

  #chooseEvent(): SchedulerEvent {
    const random = this.#random;
    const choices: SchedulerEvent[] = [{ kind: "time_elapsed" }, this.#arrival(), this.#arrival()];
    const running = random.pick([...this.#open]);
    if (running !== undefined) choices.push({ kind: "request_ended", requestId: running });
    const loading = random.pick([...this.#loading]);
    if (loading !== undefined) choices.push(...this.#outcomesOfLoad(loading));
    const gone = random.pick([...this.#unloading, ...this.#ready.keys()]);
    if (gone !== undefined && (this.#unloading.has(gone) || random.chance(1, 5))) {
      choices.push({ kind: "runner_exited", instanceId: gone });
    }
    this.#nowMs += random.below(30);
    return random.pick(choices) ?? { kind: "time_elapsed" };
  }

  #outcomesOfLoad(instanceId: number): SchedulerEvent[] {
    const slots = 1 + this.#random.below(3);
    return this.#random.chance(1, 6)
      ? [{ kind: "load_failed", instanceId, message: "no" }]
      : [{ kind: "model_loaded", instanceId, memoryBytes: 20, slots }];
  }

  #arrival(): SchedulerEvent {
    const random = this.#random;
    const need: ModelNeed = {
      modelKey: `m${random.below(4)}`,
      settingsKey: `s${random.below(2)}`,
      displayName: "m",
      memoryBytes: 20 + random.below(30),
      slots: 2,
      contextTokens: 4096,
      keepAliveMs: random.pick([undefined, 0, 20, Infinity]),
    };
    const asking: Asking = {
      tenant: `t${random.below(3)}`,
      weight: 1 + random.below(3),
      priority: random.pick(["high", "normal", "low"] as const) ?? "normal",
      promptTokens: random.below(100),
      answerTokensMax: random.pick([0, 16, Infinity]) ?? 0,
      deadlineMs: random.chance(1, 4) ? this.#nowMs + random.below(200) : Infinity,
    };
    const standing = random.chance(1, 10) ? "resumed" : "fresh";
    return { kind: "request_arrived", requestId: `r${this.#requests++}`, need, standing, asking };
  }

  #settle(): void {
    this.#nowMs += 100;
    for (const id of [...this.#loading]) {
      this.#apply({ kind: "model_loaded", instanceId: id, memoryBytes: 20, slots: 1 });
    }
    for (const id of [...this.#unloading]) this.#apply({ kind: "runner_exited", instanceId: id });
    for (const id of [...this.#running.keys()]) {
      this.#apply({ kind: "request_ended", requestId: id });
    }
    this.#apply({ kind: "time_elapsed" });
  }

  #apply(event: SchedulerEvent): void {
    this.#note(event);
    for (const effect of this.#scheduler.step(event, { nowMs: this.#nowMs, availableBytes: 100 })) {
      this.#obey(effect);
    }
    for (const [instanceId, { slots }] of this.#ready) {
      const count = [...this.#running.values()].filter((id) => id === instanceId).length;
      assert.ok(count <= slots, `instance ${instanceId} runs ${count} of ${slots}`);
    }
    assert.ok(this.#loading.size <= 1, "two loads at once");
    assert.ok(
      this.#loading.size + this.#ready.size + this.#unloading.size <= 2,
      "too many loaded models",
    );
  }

  #note(event: SchedulerEvent): void {
    if (event.kind === "request_arrived") this.#open.add(event.requestId);
    if (event.kind === "request_ended") {
      this.#open.delete(event.requestId);
      this.#running.delete(event.requestId);
    }
    if (event.kind === "model_loaded") {
      this.#loading.delete(event.instanceId);
      this.#ready.set(event.instanceId, { slots: event.slots, modelKey: "" });
    }
    if (event.kind === "load_failed") this.#loading.delete(event.instanceId);
    if (event.kind === "runner_exited") this.#forget(event.instanceId);
  }

  #forget(instanceId: number): void {
    this.#unloading.delete(instanceId);
    this.#ready.delete(instanceId);
    for (const [requestId, at] of this.#running) {
      if (at !== instanceId) continue;
      this.#running.delete(requestId);
      this.#open.delete(requestId);
    }
  }

  #obey(effect: SchedulerEffect): void {
    switch (effect.kind) {
      case "load_model":
        this.#loading.add(effect.instanceId);
        break;
      case "unload_model": {
        const busy = [...this.#running.values()].includes(effect.instanceId);
        assert.ok(!busy, `instance ${effect.instanceId} unloaded while running`);
        assert.ok(this.#ready.delete(effect.instanceId), "unloaded what was not ready");
        this.#unloading.add(effect.instanceId);
        break;
      }
      case "grant_slot":
        assert.ok(this.#open.has(effect.requestId), "granted an ended request");
        assert.ok(!this.#running.has(effect.requestId), "granted twice");
        assert.ok(this.#ready.has(effect.instanceId), "granted on an instance that is not ready");
        this.#running.set(effect.requestId, effect.instanceId);
        break;
      case "refuse_request":
        assert.ok(this.#open.delete(effect.requestId), "refused an ended request");
        break;
      case "wake_at":
        assert.ok(effect.atMs >= 0, "wakes in the past");
        break;
    }
  }
}

Deno.test("Scheduler keeps its promises under random events", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      new World(seed).run();
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
