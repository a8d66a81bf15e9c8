import assert from "node:assert/strict";
import { Random } from "../../base/mod.ts";
import { type ModelNeed, Scheduler, type SchedulerEffect, type SchedulerEvent } from "./mod.ts";

const SEEDS = 100;
const REQUESTS = 12;
const STEP_MS = 50;
const START_MS = 200;
const LOAD_MS = 500;
const ANSWER_MS = 300;
/** Longer than the longest load and all that may come before it, and shorter than any patience. */
const WAIT_MS_MAX = 15_000;

interface Later {
  readonly atMs: number;
  readonly act: () => void;
}

/** A model that a node leads, with a part on one other node. */
interface Led {
  readonly instanceId: number;
  readonly worker: number;
  readonly partId: string;
}

/** Nodes of which none holds a model alone, and requests that come to all of them at once. */
class World {
  readonly #random: Random;
  readonly #nodes: Scheduler[];
  readonly #led: (Led | undefined)[];
  readonly #later: Later[] = [];
  /** Models, by where they began to wait. */
  readonly #waiting = new Map<string, { readonly model: number; readonly sinceMs: number }>();
  readonly refusals = new Map<string, number>();
  #nowMs = 0;
  #asked = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    const count = 2 + this.#random.below(4);
    this.#led = Array.from({ length: count }, () => undefined);
    this.#nodes = Array.from({ length: count }, () =>
      new Scheduler({
        ...{ loadedModelsMax: 3, queueRequestsMax: 64, keepAliveMs: Infinity, reserveBytes: 0 },
        ...{ cores: 1, threads: 1 },
      }));
  }

  run(): void {
    for (let count = 0; count < REQUESTS; count++) {
      const atMs = this.#random.below(4) * 700;
      const node = this.#random.below(this.#nodes.length);
      const model = this.#random.below(2);
      this.#later.push({ atMs, act: () => this.#ask(node, model) });
    }
    while (this.#later.length > 0 || this.#waiting.size > 0) {
      this.#nowMs += STEP_MS;
      for (const { act } of this.#takeDue()) act();
      for (const node of this.#nodes.keys()) {
        this.#step(node, { kind: "time_elapsed" });
        this.#tellLeaders(node);
      }
      for (const [requestId, { sinceMs }] of this.#waiting) {
        assert.ok(this.#nowMs - sinceMs < WAIT_MS_MAX, `${requestId} waits for ever`);
      }
    }
  }

  #takeDue(): readonly Later[] {
    const due = this.#later.filter(({ atMs }) => atMs <= this.#nowMs);
    for (const later of due) this.#later.splice(this.#later.indexOf(later), 1);
    return due;
  }

  #after(ms: number, act: () => void): void {
    this.#later.push({ atMs: this.#nowMs + ms, act });
  }

  #ask(node: number, model: number): void {
    const requestId = `request ${++this.#asked}`;
    this.#waiting.set(requestId, { model, sinceMs: this.#nowMs });
    const need = needOf(`model ${model}`, {
      memoryBytes: 1_000,
      split: { ownBytes: 60, when: "if_too_large", weights: `model ${model}` },
    });
    this.#step(node, { kind: "request_arrived", requestId, need, standing: "fresh" });
  }

  #step(node: number, event: SchedulerEvent): void {
    const scheduler = this.#nodes[node];
    const taken = scheduler?.view().instances ?? [];
    const goes = "instanceId" in event && event.kind !== "move_requested" ? event.instanceId : -1;
    const heldBytes = taken.filter(({ instanceId }) => instanceId !== goes)
      .reduce((sum, { hostBytes }) => sum + hostBytes, event.kind === "model_loaded" ? 60 : 0);
    const observed = { nowMs: this.#nowMs, availableBytes: 100 - heldBytes };
    for (const effect of scheduler?.step(event, observed) ?? []) this.#obey(node, effect);
  }

  #obey(node: number, effect: SchedulerEffect): void {
    if (effect.kind === "load_model") return this.#load(node, effect);
    if (effect.kind === "unload_model") {
      const { instanceId } = effect;
      return this.#after(STEP_MS, () => {
        const led = this.#led[node];
        const isLed = led?.instanceId === instanceId;
        if (isLed) this.#led[node] = undefined;
        this.#step(node, { kind: "runner_exited", instanceId });
        if (isLed) this.#step(led.worker, { kind: "request_ended", requestId: led.partId });
      });
    }
    if (effect.kind === "grant_slot") return this.#granted(node, effect.requestId);
    if (effect.kind === "refuse_request") return this.#refused(node, effect);
  }

  #load(
    node: number,
    { instanceId, need }: Extract<SchedulerEffect, { kind: "load_model" }>,
  ): void {
    if (need.part !== undefined) {
      return this.#after(
        START_MS,
        () => this.#step(node, { kind: "model_loaded", instanceId, memoryBytes: 60, slots: 1 }),
      );
    }
    const others = [...this.#nodes.keys()].filter((other) => other !== node);
    const worker = this.#random.pick(others) ?? 0;
    const partId = `part ${++this.#asked} of ${node}`;
    this.#led[node] = { instanceId, worker, partId };
    const part = needOf(partId, {
      ...{ memoryBytes: 60, keepAliveMs: 0 },
      part: { leader: String(node), weights: need.modelKey, comesFirst: node < worker },
    });
    this.#waiting.set(partId, { model: -1, sinceMs: this.#nowMs });
    this.#after(
      STEP_MS,
      () =>
        this.#step(worker, {
          ...{ kind: "request_arrived", requestId: partId, need: part, standing: "fresh" },
        }),
    );
  }

  #granted(node: number, requestId: string): void {
    this.#waiting.delete(requestId);
    const leader = this.#led.findIndex((led) => led?.partId === requestId);
    const led = this.#led[leader];
    if (led === undefined) {
      return this.#after(ANSWER_MS, () => this.#step(node, { kind: "request_ended", requestId }));
    }
    const { instanceId } = led;
    this.#after(
      LOAD_MS,
      () => this.#step(leader, { kind: "model_loaded", instanceId, memoryBytes: 60, slots: 2 }),
    );
  }

  #refused(
    node: number,
    { requestId, refusal }: Extract<SchedulerEffect, { kind: "refuse_request" }>,
  ): void {
    this.refusals.set(refusal.kind, (this.refusals.get(refusal.kind) ?? 0) + 1);
    const waited = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    if (refusal.kind === "led_elsewhere") {
      assert.notEqual(Number(refusal.leader), node);
      return this.#after(STEP_MS, () => this.#ask(Number(refusal.leader), waited?.model ?? 0));
    }
    assert.equal(refusal.kind, "leads_itself");
    const leader = this.#led.findIndex((led) => led?.partId === requestId);
    const instanceId = this.#led[leader]?.instanceId ?? 0;
    this.#led[leader] = undefined;
    const message = "it leads itself";
    this.#after(
      STEP_MS,
      () => this.#step(leader, { kind: "load_put_off", instanceId, message }),
    );
  }

  /** As a worker's node tells them when its part is in the way. */
  #tellLeaders(node: number): void {
    for (const { modelKey, isInTheWay } of this.#nodes[node]?.view().instances ?? []) {
      const leader = this.#led.findIndex((led) => led?.partId === modelKey);
      const led = this.#led[leader];
      const isLoaded = this.#nodes[leader]?.view().instances.some(({ instanceId, state }) =>
        instanceId === led?.instanceId && state === "ready"
      );
      if (!isInTheWay || led === undefined || isLoaded !== true) continue;
      this.#step(leader, { kind: "move_requested", instanceId: led.instanceId });
    }
  }
}

function needOf(modelKey: string, changes: Partial<ModelNeed>): ModelNeed {
  return {
    ...{ modelKey, settingsKey: "", displayName: modelKey, memoryBytes: 0, slots: 2 },
    ...{ contextTokens: 1, keepAliveMs: undefined },
    ...changes,
  };
}

Deno.test("Schedulers of nodes that load models with parts of each other never wait for each other for ever", () => {
  const refusals = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed);
    try {
      world.run();
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    for (const [kind, count] of world.refusals) {
      refusals.set(kind, (refusals.get(kind) ?? 0) + count);
    }
  }
  assert.ok((refusals.get("leads_itself") ?? 0) > SEEDS / 4, "nodes led at the same time");
  assert.ok((refusals.get("led_elsewhere") ?? 0) > SEEDS / 4, "requests came to where a part is");
});
