/**
 * Files of incidents that happened nowhere.
 *
 * @module
 */
import type { NodeId } from "../../src/base/mod.ts";
import { Scheduler } from "../../src/core/scheduler/mod.ts";
import { joinIncidents, writeIncident, writeSilence } from "../../src/incidents/incident_file.ts";
import { IncidentRecorder } from "../../src/incidents/recorder.ts";

const OPTIONS = {
  ...{ loadedModelsMax: 2, queueRequestsMax: 1, keepAliveMs: 5_000, reserveBytes: 0 },
  ...{ cores: 4, threads: 0 },
};
const NEED = {
  ...{ modelKey: "m", settingsKey: "s", displayName: "m", memoryBytes: 1_000, slots: 1 },
  ...{ contextTokens: 2_048, keepAliveMs: undefined },
};

/**
 * Three requests at a scheduler of node `ada` whose queue is as long as that; the file says that it holds one, so that with another
 * length the second request is decided otherwise. Node `bob` told nothing.
 */
export async function scriptedIncident(
  { queueRequestsMax }: { readonly queueRequestsMax: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const log = { log: () => {} };
  const recorder = new IncidentRecorder({ clock: { nowMs: () => 1_000 }, log });
  const scheduler = new Scheduler({ ...OPTIONS, queueRequestsMax });
  const steps = recorder.begin({
    ...{ part: "scheduler", options: OPTIONS },
    keep: (keeper) => scheduler.keep(keeper),
  });
  for (const requestId of ["a", "b", "c"]) {
    const need = requestId === "a" ? NEED : { ...NEED, modelKey: "n\x1b[2J" };
    const event = { kind: "request_arrived", requestId, need, standing: "fresh" } as const;
    const observed = { nowMs: 1_000, availableBytes: 1_000 };
    steps.note({ event, observed }, scheduler.step(event, observed));
  }
  const node = { nodeId: "ada" as NodeId, name: "ada", version: "1.0.0" };
  const clock = { after: (_delayMs: number, act: () => void) => (queueMicrotask(act), NO_TIMER) };
  const own = await writeIncident({ node, clock }, recorder.stretches(0), { withTexts: false });
  return new Uint8Array(joinIncidents([own, await writeSilence("bob" as NodeId, "gone")]));
}

const NO_TIMER = { cancel() {} };
