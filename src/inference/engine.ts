import { Heartbeat, SilenceWatch, UnavailableError } from "../base/mod.ts";
import type { CellPeers, CellStore, Clock, Engine, LoadedModel, Log } from "../ports/mod.ts";
import {
  type ExactProof,
  type LoadedFacts,
  type LoadSettings,
  RUNNER_PROTOCOL_VERSION,
  type RunnerCommand,
  type RunnerReply,
} from "../protocol/mod.ts";
import { CellTraffic } from "./cell_traffic.ts";
import { RunnerProcess, type RunnerStart } from "./runner_process.ts";
import { ChannelledModel } from "./channel/mod.ts";

/** What the engine needs. */
export interface EngineOptions extends RunnerStart {
  readonly log: Log;
  readonly clock: Pick<Clock, "after" | "monotonicMs">;
  /** Asked at each load: what the runner may keep in memory of what its slots give up. Default nothing. */
  readonly cacheMemoryBytes?: () => number;
  /** Where cells outlive runners; default nowhere. */
  readonly cells?: CellStore;
  /** Where cells are at other nodes; default there are none. */
  readonly cellPeers?: CellPeers;
}

/**
 * The engine of real nodes: a fresh runner process per load. Nothing of llama.cpp enters this process. How long a load
 * may go on without progress is the caller's to decide: it aborts the signal.
 */
export function createEngine(options: EngineOptions): Engine {
  return { load: (settings, how) => load(options, settings, how) };
}

/** What is free, by what a loaded model may keep in memory of what its slots give up. */
const CACHE_MEMORY_DIVISOR = 8;

/** So many bytes, or, of 0, a part of what is free at each load. */
export function cacheMemory(
  bytes: number,
  machine: { availableBytes(): number },
): () => number {
  return () => bytes || Math.floor(machine.availableBytes() / CACHE_MEMORY_DIVISOR);
}

/** How a load ended in the runner. */
type LoadEnd =
  | { readonly kind: "loaded"; readonly confinement: string }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "gone"; readonly message: string }
  | { readonly kind: "aborted" };

async function load(
  options: EngineOptions,
  settings: LoadSettings,
  how: Parameters<Engine["load"]>[1],
): Promise<LoadedModel> {
  how.signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<LoadEnd>();
  let model: RunnerModel | undefined;
  let onHeard = () => {};
  const onReply = (reply: RunnerReply) => {
    onHeard();
    if (model !== undefined) return model.receive(reply);
    if (reply.kind === "load_progress") how.onProgress?.(reply.fraction);
    else if (reply.kind === "load_failed") resolve({ kind: "refused", message: reply.message });
    else if (reply.kind === "loaded") {
      // Made here and not by whoever awaits: the next reply may follow in the same chunk.
      model = new RunnerModel(process, reply, { ...options, pulse: pulseOf(settings) });
      resolve({ kind: "loaded", confinement: reply.confinement });
    }
  };
  const command = [...options.command, ...wordsOf(settings)];
  const process = new RunnerProcess({ ...options, command }, onReply);
  const onAbort = () => resolve({ kind: "aborted" });
  how.signal.addEventListener("abort", onAbort);
  process.exited.then(({ reason }) => resolve({ kind: "gone", message: reason }));
  void process.send({
    kind: "load",
    version: RUNNER_PROTOCOL_VERSION,
    settings: { ...settings, cacheMemoryBytes: options.cacheMemoryBytes?.() ?? 0 },
  });
  const watched = watchStart(options.clock, settings, process);
  onHeard = watched.heard;
  const end = await promise;
  watched.end();
  how.signal.removeEventListener("abort", onAbort);
  if (end.kind === "loaded" && model !== undefined) {
    watch(options.log, { ...settings, confinement: end.confinement }, model);
    await model.cellsTold;
    return model;
  }
  await process.stop();
  how.signal.throwIfAborted();
  throw failure(end, process.failureText());
}

/** Longest silence of a process that computes with others while it starts and loads: they all wait for it. Milliseconds. */
const START_SILENCE_MS_MAX = 10_000;
const START_PULSE_MS = 1_000;

/** A process that is stopped as it starts closes no pipe. Others than those of split models have their load's time. */
function watchStart(
  clock: EngineOptions["clock"],
  settings: LoadSettings,
  process: Pick<RunnerProcess, "send" | "fail">,
): { heard(): void; end(): void } {
  if (!isShared(settings)) return { heard() {}, end() {} };
  const silence = new SilenceWatch(clock, {
    limitMs: START_SILENCE_MS_MAX,
    onSilent: () => process.fail(`it said nothing for ${START_SILENCE_MS_MAX / 1000} s`),
  });
  const heartbeat = new Heartbeat(clock, {
    everyMs: START_PULSE_MS,
    send: () => void process.send({ kind: "ping" }),
  });
  const end = () => {
    silence.stop();
    heartbeat.stop();
  };
  return { heard: () => silence.heard(), end };
}

/** The runner may read these files and no others of their kind, and use these ports. */
function wordsOf(settings: LoadSettings): readonly string[] {
  const { modelPath, adapterPaths, projectorPath, worker, shards } = settings;
  if (worker !== undefined) return [`--listen=${worker.port}`];
  const connect = shards === undefined ? [] : [`--connect=${shards.ports.join(",")}`];
  const projector = projectorPath === undefined ? [] : [projectorPath];
  return [...connect, modelPath, ...adapterPaths, ...projector];
}

function pulseOf(settings: LoadSettings): Pulse {
  return isShared(settings) ? SHARD_PULSE : USUAL_PULSE;
}

/** Whether other processes compute the same model. */
function isShared({ worker, shards }: LoadSettings): boolean {
  return worker !== undefined || shards !== undefined;
}

function failure(end: LoadEnd, stderr: string): UnavailableError {
  if (end.kind === "gone") return new UnavailableError("runner_lost", end.message);
  const message = end.kind === "refused" ? end.message : end.kind;
  const said = end.kind === "refused" && stderr !== "" ? `: ${stderr}` : "";
  return new UnavailableError("load_failed", `${message}${said}`);
}

function watch(
  log: Log,
  seen: { readonly modelPath: string; readonly confinement: string },
  model: LoadedModel,
): void {
  const { modelPath, confinement } = seen;
  const { processId } = model;
  const { memoryBytes } = model.facts;
  const level = confinement.startsWith("none") ? "warn" : "info";
  log.log(level, "runner_loaded", { modelPath, processId, memoryBytes, confinement });
  model.exited.then(({ expected, reason }) =>
    log.log(expected ? "info" : "error", "runner_exited", { modelPath, processId, reason })
  );
}

/** How a runner is watched. Milliseconds. */
interface Pulse {
  /** How often a runner with work is asked whether it is there. */
  readonly everyMs: number;
  /**
   * A runner with work that says nothing for longer hangs. Between two batches a runner answers at once, and batches are
   * decoded beside its event loop, so that even a slow model answers.
   */
  readonly silenceMs: number;
  /** Whether it is watched without work, too. */
  readonly isSteady: boolean;
}

const SILENCE_MS_MAX = 20_000;
const USUAL_PULSE: Pulse = { everyMs: 5_000, silenceMs: SILENCE_MS_MAX, isSteady: false };
/** Who computes a model together waits for each, and nobody else would notice that one has stopped. */
const SHARD_PULSE: Pulse = { everyMs: 150, silenceMs: 750, isSteady: true };

/** What is needed of a runner's process. */
export interface RunnerPipe extends Pick<RunnerProcess, "processId" | "exited" | "stop" | "fail"> {
  send(command: RunnerCommand): Promise<void> | void;
}

/** The engine port's view of one loaded runner: its channel, and a watch over it while somebody waits. */
export class RunnerModel extends ChannelledModel implements LoadedModel {
  readonly facts: LoadedFacts;
  readonly proof?: ExactProof;
  readonly exited: LoadedModel["exited"];
  /** Resolves once the runner was told which cells are kept for it. */
  readonly cellsTold: Promise<void>;
  readonly #cells: CellTraffic | undefined;
  readonly #process: RunnerPipe;
  readonly #clock: Pick<Clock, "after" | "monotonicMs">;
  readonly #silence: SilenceWatch;
  readonly #pulse: Pulse;
  #heartbeat: Heartbeat | undefined;

  constructor(
    process: RunnerPipe,
    loaded: {
      readonly facts: LoadedFacts;
      readonly proof?: ExactProof;
      readonly cellsKey?: string;
    },
    watch: {
      readonly clock: Pick<Clock, "after" | "monotonicMs">;
      readonly pulse?: Pulse;
      readonly cells?: CellStore;
      readonly cellPeers?: CellPeers;
    },
  ) {
    super({
      send: (command) => void process.send(command),
      onBusy: (isBusy) => this.#watch(isBusy),
      onNonsense: (reason) => process.fail(reason),
    });
    const { clock, pulse = USUAL_PULSE } = watch;
    this.#process = process;
    this.facts = loaded.facts;
    if (loaded.proof !== undefined) this.proof = loaded.proof;
    this.#clock = clock;
    this.#pulse = pulse;
    const { cellsKey: key } = loaded;
    this.#cells = watch.cells === undefined || key === undefined ? undefined : new CellTraffic({
      store: watch.cells,
      peers: watch.cellPeers,
      key,
      clock,
      send: async (word) => await process.send(word),
    });
    this.cellsTold = this.#cells?.told ?? Promise.resolve();
    // A stopped or hung process closes no pipe, so that nobody else would notice.
    this.#silence = new SilenceWatch(clock, {
      limitMs: pulse.silenceMs,
      onSilent: () => process.fail(`it said nothing for ${pulse.silenceMs / 1000} s`),
    });
    this.#watch(false);
    this.exited = process.exited.then((end) => {
      this.#cells?.lose();
      this.#silence.stop();
      this.#heartbeat?.stop();
      this.channel.lose(
        new UnavailableError("runner_lost", `The runner is gone: ${end.reason}`),
      );
      return end;
    });
  }

  get processId(): number {
    return this.#process.processId;
  }

  /** Takes a reply of the runner; replies to those who left are dropped. */
  receive(reply: RunnerReply): void {
    this.#silence.heard();
    switch (reply.kind) {
      case "events":
        // What is not read waits in the runner, so that the pipe goes on for others.
        for (const { id, event } of reply.events) void this.channel.takeEvent(id, event);
        return;
      case "loaded":
      case "load_failed":
      case "load_progress":
      case "pong":
        return;
      case "cells":
      case "cells_wanted":
      case "cells_damaged":
      case "cells_kept":
      case "cells_lacking":
      case "cells_sought":
        return this.#cells?.receive(reply);
      default:
        void this.channel.receive(reply);
    }
  }

  async unload(): Promise<void> {
    await this.#cells?.handOver();
    await this.#process.stop();
    await this.exited;
  }

  #watch(isBusy: boolean): void {
    this.#heartbeat?.stop();
    this.#heartbeat = undefined;
    if (!isBusy && !this.#pulse.isSteady) return this.#silence.pause();
    this.#silence.resume();
    const send = () => void this.#process.send({ kind: "ping" });
    this.#heartbeat = new Heartbeat(this.#clock, { everyMs: this.#pulse.everyMs, send });
  }
}
