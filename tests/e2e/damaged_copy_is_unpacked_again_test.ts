import assert from "node:assert/strict";
import { join } from "node:path";
import { Machine } from "../harness/built_odist.ts";

const ignore = Deno.build.os === "windows";

/** The one folder in which the file unpacked itself. */
function findCopy(machine: Machine): string {
  const [copy, ...others] = [...Deno.readDirSync(join(machine.cache, "odist"))];
  assert.ok(copy !== undefined && others.length === 0);
  return join(machine.cache, "odist", copy.name);
}

Deno.test({ name: "A copy cut short on disk is unpacked again", ignore }, async () => {
  await using machine = await Machine.make("fresh");
  await machine.run(["version"]);
  const copy = findCopy(machine);
  const { size } = await Deno.stat(join(copy, "deno"));
  await Deno.truncate(join(copy, "deno"), 1_000_000);
  await Deno.remove(join(copy, "main.js"));
  const { code, stderr } = await machine.run(["version"]);
  assert.equal(code, 0, stderr);
  assert.equal((await Deno.stat(join(findCopy(machine), "deno"))).size, size);
});
