import assert from "node:assert/strict";
import { runCommand } from "../../../tests/harness/cli.ts";
import { scriptedIncident } from "../../../tests/harness/saved_incidents.ts";

async function fileOf(how: Parameters<typeof scriptedIncident>[0]): Promise<string> {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, await scriptedIncident(how));
  return path;
}

Deno.test("incident replay prints what was decided and who is missing, and that all of it is decided again", async () => {
  const path = await fileOf({ queueRequestsMax: 1 });
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
