import { basename } from "node:path";
import {
  assert,
  assertNever,
  bugReport,
  errorMessage,
  isEdgeError,
  type NodeId,
  parseDigest,
  PeerError,
  RequestError,
  type StateKeeper,
  UnavailableError,
} from "../base/mod.ts";
import {
  type Asking,
  type InstanceId,
  type ModelNeed,
  type Refusal,
  Scheduler,
  type SchedulerEffect,
  type SchedulerEvent,
  type SchedulerOptions,
  type SchedulerView,
  type TenantView,
} from "../core/scheduler/mod.ts";
import type {
  Clock,
  Engine,
  LoadedModel,
  Log,
  Metrics,
  PrefixReuse,
  Recorder,
  RequestAccount,
  StepRecorder,
} from "../ports/mod.ts";
import type { DraftUse, LoadSettings } from "../protocol/mod.ts";
import type { DeviceRooms } from "./device_rooms.ts";
import type { IdleProver } from "./proving/mod.ts";
import type { Machine } from "./system.ts";

/** What the driver drives and watches. */
export interface SchedulerDriverParts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly machine: Machine;
  readonly devices: DeviceRooms;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly options: SchedulerOptions;
  /** Loads models over several nodes; absent = this one can't. */
  readonly splitting?: Splitting;
  /** What the models of this node may take together; Infinity = what the machine has. */
  readonly memoryLimitBytes: number;
  /** A load without progress for longer fails; milliseconds, Infinity = never. */
  readonly loadTimeoutMs: number;
  /** What a tenant gets in proportion to others; absent = all alike. */
  readonly weightOf?: (tenant: string) => number;
  /** Works while nobody is answered. */
  readonly prover?: Pick<IdleProver, "look" | "close">;
  /** Whether keys and values lie on the device where their layer does. */
  readonly kvOffload: boolean;
  readonly recorder?: Recorder | undefined;
}

/** What loading over several nodes is planned with. */
export interface Splitting {
  /**
   * What this node's part would take of so many bytes, and of a device.
   *
   * @throws RequestError `model_too_large` when the model can't be split.
   */
  ownShare(settings: LoadSettings, room: OwnRoom): Promise<OwnShare>;
}

/** What a model over several nodes may take of this one. */
export interface OwnRoom {
  readonly freeBytes: number;
  readonly device?: { readonly name: string; readonly freeBytes: number } | undefined;
}

/** What it would take. */
export type OwnShare = Pick<NonNullable<ModelNeed["split"]>, "ownBytes" | "device">;

/** Where a slot is. */
export interface ServingNode {
  readonly nodeId: NodeId;
  /** "" = only known by its id. */
  readonly name: string;
}

/** A slot held on a loaded model. Exactly one of `release` and `lost` ends it; further calls do nothing. */
export interface Lease {
  readonly model: LoadedModel;
  /** Nanoseconds from asking to holding the slot when the model had to be loaded for it, else 0. */
  readonly loadNs: number;
  /** The node that computes; undefined = this one, alone. */
  readonly servedBy?: ServingNode;
  /** It is another node's. Default false. */
  readonly isElsewhere?: boolean;
  /** Has decisions explained with what of the prompt the runner had computed before; absent = nobody explains them. */
  noteReuse?(reuse: PrefixReuse): void;
  /** The same with what of the answer was computed ahead. */
  noteDrafts?(drafts: DraftUse): void;
  /** Other nodes that may hold what was computed of the prompt, best first; default none. */
  readonly cellsAt?: readonly NodeId[];
  release(): void;
  /** The runner died under it. */
  lost(): void;
}

/** Who asks for a slot of this node. */
export interface SlotRequest {
  readonly requestId: string;
  readonly need: ModelNeed;
  /** 0 threads = the scheduler decides. */
  readonly settings: LoadSettings;
  readonly standing: "fresh" | "resumed";
  /** Absent = the model is loaded here whole, or not at all. */
  readonly split?: "if_too_large" | "always" | undefined;
  /** Absent = nobody's, at any time. */
  readonly account?: RequestAccount;
  /** Estimated, >= 0; absent = not known. */
  readonly promptTokens?: number;
  /** Tokens of the answer at most; absent = as many as it likes, 0 = it only looks at the model. */
  readonly answerTokensMax?: number;
}

interface Pending {
  readonly request: SlotRequest;
  readonly askedMs: number;
  readonly loadsBefore: number;
  grantedMs?: number;
  resolve(lease: Lease): void;
  reject(reason: unknown): void;
}

interface Running {
  readonly need: ModelNeed;
  readonly abort: AbortController;
  model: LoadedModel | undefined;
  /** That it was to be loaded on. */
  readonly devices: readonly { readonly name: string }[];
}

/** Turns the scheduler's effects into loads, unloads and slots, and what happens into its events. No policy here. */
export class SchedulerDriver {
  readonly #parts: SchedulerDriverParts;
  #scheduler: Scheduler;
  #steps: StepRecorder | undefined;
  readonly #pending = new Map<string, Pending>();
  readonly #instances = new Map<InstanceId, Running>();
  readonly #settings = new WeakMap<ModelNeed, LoadSettings>();
  #wake: { cancel(): void } | undefined;
  readonly #listeners: (() => void)[] = [];
  #loads = 0;
  #asked = 0;
  #isStopping = false;
  #closed = false;

  constructor(parts: SchedulerDriverParts) {
    this.#parts = parts;
    this.#scheduler = this.#newScheduler();
  }

  #newScheduler(): Scheduler {
    const { options, recorder } = this.#parts;
    const scheduler = new Scheduler(options);
    const keep = (keeper: StateKeeper) => scheduler.keep(keeper);
    this.#steps = recorder?.begin({ part: "scheduler", options, keep });
    return scheduler;
  }

  /**
   * Resolves with a slot on a loaded model.
   *
   * @throws RequestError `model_too_large`; UnavailableError `queue_full`, `stopping`, `load_failed`; the signal's reason.
   */
  async acquire(request: SlotRequest, signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted();
    // An answer cut by the close would otherwise resume: into a fresh runner that nobody ends.
    if (this.#closed) throw stopping();
    const { standing } = request;
    const need = request.split === undefined ? request.need : await this.#splitNeed(request);
    signal.throwIfAborted();
    // Unique however often a request asks: one that leaves a run asks anew before the runner says that the slot is free.
    const requestId = `${request.requestId}/${++this.#asked}`;
    return await new Promise<Lease>((resolve, reject) => {
      const onAbort = () => {
        this.#pending.delete(requestId);
        this.#step({ kind: "request_ended", requestId });
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const settled = () => signal.removeEventListener("abort", onAbort);
      this.#pending.set(requestId, {
        request,
        askedMs: this.#parts.clock.monotonicMs(),
        loadsBefore: this.#loads,
        resolve: (lease) => (settled(), resolve(lease)),
        reject: (reason) => (settled(), reject(reason)),
      });
      this.#settings.set(need, request.settings);
      const asking = this.#askingOf(request);
      this.#step({ kind: "request_arrived", requestId, need, standing, asking });
      this.#tellQueued(requestId);
    });
  }

  /** Its asker hears where it stands, if it has to wait. */
  #tellQueued(requestId: string): void {
    const pending = this.#pending.get(requestId);
    const { onQueued } = pending?.request.account ?? {};
    const { clock } = this.#parts;
    const place = () => this.#scheduler.placeOf(requestId, clock.monotonicMs());
    const told = onQueued && place();
    if (pending === undefined || told === undefined) return;
    const waitedMs = () => (pending.grantedMs ?? clock.monotonicMs()) - pending.askedMs;
    onQueued?.({ told, place, waitedMs });
  }

  #askingOf({ account, promptTokens = 0, answerTokensMax = Infinity }: SlotRequest): Asking {
    const { clock, weightOf } = this.#parts;
    const { tenant = "", priority = "normal", deadlineAtMs = Infinity } = account ?? {};
    const deadlineMs = clock.monotonicMs() + (deadlineAtMs - clock.nowMs());
    const weight = weightOf?.(tenant) ?? 1;
    return { tenant, weight, priority, promptTokens, answerTokensMax, deadlineMs };
  }

  /** Who waits and runs here, least served first. */
  tenants(): readonly TenantView[] {
    return this.#scheduler.tenants();
  }

  /** With what its part here would take. @throws RequestError `model_too_large`. */
  async #splitNeed({ need, settings, split }: SlotRequest): Promise<ModelNeed> {
    const { splitting } = this.#parts;
    if (splitting === undefined || split === undefined) return need;
    const device = this.#deviceFor(settings);
    const room = { freeBytes: this.reclaimableBytes(), device };
    const share = await splitting.ownShare(settings, room);
    const weights = parseDigest(basename(settings.modelPath));
    return { ...need, split: { ...share, when: split, ...weights && { weights } } };
  }

  /** A device of this node that a part could take if all others made room: the one that is wished for, or that has most. */
  #deviceFor({ gpuLayers, mainGpu }: LoadSettings): OwnRoom["device"] {
    // The memory of others is the machine's own, which is counted already.
    const rooms = this.#parts.devices.rooms();
    const apart = rooms.filter(({ isShared, share }) => !isShared && share !== 0)
      .toSorted((a, b) => b.roomBytes - a.roomBytes);
    const main = mainGpu === undefined ? undefined : rooms[mainGpu];
    const room = main !== undefined && !main.isShared ? main : apart[0];
    if (room === undefined || gpuLayers === 0) return undefined;
    return { name: room.name, freeBytes: Math.max(0, room.roomBytes) };
  }

  /** Memory that a model could take here if all others were unloaded. */
  reclaimableBytes(): number {
    return this.availableBytes() + this.#heldBytes() - this.#parts.options.reserveBytes;
  }

  /**
   * Memory that a further model could take, and what is kept free: the machine's, or what is left of the node's own bound.
   * `event` has just happened, and what it tells of a model is not in the view yet.
   */
  availableBytes(event?: SchedulerEvent): number {
    const { machine, memoryLimitBytes, options } = this.#parts;
    // What is kept free is kept of the machine, not of the bound.
    const left = Math.max(0, memoryLimitBytes - this.#heldBytes(event)) + options.reserveBytes;
    return Math.min(machine.availableBytes(), left);
  }

  /** What all models of this node take of the machine's memory once `event` has happened. */
  #heldBytes(event?: SchedulerEvent): number {
    return this.#scheduler.view().instances.reduce((sum, { instanceId, hostBytes }) => {
      const isMeant = event !== undefined && "instanceId" in event &&
        event.instanceId === instanceId;
      return sum + (isMeant ? heldAfter(event, hostBytes) : hostBytes);
    }, 0);
  }

  /** Unloads the model once idle; does nothing when it is not loaded. */
  requestUnload(model: { readonly modelKey: string }): void {
    this.#step({ kind: "unload_requested", modelKey: model.modelKey });
  }

  /** Calls back after each step: requests, slots or loaded models may have changed. */
  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  view(): SchedulerView {
    return this.#scheduler.view();
  }

  /** How long the one has waited that has waited longest for a load or a slot; 0 = nobody waits. Milliseconds. */
  oldestWaitMs(): number {
    const [oldest] = this.#pending.values();
    return oldest === undefined ? 0 : this.#parts.clock.monotonicMs() - oldest.askedMs;
  }

  /** The running copy of an instance, for facts that only the loaded model knows. */
  findModel(instanceId: InstanceId): LoadedModel | undefined {
    return this.#instances.get(instanceId)?.model;
  }

  stopAdmitting(): void {
    this.#isStopping = true;
    this.#step({ kind: "stop_requested" });
  }

  /** Ends every runner, running answers included; resolves when all processes are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake?.cancel();
    // Those who still wait go first: otherwise the memory that comes free would load their models.
    for (const [requestId, pending] of [...this.#pending]) {
      this.#pending.delete(requestId);
      this.#step({ kind: "request_ended", requestId });
      pending.reject(stopping());
    }
    const proven = this.#parts.prover?.close();
    await Promise.allSettled([...this.#instances.values()].map((it) => end(it, stopping())));
    await proven;
  }

  #step(event: SchedulerEvent): void {
    const { clock, devices, metrics } = this.#parts;
    const observed = {
      nowMs: clock.monotonicMs(),
      availableBytes: this.availableBytes(event),
      devices: devices.rooms(),
    };
    let effects: readonly SchedulerEffect[] = [];
    try {
      effects = this.#scheduler.step(event, observed);
      this.#steps?.note({ event, observed }, effects);
    } catch (error) {
      this.#steps?.note({ event, observed }, { threw: errorMessage(error) });
      this.#startOver(error);
    }
    for (const effect of effects) this.#obey(effect);
    const view = this.#scheduler.view();
    metrics.set("odist_queue_requests", view.waiting);
    metrics.set("odist_running_requests", view.running);
    metrics.set("odist_loaded_models", view.instances.length);
    // One that loads may be what somebody waits for.
    const isIdle = !this.#closed && view.running + view.waiting === 0 &&
      view.instances.every(({ state }) => state === "ready");
    this.#parts.prover?.look({ isIdle, availableBytes: () => this.availableBytes() });
    for (const listener of this.#listeners) listener();
  }

  /** A bug: who holds what is not known any more. Every runner ends, which frees all of it; answers resume in new ones. */
  #startOver(error: unknown): void {
    const { log } = this.#parts;
    log.log("error", "part_broken", { part: "scheduler", ...bugReport(error) });
    this.#wake?.cancel();
    this.#scheduler = this.#newScheduler();
    const ended = [...this.#instances.values()];
    this.#instances.clear();
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) reject(startingOver());
    for (const instance of ended) void end(instance, startingOver());
    if (this.#isStopping) this.#step({ kind: "stop_requested" });
  }

  #obey(effect: SchedulerEffect): void {
    switch (effect.kind) {
      case "load_model":
        void this.#load(effect);
        return;
      case "unload_model":
        this.#parts.log.log("info", "model_unloading", {
          model: this.#instances.get(effect.instanceId)?.need.displayName,
          why: effect.why,
        });
        void this.#instances.get(effect.instanceId)?.model?.unload();
        return;
      case "grant_slot":
        return this.#grant(effect.requestId, effect.instanceId);
      case "refuse_request": {
        const pending = this.#pending.get(effect.requestId);
        this.#pending.delete(effect.requestId);
        pending?.reject(refusalError(effect.refusal, pending.request.need));
        return;
      }
      case "wake_at":
        return this.#wakeAt(effect.atMs);
      default:
        assertNever(effect);
    }
  }

  #wakeAt(atMs: number): void {
    this.#wake?.cancel();
    const { clock } = this.#parts;
    this.#wake = clock.after(atMs - clock.monotonicMs(), () => {
      this.#step({ kind: "time_elapsed" });
      // A timer may fire early or be cut short; then the scheduler, whose order did not change, stays silent.
      if (clock.monotonicMs() < atMs) this.#wakeAt(atMs);
    });
  }

  #grant(requestId: string, instanceId: InstanceId): void {
    const pending = this.#pending.get(requestId);
    const instance = this.#instances.get(instanceId);
    const model = instance?.model;
    this.#pending.delete(requestId);
    if (pending === undefined || instance === undefined || model === undefined) {
      // Cancelled in the same turn; the slot goes back at once.
      queueMicrotask(() => this.#step({ kind: "request_ended", requestId }));
      return;
    }
    const { clock, metrics } = this.#parts;
    pending.grantedMs = clock.monotonicMs();
    const waitedMs = pending.grantedMs - pending.askedMs;
    metrics.observe("odist_queue_wait_seconds", waitedMs / 1000);
    pending.resolve({
      model,
      loadNs: this.#loads > pending.loadsBefore ? Math.round(waitedMs * 1e6) : 0,
      release: once(() => this.#step({ kind: "request_ended", requestId })),
      lost: once(() => {
        // First the exit, so that the scheduler does not hand the dead runner to the next in line.
        this.#exited(instanceId, instance);
        this.#step({ kind: "request_ended", requestId });
      }),
    });
  }

  async #load(order: Extract<SchedulerEffect, { kind: "load_model" }>): Promise<void> {
    const { instanceId, need, threads, isSplit, devices } = order;
    const { engine, log, clock, metrics, kvOffload } = this.#parts;
    const instance: Running = { need, abort: new AbortController(), model: undefined, devices };
    this.#instances.set(instanceId, instance);
    const settings = this.#settings.get(need);
    const startedMs = clock.monotonicMs();
    const stall = this.#watchStall(instance.abort);
    try {
      assert(settings !== undefined, "Who is to be loaded was asked for");
      instance.model = await engine.load(
        {
          ...settings,
          threads: settings.threads > 0 ? settings.threads : threads,
          devices: devices.map(({ name, budgetBytes, layers }) => ({
            name,
            budgetBytes,
            ...layers !== undefined && { layers },
          })),
          kvOffload,
        },
        {
          signal: instance.abort.signal,
          onProgress: stall.progress,
          ...isSplit && need.split !== undefined && { split: need.split },
        },
      );
      checkRoom(instance.model.facts);
    } catch (error) {
      void instance.model?.unload();
      const haveOthersCome = await this.#lookAtDevices(instance);
      if (this.#instances.get(instanceId) !== instance) return;
      this.#instances.delete(instanceId);
      if (haveOthersCome) return this.#step({ kind: "runner_exited", instanceId });
      const message = errorMessage(error);
      if (isEdgeError(error) && error.code === "queue_full") {
        log.log("info", "model_load_put_off", { model: need.displayName, reason: message });
        return this.#step({ kind: "load_put_off", instanceId, message });
      }
      metrics.increment("odist_model_load_failures_total");
      log.log("warn", "model_load_failed", { model: need.displayName, reason: message });
      this.#step({ kind: "load_failed", instanceId, message });
      return;
    } finally {
      stall.end();
    }
    // The scheduler that ordered it is gone, and numbers begin again with each.
    if (this.#instances.get(instanceId) !== instance) return void instance.model.unload();
    this.#loads++;
    const { facts } = instance.model;
    const { devices: taken = [] } = facts;
    const seconds = (clock.monotonicMs() - startedMs) / 1000;
    metrics.observe("odist_model_load_seconds", seconds);
    log.log("info", "model_loaded", {
      model: need.displayName,
      seconds,
      processId: instance.model.processId,
      ...exactnessFields(facts),
    });
    const { proofMs = 0 } = facts.exactness ?? {};
    if (proofMs > 0) metrics.observe("odist_exact_proof_seconds", proofMs / 1000);
    this.#watch(instanceId, { instance, model: instance.model });
    const { memoryBytes, hostMemoryBytes: hostBytes = memoryBytes, slots } = facts;
    const { exactness } = facts;
    const known = exactness === undefined ? {} : { exactness };
    const took = { memoryBytes, hostBytes, devices: taken, slots };
    this.#step({ kind: "model_loaded", instanceId, ...took, ...known });
    this.#parts.devices.noteFree(taken, this.#onDevices());
  }

  /** A device that vanished takes what computes on it along. @returns Whether other devices are there now. */
  async #lookAtDevices({ devices }: Running): Promise<boolean> {
    return devices.length > 0 && await this.#parts.devices.look(this.#onDevices());
  }

  #onDevices() {
    return this.#scheduler.view().instances.filter(({ state }) => state === "ready")
      .flatMap(({ devices }) => devices);
  }

  /** What a loaded model says of itself from now on. */
  #watch(
    instanceId: InstanceId,
    { instance, model }: { readonly instance: Running; readonly model: LoadedModel },
  ): void {
    const { log, metrics } = this.#parts;
    const { need } = instance;
    void model.isToMove?.then(() => {
      if (this.#instances.get(instanceId) !== instance) return;
      log.log("info", "model_moving", { model: need.displayName });
      this.#step({ kind: "move_requested", instanceId });
    });
    void model.exited.then(({ expected, reason }) => {
      if (!expected) {
        metrics.increment("odist_runner_deaths_total");
        log.log("warn", "runner_died", { model: need.displayName, reason });
      }
      this.#exited(instanceId, instance);
      if (!expected) void this.#lookAtDevices(instance);
    });
  }

  /** Aborts a load that reports no progress for the limit. */
  #watchStall(abort: AbortController): { progress(): void; end(): void } {
    const { clock, loadTimeoutMs } = this.#parts;
    if (!Number.isFinite(loadTimeoutMs)) return { progress() {}, end() {} };
    const start = () =>
      clock.after(loadTimeoutMs, () =>
        abort.abort(
          new UnavailableError(
            "load_timeout",
            `timed out waiting for llama runner to start: no progress for ${
              loadTimeoutMs / 1000
            } s`,
          ),
        ));
    let timer = start();
    return {
      progress() {
        timer.cancel();
        timer = start();
      },
      end: () => timer.cancel(),
    };
  }

  #exited(instanceId: InstanceId, instance: Running): void {
    if (this.#instances.get(instanceId) !== instance) return;
    this.#instances.delete(instanceId);
    this.#step({ kind: "runner_exited", instanceId });
  }
}

const GONE: ReadonlySet<SchedulerEvent["kind"]> = new Set<SchedulerEvent["kind"]>([
  "runner_exited",
  "load_failed",
  "load_put_off",
]);

/** What an instance takes after an event of its own: a loaded model tells what its runner takes, which was estimated until then. */
function heldAfter(event: SchedulerEvent, hostBytes: number): number {
  if (GONE.has(event.kind)) return 0;
  return event.kind === "model_loaded" ? event.hostBytes ?? event.memoryBytes : hostBytes;
}

/** For the log. */
function exactnessFields({ exactness }: LoadedModel["facts"]) {
  if (exactness === undefined) return {};
  const { isExact: exact, policy, reason, prefillRatio, decodeRatio, proofMs } = exactness;
  const why = reason === "" ? {} : { notExactBecause: reason };
  return { exact, policy, prefillRatio, decodeRatio, proofMs, ...why };
}

/** Another process says it. @throws PeerError when nobody could ever have a slot, or it takes no memory at all. */
function checkRoom({ slots, memoryBytes }: LoadedModel["facts"]): void {
  if (Number.isSafeInteger(slots) && slots >= 1 && memoryBytes >= 0) return;
  const message = `The runner tells of ${slots} slots and ${memoryBytes} bytes`;
  throw new PeerError("malformed_frame", message);
}

/** Ends a runner, whether it is loaded or on its way. */
async function end({ abort, model }: Running, reason: unknown): Promise<void> {
  abort.abort(reason);
  await model?.unload();
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}

/** Texts of contract 1.3 where it has them. */
function refusalError(refusal: Refusal, need: ModelNeed): Error {
  switch (refusal.kind) {
    case "queue_full":
      return new UnavailableError(
        "queue_full",
        "server busy, please try again.  maximum pending requests exceeded",
        { retryAfterMs: Math.max(RETRY_MS_MIN, refusal.retryMs ?? 0) },
      );
    case "too_late":
      return new UnavailableError("deadline_unmet", tooLateText(refusal), {
        retryAfterMs: Math.max(RETRY_MS_MIN, refusal.neededMs - refusal.leftMs),
      });
    case "stopping":
      return stopping();
    case "load_failed":
      return new UnavailableError("load_failed", refusal.message);
    case "leads_itself":
      return new UnavailableError(
        "queue_full",
        "this node loads a model over several nodes itself",
        { retryAfterMs: RETRY_MS_MIN },
      );
    case "led_elsewhere":
      return new UnavailableError(
        "queue_full",
        `model "${need.displayName}" is computed by node ${refusal.leader}, with a part that is here`,
        { retryAfterMs: RETRY_MS_MIN },
      );
    case "does_not_fit":
      return new RequestError(
        "model_too_large",
        `model "${need.displayName}" requires more system memory (${
          gib(refusal.neededBytes)
        }) than is available ` +
          `(${gib(refusal.availableBytes)}, of which ${gib(refusal.reserveBytes)} stay reserved)`,
      );
    case "no_such_device":
      return new RequestError(
        "invalid_option",
        `option "main_gpu" must name one of ${refusal.present.length} devices ` +
          `(${refusal.present.join(", ")}): current value is ${refusal.wanted}`,
        { status: 400 },
      );
    default:
      return assertNever(refusal);
  }
}

/** Who is refused comes back no sooner. */
const RETRY_MS_MIN = 1_000;

function tooLateText({ neededMs, leftMs }: Extract<Refusal, { kind: "too_late" }>): string {
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  return leftMs > 0
    ? `the answer was wanted within ${seconds(leftMs)}, and would take ${seconds(neededMs)}`
    : "the answer was wanted by a time that has passed";
}

function startingOver(): UnavailableError {
  return new UnavailableError("load_failed", "the node's scheduler failed and starts over", {
    retryAfterMs: 1000,
  });
}

function stopping(): UnavailableError {
  return new UnavailableError("stopping", "the node is stopping");
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
