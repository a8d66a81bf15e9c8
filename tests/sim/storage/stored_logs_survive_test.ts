import assert from "node:assert/strict";
import { makeFolder, simulateStored } from "./stored_run.ts";
import { STORAGE_FAULTS } from "./strikes.ts";

const SEEDS = 4;
const RUNS = Array.from({ length: 2 * SEEDS }, (_, index) => ({
  seed: 1 + (index >> 1),
  changesGroup: index % 2 === 1,
}));

for (const kind of STORAGE_FAULTS) {
  const fault = kind.replace("_", " ");
  Deno.test(`Raft on real files loses nothing to ${fault}, and who is damaged says so`, async () => {
    const folder = await makeFolder();
    let led = 0;
    for (const run of RUNS) {
      const { violation, tally } = await simulateStored({ ...run, kind, folder });
      const replay = `deno task sim:storage --only ${kind} --seed ${run.seed}`;
      assert.equal(violation, undefined, replay);
      assert.ok(tally.struck > 0, `it never struck: ${replay}`);
      led += tally.led;
    }
    await Deno.remove(folder, { recursive: true });
    if (kind === "flip_log") assert.ok(led > 0, "nobody led whose log had been damaged");
  });
}

Deno.test({
  name: "A run on real files leaves none of them open, so that thousands can follow",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await makeFolder();
    const open = () =>
      [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
        try {
          return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
        } catch {
          // That of the look itself.
          return [];
        }
      }).filter((path) => path.startsWith(folder));
    const { operations } = await simulateStored({
      ...{ seed: 1, kind: "full_disk", changesGroup: false, folder },
    });
    assert.ok(operations > 0);
    assert.deepEqual(open(), []);
    await Deno.remove(folder, { recursive: true });
  },
});
