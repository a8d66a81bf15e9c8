import assert from "node:assert/strict";
import { join } from "node:path";
import { readConfig } from "./config_file.ts";

async function withFolder(run: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readConfig reads config.json in the data folder, and does without it", async () => {
  await withFolder((folder) => {
    const sources = { flags: { dataFolder: folder }, env: {} };
    assert.equal(readConfig(sources).config.engine.slots, 1);
    Deno.writeTextFileSync(join(folder, "config.json"), `{"slots": 3}`);
    const loaded = readConfig(sources);
    assert.equal(loaded.config.engine.slots, 3);
    assert.deepEqual(loaded.origins.slots, { kind: "file", name: join(folder, "config.json") });
  });
});

Deno.test("readConfig prefers the named file, which must exist", async () => {
  await withFolder((folder) => {
    const path = join(folder, "mine.json");
    const sources = { flags: { dataFolder: folder }, env: { ODIST_CONFIG: path } };
    assert.throws(() => readConfig(sources), /there is no such file/);
    Deno.writeTextFileSync(path, `{"slots": 4}`);
    assert.equal(readConfig(sources).config.engine.slots, 4);
    const other = join(folder, "other.json");
    Deno.writeTextFileSync(other, `{"slots": 5}`);
    assert.equal(readConfig({ ...sources, path: other }).config.engine.slots, 5);
  });
});

Deno.test("readConfig reports a mistake elsewhere once, not while it looks for the file", async () => {
  await withFolder((folder) => {
    const sources = { flags: { dataFolder: folder, slots: "0" } };
    assert.throws(
      () => readConfig({ ...sources, env: {} }),
      /^RequestError: Cannot use this configuration: --slots/,
    );
  });
});
