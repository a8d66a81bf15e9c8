import { assert, assertNever, keepMap, type StateKeeper } from "../../base/mod.ts";
import { remainingMs, type TenantView } from "../queue/mod.ts";
import type {
  InstanceId,
  LoadedExactness,
  ModelNeed,
  Observation,
  QueuePlace,
  Refusal,
  SchedulerEffect,
  SchedulerEvent,
  SchedulerView,
  UnloadReason,
} from "./events.ts";
import { type DevicePlan, type DeviceRoom, planDevices } from "./device_plan.ts";
import { PutOffLoads } from "./put_off_loads.ts";
import { planThreads } from "./threads.ts";
import { type Waiting, WaitingRequests } from "./waiting.ts";

/**
 * Requests that wait for a slot of a loaded model at most. Ollama has no bound there (contract 4.1); this one only keeps
 * a flood from filling the memory.
 */
const SLOT_WAITERS_MAX = 16_384;

/** Limits and defaults of one node. */
export interface SchedulerOptions {
  /** Loaded models at most, >= 1. Default 3 (contract 4.2, CPU). */
  readonly loadedModelsMax: number;
  /** Requests at most that wait for a model which is not loaded, >= 1. Default 512. */
  readonly queueRequestsMax: number;
  /** Keep-alive of a first load without one. Milliseconds, default 300_000. */
  readonly keepAliveMs: number;
  /** Bytes that stay free after a load. */
  readonly reserveBytes: number;
  /** Cores of this machine, >= 1. */
  readonly cores: number;
  /** Threads per runner; 0 = by {@link planThreads}. */
  readonly threads: number;
}

interface Instance {
  readonly id: InstanceId;
  readonly need: ModelNeed;
  state: "loading" | "ready" | "unloading";
  memoryBytes: number;
  /** Of the machine's own memory. */
  hostBytes: number;
  devices: readonly { readonly name: string; readonly bytes: number }[];
  readonly isSplit: boolean;
  /** It should lie elsewhere: whoever needs it waits for another one. */
  isToMove: boolean;
  slots: number;
  /** Undefined until it is loaded, and where nobody knows. */
  exactness: LoadedExactness | undefined;
  keepAliveMs: number;
  /** Invariant: Infinity or a time while idle and ready; undefined otherwise. */
  expiresAtMs: number | undefined;
  readonly running: Set<string>;
  /** When its load began, monotonic milliseconds. */
  readonly loadsSinceMs: number;
  /** An earlier waiting request needs this one's place: nothing later is granted here. */
  retiring: boolean;
}

/** What is to be loaded, and over several nodes or not. */
interface Placing {
  readonly need: ModelNeed;
  readonly isSplit: boolean;
  readonly observed: Observation;
}

/**
 * Decides on one node which model is loaded, which is evicted, who gets a slot and who waits (contract 4). Synchronous
 * and deterministic. One load at a time, because two at once would both count the same free memory. Running requests
 * are never cut. Who gets a slot first is `core/queue`'s; a request for a loaded model never waits behind a load.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #instances = new Map<InstanceId, Instance>();
  /** Where each granted request runs. */
  readonly #granted = new Map<string, InstanceId>();
  readonly #waiting = new WaitingRequests();
  readonly #putOff = new PutOffLoads();
  #nextInstanceId = 1;
  #stopping = false;
  #wakeAtMs = Infinity;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Takes one fact and returns what the driver must now do, in this order. */
  step(event: SchedulerEvent, observed: Observation): readonly SchedulerEffect[] {
    const effects: SchedulerEffect[] = [];
    this.#take(event, observed, effects);
    for (const { requestId, refusal } of this.#waiting.dropLate(observed.nowMs)) {
      effects.push({ kind: "refuse_request", requestId, refusal });
    }
    this.#expire(observed, effects);
    this.#serveWaiting(observed, effects);
    this.#orderWake(effects);
    this.#check();
    return effects;
  }

  /** A snapshot; never live state. */
  view(): SchedulerView {
    const instances = [...this.#instances.values()].map((instance) => ({
      instanceId: instance.id,
      modelKey: instance.need.modelKey,
      displayName: instance.need.displayName,
      state: instance.state,
      memoryBytes: instance.memoryBytes,
      hostBytes: instance.hostBytes,
      devices: instance.devices,
      slots: instance.slots,
      contextTokens: instance.need.contextTokens,
      running: instance.running.size,
      expiresAtMs: instance.expiresAtMs,
      keepAliveMs: instance.keepAliveMs,
      isInTheWay: instance.retiring,
    }));
    return { instances, waiting: this.#waiting.size, running: this.#granted.size };
  }

  /** Where a request stands; undefined = it doesn't wait. */
  placeOf(requestId: string, nowMs: number): QueuePlace | undefined {
    const waiting = this.#waiting.find(requestId);
    if (waiting === undefined) return undefined;
    const ahead = this.#waiting.ahead(waiting);
    const aheadMs = ahead.costMs * this.#waiting.takenShare(waiting);
    return { position: ahead.count + 1, etaMs: this.#startsInMs(waiting, nowMs, aheadMs) };
  }

  /** Who waits and who runs, least served first. */
  tenants(): readonly TenantView[] {
    return this.#waiting.tenants();
  }

  /** All of its state but the options. */
  keep(keeper: StateKeeper): void {
    keepMap(keeper, this.#instances);
    keepMap(keeper, this.#granted);
    this.#waiting.keep(keeper);
    this.#putOff.keep(keeper);
    this.#nextInstanceId = keeper.keep(this.#nextInstanceId);
    this.#stopping = keeper.keep(this.#stopping);
    this.#wakeAtMs = keeper.keep(this.#wakeAtMs);
  }

  #take(event: SchedulerEvent, observed: Observation, effects: SchedulerEffect[]): void {
    switch (event.kind) {
      case "request_arrived":
        return this.#arrive(event, observed, effects);
      case "request_ended":
        return this.#end(event.requestId, observed);
      case "model_loaded":
        return this.#loaded(event, observed);
      case "load_failed":
        return this.#loadFailed(event.instanceId, event.message, effects);
      case "load_put_off":
        return this.#loadPutOff(event, { observed, effects });
      case "runner_exited":
        return this.#exited(event.instanceId, observed.nowMs);
      case "move_requested":
        return this.#requestMove(event.instanceId, observed);
      case "unload_requested":
        return this.#requestUnload(event.modelKey, observed);
      case "time_elapsed":
        return;
      case "stop_requested":
        this.#stopping = true;
        return;
      default:
        assertNever(event);
    }
  }

  #arrive(
    event: Extract<SchedulerEvent, { kind: "request_arrived" }>,
    { nowMs }: Observation,
    effects: SchedulerEffect[],
  ): void {
    const waiting = this.#waiting.admit(event);
    // What was resumed was admitted once, and what was admitted is answered.
    const refusal = waiting.isResumed ? undefined : this.#refusalOf(waiting, nowMs);
    if (refusal === undefined) return this.#waiting.add(waiting, nowMs);
    effects.push({ kind: "refuse_request", requestId: waiting.requestId, refusal });
  }

  #refusalOf(waiting: Waiting, nowMs: number): Refusal | undefined {
    if (this.#stopping) return { kind: "stopping" };
    const queue = this.#queueOf(waiting.need);
    if (queue.waiting >= queue.limit && !this.#hasFreeSlot(waiting.need)) {
      // Who has nobody waiting gets a place all the same: a flood of one key must not shut the others out.
      const hasPlace = this.#waiting.waitingOf(waiting.tenant) === 0 &&
        queue.waiting < 2 * queue.limit;
      const retryMs = this.#startsInMs(waiting, nowMs, 0);
      if (!hasPlace) {
        return { kind: "queue_full", ...queue, ...(retryMs === undefined ? {} : { retryMs }) };
      }
    }
    return this.#waiting.tooLate(waiting, { nowMs, startsInMs: this.#startsInMs(waiting, nowMs) });
  }

  /** When it has a slot, by what was measured; undefined = nothing was. Milliseconds from now. */
  #startsInMs(
    waiting: Waiting,
    nowMs: number,
    aheadMs = this.#waiting.ahead(waiting).costMs,
  ): number | undefined {
    const instance = this.#findInstance(waiting.need.modelKey);
    if (instance === undefined || instance.retiring || !fits(instance, waiting.need)) {
      return undefined;
    }
    if (aheadMs === 0 && instance.state === "ready" && instance.running.size < instance.slots) {
      return 0;
    }
    const heldMs = instance.state === "loading"
      ? this.#loadingHeldMs(instance, nowMs)
      : this.#waiting.heldMs(instance.running, { nowMs, slots: instance.slots });
    return heldMs && this.#waiting.startsInMs(waiting, { heldMs, aheadMs });
  }

  #loadingHeldMs({ need, loadsSinceMs, slots }: Instance, nowMs: number): number[] | undefined {
    const loadMs = this.#waiting.loadMs(need.modelKey);
    if (loadMs === undefined) return undefined;
    return Array.from({ length: slots }, () => remainingMs(loadMs, nowMs - loadsSinceMs));
  }

  /** What stands before a request of this kind: at a loaded model, or for one (contract 4.1). */
  #queueOf(need: ModelNeed): { readonly waiting: number; readonly limit: number } {
    const isAtSlot = this.#isLoaded(need);
    const limit = isAtSlot ? SLOT_WAITERS_MAX : this.#options.queueRequestsMax;
    const waiting = this.#waiting.count((other) => this.#isLoaded(other) === isAtSlot);
    return { waiting, limit };
  }

  #isLoaded(need: ModelNeed): boolean {
    const instance = this.#findInstance(need.modelKey);
    return instance?.state === "ready" && !instance.retiring && fits(instance, need);
  }

  #end(requestId: string, { nowMs }: Observation): void {
    const instanceId = this.#granted.get(requestId);
    this.#waiting.end(requestId, nowMs);
    if (instanceId === undefined) return;
    this.#granted.delete(requestId);
    const instance = this.#instances.get(instanceId);
    instance?.running.delete(requestId);
    if (instance !== undefined) restartExpiry(instance, nowMs);
  }

  #loaded(event: Extract<SchedulerEvent, { kind: "model_loaded" }>, observed: Observation): void {
    const instance = this.#instances.get(event.instanceId);
    // It may have exited between the load and this event.
    if (instance === undefined || instance.state !== "loading") return;
    const { slots, memoryBytes } = event;
    assert(slots >= 1 && memoryBytes >= 0, "A loaded model has room", { slots, memoryBytes });
    instance.state = "ready";
    instance.memoryBytes = event.memoryBytes;
    instance.hostBytes = event.hostBytes ?? event.memoryBytes;
    instance.devices = event.devices ?? [];
    instance.slots = event.slots;
    instance.exactness = event.exactness;
    this.#putOff.forget(instance.need.modelKey);
    restartExpiry(instance, observed.nowMs);
  }

  #loadFailed(instanceId: InstanceId, message: string, effects: SchedulerEffect[]): void {
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) return;
    this.#instances.delete(instanceId);
    // The same weights with the same options would fail again: all who wait for just that are told.
    for (const requestId of this.#waiting.dropAllFor(instance.need)) {
      effects.push({
        kind: "refuse_request",
        requestId,
        refusal: { kind: "load_failed", message },
      });
    }
  }

  #loadPutOff(
    { instanceId, message }: Extract<SchedulerEvent, { kind: "load_put_off" }>,
    { observed, effects }: { readonly observed: Observation; readonly effects: SchedulerEffect[] },
  ): void {
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) return;
    const { modelKey } = instance.need;
    if (!this.#putOff.note(modelKey, observed.nowMs)) {
      return this.#loadFailed(instanceId, message, effects);
    }
    this.#instances.delete(instanceId);
  }

  #exited(instanceId: InstanceId, nowMs: number): void {
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) return;
    this.#instances.delete(instanceId);
    // Their streams notice by themselves and come back as `resumed`.
    for (const requestId of instance.running) {
      this.#granted.delete(requestId);
      this.#waiting.lose(requestId, nowMs);
    }
  }

  #requestMove(instanceId: InstanceId, observed: Observation): void {
    const instance = this.#instances.get(instanceId);
    if (instance === undefined) return;
    instance.isToMove = true;
    instance.keepAliveMs = 0;
    restartExpiry(instance, observed.nowMs);
  }

  #requestUnload(modelKey: string, observed: Observation): void {
    for (const instance of this.#instances.values()) {
      if (instance.need.modelKey !== modelKey) continue;
      instance.keepAliveMs = 0;
      restartExpiry(instance, observed.nowMs);
    }
  }

  #expire(observed: Observation, effects: SchedulerEffect[]): void {
    for (const instance of this.#instances.values()) {
      if (instance.expiresAtMs !== undefined && instance.expiresAtMs <= observed.nowMs) {
        // A waiting request for just this instance keeps it: unloading would only load it again.
        if (this.#waiting.count((need) => fits(instance, need)) > 0) continue;
        this.#unload(instance, "expired", effects);
      }
    }
  }

  /** Serves the queue in its order; each request gets a slot, starts a load, makes room, or stays. */
  #serveWaiting(observed: Observation, effects: SchedulerEffect[]): void {
    for (const instance of this.#instances.values()) instance.retiring = false;
    this.#refuseParts(effects);
    this.#putOff.keepOnly((modelKey) => this.#waiting.count((it) => it.modelKey === modelKey) > 0);
    // Only the first request that needs a load acts on it: later ones would undo its choice.
    let loadClaimed = this.#isBusyLoading();
    const lines = new Set(this.#waiting.lines());
    for (const line of lines) {
      if (this.#canOnlyStay(line, { loadClaimed, observed })) lines.delete(line);
    }
    for (;;) {
      const waiting = this.#waiting.first(lines);
      if (waiting === undefined) return;
      const { line, requestId, need } = waiting;
      const same = this.#findInstance(need.modelKey);
      if (same !== undefined && fits(same, need)) {
        // Who comes after one that stays stays, too: they wait for the same.
        if (!this.#grantSlot(waiting, same, { observed, effects })) lines.delete(line);
        continue;
      }
      if (loadClaimed) {
        if (same !== undefined) same.retiring = true;
        lines.delete(line);
        continue;
      }
      const outcome = this.#makeRoomAndLoad(waiting, same, { observed, effects });
      if (outcome === "stays") lines.delete(line);
      else this.#waiting.end(requestId, observed.nowMs);
      if (outcome !== "refused") loadClaimed = true;
    }
  }

  /** Mostly all slots are taken, and then who is next in each line need not be looked at. */
  #canOnlyStay(
    line: string,
    { loadClaimed, observed }: { readonly loadClaimed: boolean; readonly observed: Observation },
  ): boolean {
    const need = this.#waiting.needOf(line);
    const same = need && this.#findInstance(need.modelKey);
    if (need === undefined || same === undefined) {
      return loadClaimed || this.#putOff.has(need?.modelKey ?? "", observed.nowMs);
    }
    return fits(same, need) && (same.state !== "ready" || same.running.size >= same.slots);
  }

  /**
   * Two nodes that load models with parts of each other would wait for ever. Who waits for a part of a node that leads a load
   * itself comes before that node by an order of all, so that nobody ever waits in a circle of such loads; the others plan
   * without it, or begin again.
   */
  #refuseParts(effects: SchedulerEffect[]): void {
    if (![...this.#instances.values()].some((it) => it.isSplit && it.state === "loading")) return;
    for (const line of [...this.#waiting.lines()]) {
      const need = this.#waiting.needOf(line);
      if (need?.part === undefined || need.part.comesFirst) continue;
      for (const requestId of this.#waiting.dropAllFor(need)) {
        effects.push({ kind: "refuse_request", requestId, refusal: { kind: "leads_itself" } });
      }
    }
  }

  /** False = there is no slot for it. */
  #grantSlot(
    waiting: Waiting,
    instance: Instance,
    turn: { readonly observed: Observation; readonly effects: SchedulerEffect[] },
  ): boolean {
    if (instance.state !== "ready" || instance.retiring) return false;
    if (instance.running.size >= instance.slots) return false;
    const { requestId, need } = waiting;
    const { nowMs } = turn.observed;
    const refusal = this.#waiting.tooLate(waiting, { nowMs, startsInMs: 0 });
    if (refusal !== undefined) {
      this.#waiting.end(requestId, nowMs);
      turn.effects.push({ kind: "refuse_request", requestId, refusal });
      return true;
    }
    assert(!this.#granted.has(requestId), "A request is granted once", { requestId });
    instance.running.add(requestId);
    instance.expiresAtMs = undefined;
    if (need.keepAliveMs !== undefined) instance.keepAliveMs = need.keepAliveMs;
    this.#granted.set(requestId, instance.id);
    this.#waiting.serve(requestId, nowMs);
    turn.effects.push({ kind: "grant_slot", requestId, instanceId: instance.id });
    return true;
  }

  /** Loads what `waiting` needs, or unloads one victim towards it, or waits for one to become idle. */
  #makeRoomAndLoad(
    waiting: Waiting,
    same: Instance | undefined,
    turn: { observed: Observation; effects: SchedulerEffect[] },
  ): "stays" | "refused" {
    const { need, requestId } = waiting;
    const { observed, effects } = turn;
    const isSplit = this.#isToBeSplit(need, observed);
    const placing = { need, isSplit, observed };
    const refusal = this.#namesNoDevice(need, observed) ?? neverExact(same, need) ??
      this.#cannotEverFit(placing) ?? this.#isLedElsewhere(placing, waiting);
    if (refusal !== undefined) {
      effects.push({ kind: "refuse_request", requestId, refusal });
      return "refused";
    }
    if (same !== undefined) {
      this.#retire(same, "reload", effects);
      return "stays";
    }
    const countOk = this.#instances.size < this.#options.loadedModelsMax;
    const plan = this.#place(placing, this.#instances.values());
    const memoryOk = plan.hostBytes + this.#options.reserveBytes <= observed.availableBytes;
    const squatter = this.#findSquatter(placing, plan);
    const full = this.#findFullDevice(placing);
    if (countOk && memoryOk && squatter === undefined && full === undefined) {
      this.#load(placing, plan, effects);
    } else {
      const liesThere = ({ devices }: Instance) => devices.some(({ name }) => name === full);
      const victim = squatter ?? this.#chooseVictim(full === undefined ? undefined : liesThere);
      if (victim !== undefined) this.#retire(victim, "evicted", effects);
    }
    return "stays";
  }

  #isToBeSplit(need: ModelNeed, observed: Observation): boolean {
    if (need.split === undefined) return false;
    return need.split.when === "always" ||
      this.#cannotEverFit({ need, isSplit: false, observed }) !== undefined;
  }

  /** Where it would lie beside those that are loaded. Of a model over several nodes it was planned before. */
  #place({ need, isSplit, observed }: Placing, loaded: Iterable<Instance>): DevicePlan {
    if (isSplit || need.placing === undefined) {
      const hostBytes = isSplit ? need.split?.ownBytes ?? 0 : need.memoryBytes;
      const device = isSplit ? need.split?.device : need.device;
      const devices = device === undefined ? [] : [{ ...device, budgetBytes: device.bytes }];
      return { devices, layerCount: 0, hostBytes };
    }
    const taken = new Map<string, number>();
    for (const { devices } of loaded) {
      for (const { name, bytes } of devices) taken.set(name, (taken.get(name) ?? 0) + bytes);
    }
    const rooms = (observed.devices ?? []).map((room): DeviceRoom => ({
      ...room,
      roomBytes: room.roomBytes - (taken.get(room.name) ?? 0),
    }));
    return planDevices(need.placing, rooms);
  }

  /** A device that a part of a model over several nodes is planned for, and that others take too much of. */
  #findFullDevice({ need, isSplit, observed }: Placing): string | undefined {
    const device = isSplit ? need.split?.device : undefined;
    if (device === undefined) return undefined;
    const lie = [...this.#instances.values()].flatMap(({ devices }) => devices)
      .filter(({ name }) => name === device.name);
    const roomBytes = observed.devices?.find(({ name }) => name === device.name)?.roomBytes ?? 0;
    const takenBytes = lie.reduce((sum, { bytes }) => sum + bytes, 0);
    // Where nothing of this node lies there, nothing makes room.
    return lie.length > 0 && takenBytes + device.bytes > roomBytes ? device.name : undefined;
  }

  /** An idle model on a device that takes the place of layers: without it more of them would lie there. Busy ones are let be. */
  #findSquatter(placing: Placing, plan: DevicePlan): Instance | undefined {
    const busy = [...this.#instances.values()].filter(({ running }) => running.size > 0);
    if (this.#place(placing, busy).layerCount <= plan.layerCount) return undefined;
    return this.#chooseVictim(({ running, devices }) => running.size === 0 && devices.length > 0);
  }

  #namesNoDevice({ placing }: ModelNeed, { devices = [] }: Observation): Refusal | undefined {
    const wanted = placing?.mainGpu ?? 0;
    if (devices.length === 0 || wanted < devices.length) return undefined;
    return { kind: "no_such_device", wanted, present: devices.map(({ name }) => name) };
  }

  #cannotEverFit(placing: Placing): Refusal | undefined {
    let reclaimable = placing.observed.availableBytes;
    for (const instance of this.#instances.values()) reclaimable += instance.hostBytes;
    const { reserveBytes } = this.#options;
    // Were it alone on the devices.
    const { hostBytes } = this.#place(placing, []);
    if (hostBytes + reserveBytes <= reclaimable) return undefined;
    return {
      kind: "does_not_fit",
      neededBytes: hostBytes,
      availableBytes: reclaimable,
      reserveBytes,
    };
  }

  /**
   * Whoever asks goes to the node that leads. What was resumed waits: that node may be the one that it has lost, which then
   * gives its part back in a moment.
   */
  #isLedElsewhere({ need, isSplit }: Placing, { isResumed }: Waiting): Refusal | undefined {
    const weights = need.split?.weights;
    if (!isSplit || isResumed || weights === undefined) return undefined;
    const lent = [...this.#instances.values()].find((it) =>
      it.running.size > 0 && it.need.part?.weights === weights
    );
    const leader = lent?.need.part?.leader;
    return leader === undefined ? undefined : { kind: "led_elsewhere", leader };
  }

  #load({ need, isSplit, observed }: Placing, plan: DevicePlan, effects: SchedulerEffect[]): void {
    const instance: Instance = {
      id: this.#nextInstanceId++,
      need,
      state: "loading",
      isSplit,
      memoryBytes: isSplit ? plan.hostBytes : need.memoryBytes,
      hostBytes: plan.hostBytes,
      devices: plan.devices,
      slots: need.slots,
      keepAliveMs: need.keepAliveMs ?? this.#options.keepAliveMs,
      exactness: undefined,
      expiresAtMs: undefined,
      running: new Set(),
      loadsSinceMs: observed.nowMs,
      isToMove: false,
      retiring: false,
    };
    this.#instances.set(instance.id, instance);
    const threads = this.#options.threads > 0
      ? this.#options.threads
      : planThreads({ cores: this.#options.cores, runners: this.#instances.size });
    const { devices } = plan;
    effects.push({ kind: "load_model", instanceId: instance.id, need, threads, isSplit, devices });
  }

  /** Idle first, shortest keep-alive first, then key; else the busy one with the shortest keep-alive (contract 4.2). */
  #chooseVictim(among: (instance: Instance) => boolean = () => true): Instance | undefined {
    const ready = [...this.#instances.values()].filter((instance) =>
      instance.state === "ready" && among(instance)
    );
    return ready.sort((a, b) =>
      Math.sign(a.running.size) - Math.sign(b.running.size) ||
      compareNumbers(a.keepAliveMs, b.keepAliveMs) ||
      (a.need.modelKey < b.need.modelKey ? -1 : 1)
    )[0];
  }

  /** Unloads an idle instance; a busy one takes nothing more until it is idle. */
  #retire(instance: Instance, why: UnloadReason, effects: SchedulerEffect[]): void {
    if (instance.state === "ready" && instance.running.size === 0) {
      this.#unload(instance, why, effects);
    } else {
      instance.retiring = true;
    }
  }

  #unload(instance: Instance, why: UnloadReason, effects: SchedulerEffect[]): void {
    assert(instance.running.size === 0, "Only an idle instance is unloaded", { id: instance.id });
    instance.state = "unloading";
    instance.expiresAtMs = undefined;
    effects.push({ kind: "unload_model", instanceId: instance.id, why });
  }

  /** The driver needs one timer: for the earliest expiry, the first that waits to be too late, or the first load to begin again. */
  #orderWake(effects: SchedulerEffect[]): void {
    let earliest = Math.min(this.#waiting.firstLookMs, this.#putOff.firstMs);
    for (const { expiresAtMs } of this.#instances.values()) {
      if (expiresAtMs !== undefined && expiresAtMs < earliest) earliest = expiresAtMs;
    }
    if (earliest !== this.#wakeAtMs && earliest !== Infinity) {
      effects.push({ kind: "wake_at", atMs: earliest });
    }
    this.#wakeAtMs = earliest;
  }

  /** What each step leaves: a request runs where its slot is, in no more slots than there are, one load at a time. */
  #check(): void {
    let [running, loading] = [0, 0];
    for (const instance of this.#instances.values()) {
      const { id, slots } = instance;
      const busy = instance.running.size;
      assert(busy === 0 || busy <= slots, "No slot is given twice", { id, busy, slots });
      running += busy;
      if (instance.state === "loading") loading++;
    }
    const granted = this.#granted.size;
    assert(running === granted, "Who holds a slot runs in it", { running, granted });
    assert(loading <= 1, "One model is loaded at a time", { loading });
  }

  #isBusyLoading(): boolean {
    return [...this.#instances.values()].some(({ state }) => state !== "ready");
  }

  #hasFreeSlot(need: ModelNeed): boolean {
    const instance = this.#findInstance(need.modelKey);
    return instance !== undefined && fits(instance, need) && instance.state === "ready" &&
      !instance.retiring && instance.running.size < instance.slots;
  }

  /** An unloading one counts: its memory is not back yet, and the same model is never loaded twice. */
  #findInstance(modelKey: string): Instance | undefined {
    for (const instance of this.#instances.values()) {
      if (instance.need.modelKey === modelKey) return instance;
    }
    return undefined;
  }
}

function fits(instance: Instance, need: ModelNeed): boolean {
  return instance.state !== "unloading" && !instance.isToMove &&
    instance.need.modelKey === need.modelKey &&
    instance.need.settingsKey === need.settingsKey && isExactEnough(instance, need);
}

/** One that is still loading may turn out to be exact. */
function isExactEnough(instance: Instance, need: ModelNeed): boolean {
  if (need.mustBeExact !== true || instance.state === "loading") return true;
  return instance.exactness?.isExact ?? instance.need.mustBeExact === true;
}

/** To load it again for those that want it exact would only take it from the others. */
function neverExact(same: Instance | undefined, need: ModelNeed): Refusal | undefined {
  const exactness = same?.exactness;
  if (need.mustBeExact !== true || exactness === undefined || exactness.isPossible) {
    return undefined;
  }
  return { kind: "load_failed", message: `not exact: ${exactness.reason}` };
}

/** The timer starts when the last request ends (contract 4.3). */
function restartExpiry(instance: Instance, nowMs: number): void {
  const idle = instance.state === "ready" && instance.running.size === 0;
  instance.expiresAtMs = idle ? nowMs + instance.keepAliveMs : undefined;
}

function compareNumbers(a: number, b: number): number {
  // Subtracting would give NaN for two infinities.
  return a < b ? -1 : a > b ? 1 : 0;
}
