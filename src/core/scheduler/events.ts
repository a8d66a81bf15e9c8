import type { Priority } from "../queue/mod.ts";
import type { DevicePlan, DeviceRoom, DeviceWish } from "./device_plan.ts";

/** A loaded or loading copy of a model on this node; unique per boot, never reused. */
export type InstanceId = number;

/** What a request needs before it can run. */
export interface ModelNeed {
  /** Identity of weights and adapters: names that share them share the instance (contract 4.1). */
  readonly modelKey: string;
  /** Identity of the load options; a difference means a reload. */
  readonly settingsKey: string;
  /** Whether only an exact copy will do; default false. Any copy does for others. */
  readonly mustBeExact?: boolean;
  /** Name to show in `ps`: the one that loaded it. */
  readonly displayName: string;
  /** Estimate of weights + KV cache + compute buffers in bytes, where the cores compute it all. */
  readonly memoryBytes: number;
  /** What it would take here over several nodes; absent = it may not be split. */
  readonly split?: {
    readonly ownBytes: number;
    /** Beside {@link ownBytes}, of a device of this node; absent = none computes a part. */
    readonly device?: DeviceShare;
    /** `if_too_large`: where it can't be here whole. */
    readonly when: "if_too_large" | "always";
    /** Which file it is, on every node; absent = nobody knows. */
    readonly weights?: string;
  };
  /** Of a part of a model that another node leads; absent = this node computes for itself. */
  readonly part?: PartOf;
  /** Beside {@link memoryBytes}, of a part of a model that others lead; absent = nothing. */
  readonly device?: DeviceShare;
  /** What lies on devices where there are any; absent = nothing. */
  readonly placing?: DeviceWish;
  /** Sequences decoded together, >= 1. */
  readonly slots: number;
  /** Context window per slot in tokens, to be shown. */
  readonly contextTokens: number;
  /** Milliseconds, Infinity = forever; undefined = keep the instance's value, or the node's default on first load. */
  readonly keepAliveMs: number | undefined;
}

/** What is taken of a device, by its name. */
export interface DeviceShare {
  readonly name: string;
  readonly bytes: number;
}

/** Whose part is computed here. */
export interface PartOf {
  readonly leader: string;
  /** As `ModelNeed.split` has it. */
  readonly weights: string;
  /** Of two nodes that load models with parts of each other, the one that does not come first gives way. */
  readonly comesFirst: boolean;
}

/** On whose account a request goes, how much it asks for, and until when it is of use. */
export interface Asking {
  /** A key, or the machine of those without one; "" = nobody's. */
  readonly tenant: string;
  /** What its tenant gets in proportion to others; > 0. */
  readonly weight: number;
  readonly priority: Priority;
  /** Estimated, >= 0. */
  readonly promptTokens: number;
  /** Tokens of the answer at most; Infinity = as many as it likes, 0 = it only looks at the model. */
  readonly answerTokensMax: number;
  /** When its answer must be whole; monotonic milliseconds, Infinity = whenever. */
  readonly deadlineMs: number;
}

/** Facts the driver tells the scheduler. */
export type SchedulerEvent =
  | {
    readonly kind: "request_arrived";
    readonly requestId: string;
    readonly need: ModelNeed;
    /** `resumed` requests lost their runner: they go to the front and are never refused for a full queue. */
    readonly standing: "fresh" | "resumed";
    /** Absent = nobody's, at any time. */
    readonly asking?: Asking;
  }
  /** Finished, failed or cancelled, waiting or running alike; unknown ids are ignored. */
  | { readonly kind: "request_ended"; readonly requestId: string }
  | {
    readonly kind: "model_loaded";
    readonly instanceId: InstanceId;
    readonly memoryBytes: number;
    /** The part in the machine's own memory; absent = all. */
    readonly hostBytes?: number;
    /** By device. */
    readonly devices?: readonly { readonly name: string; readonly bytes: number }[];
    readonly slots: number;
    /** Absent = not known: then it counts as exact where it was asked for so. */
    readonly exactness?: LoadedExactness;
  }
  | { readonly kind: "load_failed"; readonly instanceId: InstanceId; readonly message: string }
  /** Other nodes can't lend their part now, but later: who waits for it goes on waiting. */
  | { readonly kind: "load_put_off"; readonly instanceId: InstanceId; readonly message: string }
  /** The process is gone, whether asked to or not. */
  | { readonly kind: "runner_exited"; readonly instanceId: InstanceId }
  /** It should lie elsewhere: what runs goes on to its end, and nothing more is begun there. */
  | { readonly kind: "move_requested"; readonly instanceId: InstanceId }
  /** A client wants the model out of memory once idle (contract 4.3, keep_alive 0). */
  | { readonly kind: "unload_requested"; readonly modelKey: string }
  | { readonly kind: "time_elapsed" }
  /** Graceful stop: fresh requests are refused, running and waiting ones go on. */
  | { readonly kind: "stop_requested" };

/** Whether a loaded copy is exact. */
export interface LoadedExactness {
  readonly isExact: boolean;
  /** Whether it could be, loaded for it. */
  readonly isPossible: boolean;
  readonly reason: string;
}

/** What the driver saw when the event happened. */
export interface Observation {
  /** Milliseconds, monotonic. */
  readonly nowMs: number;
  /** Memory a new process could take now, in bytes. */
  readonly availableBytes: number;
  /** What models may take of this machine's devices, those that are loaded counted in; absent = there are none. */
  readonly devices?: readonly DeviceRoom[];
}

/** Orders the scheduler gives. */
export type SchedulerEffect =
  | {
    readonly kind: "load_model";
    readonly instanceId: InstanceId;
    readonly need: ModelNeed;
    readonly threads: number;
    readonly isSplit: boolean;
    readonly devices: DevicePlan["devices"];
  }
  | { readonly kind: "unload_model"; readonly instanceId: InstanceId; readonly why: UnloadReason }
  /** The request holds a slot of the instance until `request_ended`. */
  | { readonly kind: "grant_slot"; readonly requestId: string; readonly instanceId: InstanceId }
  | { readonly kind: "refuse_request"; readonly requestId: string; readonly refusal: Refusal }
  /** Give `time_elapsed` at that time; replaces an earlier order. */
  | { readonly kind: "wake_at"; readonly atMs: number };

/** Why an instance goes. */
export type UnloadReason = "expired" | "evicted" | "reload" | "requested";

/** Why a request can't run, with the figures its message needs. */
export type Refusal =
  | {
    readonly kind: "queue_full";
    readonly waiting: number;
    readonly limit: number;
    /** Until a slot is free; absent = nothing was measured. */
    readonly retryMs?: number;
  }
  /** Its answer can't be whole in time. */
  | {
    readonly kind: "too_late";
    /** Until it could be; milliseconds. */
    readonly neededMs: number;
    /** Until it had to be; milliseconds, may be below 0. */
    readonly leftMs: number;
  }
  | { readonly kind: "stopping" }
  | {
    readonly kind: "does_not_fit";
    readonly neededBytes: number;
    readonly availableBytes: number;
    readonly reserveBytes: number;
  }
  | { readonly kind: "load_failed"; readonly message: string }
  /** A part is asked for that would wait for a load of this node, which may wait for the asker. */
  | { readonly kind: "leads_itself" }
  /** Another node leads the very model, with a part that is here. */
  | { readonly kind: "led_elsewhere"; readonly leader: string }
  | {
    readonly kind: "no_such_device";
    readonly wanted: number;
    readonly present: readonly string[];
  };

/** One row of {@link SchedulerView}. */
export interface InstanceView {
  readonly instanceId: InstanceId;
  readonly modelKey: string;
  readonly displayName: string;
  readonly state: "loading" | "ready" | "unloading";
  readonly memoryBytes: number;
  /** The part in the machine's own memory. */
  readonly hostBytes: number;
  /** By device; of one that loads, as planned. */
  readonly devices: readonly { readonly name: string; readonly bytes: number }[];
  readonly slots: number;
  readonly contextTokens: number;
  readonly running: number;
  /** Monotonic milliseconds; Infinity = never; undefined while requests run or it loads. */
  readonly expiresAtMs: number | undefined;
  readonly keepAliveMs: number;
  /** Whether somebody waits for its place. */
  readonly isInTheWay: boolean;
}

/** Where a request stands in the queue. */
export interface QueuePlace {
  /** From 1: those that are served before it, and itself. */
  readonly position: number;
  /** Until it has a slot, by what was measured here; undefined = nothing was yet. Milliseconds. */
  readonly etaMs: number | undefined;
}

/** A snapshot for status pages and tests. */
export interface SchedulerView {
  readonly instances: readonly InstanceView[];
  readonly waiting: number;
  readonly running: number;
}
