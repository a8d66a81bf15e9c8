import assert from "node:assert/strict";
import { runCommand } from "../../../tests/harness/cli.ts";
import type { NodeId } from "../../base/mod.ts";
import { Scheduler } from "../../core/scheduler/mod.ts";
import { joinIncidents, writeIncident, writeSilence } from "../../incidents/incident_file.ts";
import { IncidentRecorder } from "../../incidents/recorder.ts";

const OPTIONS = {
  ...{ loadedModelsMax: 2, queueRequestsMax: 1, keepAliveMs: 5_000, reserveBytes: 0 },
  ...{ cores: 4, threads: 0 },
};
const NEED = {
  ...{ modelKey: "m", settingsKey: "s", displayName: "m", memoryBytes: 1_000, slots: 1 },
  ...{ contextTokens: 2_048, keepAliveMs: undefined },
};

/** Three requests at a scheduler whose queue is as long as that; the file says it is as long as `OPTIONS` has it. */
async function fileOf({ queueRequestsMax }: { readonly queueRequestsMax: number }) {
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
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, joinIncidents([own, await writeSilence("bob" as NodeId, "gone")]));
  return path;
}

const NO_TIMER = { cancel() {} };

Deno.test("incident replay prints what was decided and who is missing, and that all of it is decided again", async () => {
  const path = await fileOf(OPTIONS);
  const { code, out } = await runCommand(["incident", "replay", path]);
  assert.equal(code, 0, out);
  assert.match(out, /^bob told nothing: gone\n1970-01-01T00:00:01.000Z ada scheduler request_arr/);
  assert.match(out, /refuse_request.*queue_full/);
  assert.match(out, /\n3 steps, each decided as recorded\n$/);
  await Deno.remove(path);
});

Deno.test("incident replay ends at the first decision that differs, names it, and fails", async () => {
  // Recorded by a scheduler with a longer queue than the file says.
  const path = await fileOf({ queueRequestsMax: 2 });
  const { code, out } = await runCommand(["incident", "replay", path]);
  assert.equal(code, 1);
  assert.match(out, /step 2: the scheduler of ada decides otherwise\n/);
  assert.match(
    out,
    /recorded by 1\.0\.0: nothing more\n {2}decided now: \{"kind":"refuse_request"/,
  );
  const asJson = JSON.parse((await runCommand(["incident", "replay", path, "--json"])).out);
  assert.deepEqual([asJson.steps, asJson.differing.part], [2, "scheduler"]);
  await Deno.remove(path);
});

Deno.test("incident save refuses a time that is none, and replay a file that is none", async () => {
  const bad = await runCommand(["incident", "save", "x", "--since", "soon"]);
  assert.deepEqual([bad.code, /--since must be .* "soon"/.test(bad.err)], [2, true]);
  const path = await Deno.makeTempFile();
  const { code, err } = await runCommand(["incident", "replay", path]);
  assert.deepEqual([code, /no recording/.test(err)], [1, true]);
  await Deno.remove(path);
});
