import assert from "node:assert/strict";
import { Machine } from "../harness/built_odist.ts";

const ignore = Deno.build.os === "windows";

Deno.test(
  { name: "The first start in an empty HOME touches nothing but its cache", ignore },
  async () => {
    await using machine = await Machine.make("fresh");
    const { code, stdout, stderr } = await machine.run(["version"]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /\d+\.\d+\.\d+/);
    const entries = [...Deno.readDirSync(machine.home)].map((entry) => entry.name);
    assert.deepEqual(entries, [".cache"]);
    const cached = [...Deno.readDirSync(machine.cache)].map((entry) => entry.name);
    assert.deepEqual(cached, ["odist"]);
  },
);

Deno.test({ name: "An unknown command exits with 2", ignore }, async () => {
  await using machine = await Machine.make();
  const { code, stderr } = await machine.run(["sevre"]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /serve/);
});
