import { UnavailableError } from "../base/mod.ts";
import type { Clock, Engine, LoadedModel, Log } from "../ports/mod.ts";
import {
  type LoadedFacts,
  type LoadSettings,
  RUNNER_PROTOCOL_VERSION,
  type RunnerReply,
} from "../protocol/mod.ts";
import { RunnerModel } from "./loaded_model.ts";
import { RunnerProcess, type RunnerStart } from "./runner_process.ts";

/** How long a load may go on without progress. A slow disk reads on; a hung driver does not. */
const LOAD_STALL_MS_MAX = 300_000;

/** What the engine needs. */
export interface EngineOptions extends RunnerStart {
  readonly log: Log;
  readonly clock: Pick<Clock, "after">;
}

/** The engine of real nodes: a fresh runner process per load. Nothing of llama.cpp enters this process. */
export function createEngine(options: EngineOptions): Engine {
  return { load: (settings, how) => load(options, settings, how) };
}

/** How a load ended in the runner. */
type LoadEnd =
  | { readonly kind: "loaded"; readonly facts: LoadedFacts }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "gone"; readonly message: string }
  | { readonly kind: "stalled" }
  | { readonly kind: "aborted" };

async function load(
  options: EngineOptions,
  settings: LoadSettings,
  how: Parameters<Engine["load"]>[1],
): Promise<LoadedModel> {
  how.signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<LoadEnd>();
  const stall = new StallTimer(options.clock, () => resolve({ kind: "stalled" }));
  let model: RunnerModel | undefined;
  const onReply = (reply: RunnerReply) => {
    if (model !== undefined) return model.receive(reply);
    stall.restart();
    if (reply.kind === "load_progress") how.onProgress?.(reply.fraction);
    else if (reply.kind === "load_failed") resolve({ kind: "refused", message: reply.message });
    else if (reply.kind === "loaded") {
      // Made here and not by whoever awaits: the next reply may follow in the same chunk.
      model = new RunnerModel(process, reply.facts, options.clock);
      resolve({ kind: "loaded", facts: reply.facts });
    }
  };
  const process = new RunnerProcess(options, onReply);
  const onAbort = () => resolve({ kind: "aborted" });
  how.signal.addEventListener("abort", onAbort);
  process.exited.then(({ reason }) => resolve({ kind: "gone", message: reason }));
  process.send({ kind: "load", version: RUNNER_PROTOCOL_VERSION, settings });
  const end = await promise;
  stall.cancel();
  how.signal.removeEventListener("abort", onAbort);
  if (end.kind === "loaded" && model !== undefined) {
    watch(options.log, settings, model);
    return model;
  }
  await process.stop();
  how.signal.throwIfAborted();
  throw failure(end, { settings, said: process.failureText() });
}

function failure(
  end: LoadEnd,
  seen: { readonly settings: LoadSettings; readonly said: string },
): UnavailableError {
  if (end.kind === "stalled") {
    return new UnavailableError(
      "load_timeout",
      `Cannot load ${seen.settings.modelPath}: no progress for ${LOAD_STALL_MS_MAX / 1000} seconds`,
    );
  }
  const message = end.kind === "refused" || end.kind === "gone" ? end.message : end.kind;
  const said = end.kind === "refused" && seen.said !== "" ? `: ${seen.said}` : "";
  return new UnavailableError("load_failed", `${message}${said}`);
}

function watch(log: Log, settings: LoadSettings, model: LoadedModel): void {
  const { modelPath } = settings;
  const { processId } = model;
  log.log("info", "runner_loaded", { modelPath, processId, memoryBytes: model.facts.memoryBytes });
  model.exited.then(({ expected, reason }) =>
    log.log(expected ? "info" : "error", "runner_exited", { modelPath, processId, reason })
  );
}

/** Calls back when nothing restarted it for {@link LOAD_STALL_MS_MAX}. */
class StallTimer {
  readonly #clock: Pick<Clock, "after">;
  readonly #onStall: () => void;
  #timer: { cancel(): void };

  constructor(clock: Pick<Clock, "after">, onStall: () => void) {
    this.#clock = clock;
    this.#onStall = onStall;
    this.#timer = clock.after(LOAD_STALL_MS_MAX, onStall);
  }

  restart(): void {
    this.cancel();
    this.#timer = this.#clock.after(LOAD_STALL_MS_MAX, this.#onStall);
  }

  cancel(): void {
    this.#timer.cancel();
  }
}
