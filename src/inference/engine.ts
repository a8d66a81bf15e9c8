import { UnavailableError } from "../base/mod.ts";
import type { Clock, Engine, LoadedModel, Log } from "../ports/mod.ts";
import { type LoadSettings, RUNNER_PROTOCOL_VERSION, type RunnerReply } from "../protocol/mod.ts";
import { RunnerModel } from "./loaded_model.ts";
import { RunnerProcess, type RunnerStart } from "./runner_process.ts";

/** What the engine needs. */
export interface EngineOptions extends RunnerStart {
  readonly log: Log;
  readonly clock: Pick<Clock, "after" | "monotonicMs">;
}

/**
 * The engine of real nodes: a fresh runner process per load. Nothing of llama.cpp enters this process. How long a load
 * may go on without progress is the caller's to decide: it aborts the signal.
 */
export function createEngine(options: EngineOptions): Engine {
  return { load: (settings, how) => load(options, settings, how) };
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
  const onReply = (reply: RunnerReply) => {
    if (model !== undefined) return model.receive(reply);
    if (reply.kind === "load_progress") how.onProgress?.(reply.fraction);
    else if (reply.kind === "load_failed") resolve({ kind: "refused", message: reply.message });
    else if (reply.kind === "loaded") {
      // Made here and not by whoever awaits: the next reply may follow in the same chunk.
      model = new RunnerModel(process, reply.facts, options.clock);
      resolve({ kind: "loaded", confinement: reply.confinement });
    }
  };
  // The runner may read these files and no others of their kind.
  const command = [...options.command, settings.modelPath, ...settings.adapterPaths];
  const process = new RunnerProcess({ ...options, command }, onReply);
  const onAbort = () => resolve({ kind: "aborted" });
  how.signal.addEventListener("abort", onAbort);
  process.exited.then(({ reason }) => resolve({ kind: "gone", message: reason }));
  process.send({ kind: "load", version: RUNNER_PROTOCOL_VERSION, settings });
  const end = await promise;
  how.signal.removeEventListener("abort", onAbort);
  if (end.kind === "loaded" && model !== undefined) {
    watch(options.log, { ...settings, confinement: end.confinement }, model);
    return model;
  }
  await process.stop();
  how.signal.throwIfAborted();
  throw failure(end, process.failureText());
}

function failure(end: LoadEnd, stderr: string): UnavailableError {
  const message = end.kind === "refused" || end.kind === "gone" ? end.message : end.kind;
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
