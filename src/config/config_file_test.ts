import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { migrateConfigFile, readConfig } from "./config_file.ts";

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

Deno.test("A secret is read from the file that an option names, or from systemd's credentials", async () => {
  await withFolder((folder) => {
    const flags = { dataFolder: folder, joinAddresses: "10.0.0.1" };
    const path = join(folder, "token");
    Deno.writeTextFileSync(path, "odist-abc\n", { mode: 0o600 });
    const named = readConfig({ flags: { ...flags, joinTokenFile: path }, env: {} });
    assert.equal(named.config.cluster.joinToken, "odist-abc");
    assert.deepEqual(named.origins.joinToken, { kind: "file", name: path });
    assert.deepEqual(named.warnings, []);
    const env = { ODIST_KEY_FILE: path };
    assert.equal(readConfig({ flags, env }).config.cli.apiKey, "odist-abc");
    Deno.writeTextFileSync(join(folder, "odist-token"), "odist-def", { mode: 0o400 });
    const service = readConfig({ flags, env: { CREDENTIALS_DIRECTORY: folder } });
    assert.equal(service.config.cluster.joinToken, "odist-def");
    assert.equal(service.config.cli.apiKey, "");
  });
});

Deno.test("A secret's file that can't be read, is empty or is not needed is said so", async () => {
  await withFolder((folder) => {
    const flags = { dataFolder: folder, joinAddresses: "10.0.0.1" };
    const path = join(folder, "token");
    const by = { flags: { ...flags, joinTokenFile: path }, env: {} };
    assert.throws(() => readConfig(by), /Cannot read .*token/);
    Deno.writeTextFileSync(path, "\n");
    assert.throws(() => readConfig(by), /holds no secret/);
    const both = readConfig({ ...by, env: { ODIST_TOKEN: "odist-env" } });
    assert.equal(both.config.cluster.joinToken, "odist-env");
    assert.deepEqual(both.warnings, ["--token-file is not read: ODIST_TOKEN gives the token"]);
  });
});

Deno.test({
  name: "A file with a secret that others can read is named",
  ignore: Deno.build.os === "windows",
  async fn() {
    await withFolder((folder) => {
      const path = join(folder, "config.json");
      Deno.writeTextFileSync(path, `{"key": "odist-key-abc"}`);
      const by = { flags: { dataFolder: folder }, env: {} };
      Deno.chmodSync(path, 0o644);
      assert.match(
        readConfig(by).warnings[0] ?? "",
        /config.json holds a key .*mode 644.*chmod 600/,
      );
      Deno.chmodSync(path, 0o600);
      assert.deepEqual(readConfig(by).warnings, []);
      // Without a secret it may be.
      Deno.writeTextFileSync(path, `{"slots": 2}`);
      Deno.chmodSync(path, 0o644);
      assert.deepEqual(readConfig(by).warnings, []);
    });
  },
});

Deno.test("A key in another spelling counts, with a warning, and is migrated with the old file kept", async () => {
  await withFolder((folder) => {
    const path = join(folder, "config.json");
    const sources = { flags: { dataFolder: folder }, env: {} };
    const old = `{"keep_alive": "7m", "ODIST_SLOTS": 3, "maxQueue": 9, "OLLAMA_MODELS": "/m"}`;
    Deno.writeTextFileSync(path, old, { mode: 0o600 });
    const before = readConfig(sources);
    assert.equal(before.config.engine.slots, 3);
    assert.equal(before.config.storage.modelsFolder, resolve("/m"));
    assert.equal(before.warnings.length, 4);
    assert.match(before.warnings[0] ?? "", /"keep_alive" in .* is "keep-alive".*config --migrate/);
    assert.equal(migrateConfigFile(sources).changes.length, 4);
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(path)), {
      ...{ "keep-alive": "7m", slots: 3, "max-queue": 9, models: "/m" },
    });
    assert.equal(Deno.readTextFileSync(`${path}.old`), old);
    if (Deno.build.os !== "windows") assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(readConfig(sources).warnings, []);
    assert.deepEqual(readConfig(sources).config, before.config);
    assert.deepEqual(migrateConfigFile(sources), { path, changes: [] });
  });
});

Deno.test("An option that is there in two spellings is refused, and such a file is not migrated", async () => {
  await withFolder((folder) => {
    const path = join(folder, "config.json");
    const sources = { flags: { dataFolder: folder }, env: {} };
    for (const [other, value] of [["keep-alive", "8m"], ["KEEP_ALIVE", "8m"]] as const) {
      const text = JSON.stringify({ keep_alive: "7m", [other]: value });
      Deno.writeTextFileSync(path, text);
      assert.throws(() => readConfig(sources), /is "keep-alive", which is there, too/);
      assert.throws(() => migrateConfigFile(sources), /which is there, too/);
      assert.equal(Deno.readTextFileSync(path), text);
    }
  });
});

Deno.test("Ollama's variable is no key of the file where its words mean something else here", async () => {
  await withFolder((folder) => {
    Deno.writeTextFileSync(join(folder, "config.json"), `{"OLLAMA_FLASH_ATTENTION": "1"}`);
    assert.throws(() => readConfig({ flags: { dataFolder: folder }, env: {} }), /has no option/);
  });
});

/** Every option that there was in commit 87b79cc, with its default of then, or with one of the values it took. */
const EARLIER = {
  ...{ host: "127.0.0.1:11434", origins: "https://a.example", "max-body": "64MiB" },
  ...{ "drain-timeout": "30s", "keep-alive": "5m", "load-timeout": "5m", "max-loaded-models": 0 },
  ...{ "max-queue": 512, "memory-reserve": "256MiB", threads: 0, slots: 1, context: 0, batch: 0 },
  ...{ "flash-attention": "auto", "kv-cache-type": "f16", models: "/m", prune: true },
  ...{ listen: "0.0.0.0:11435", advertise: "10.0.0.1:11435", join: "10.0.0.2:11435", token: "t" },
  ...{ name: "attic", discover: false, network: "lan", replicas: 0, "replicate-after": "30s" },
  ...{ "repair-after": "60s", "replace-voters-after": "60s", heartbeat: "150ms" },
  ...{ "log-level": "info", "log-format": "text", metrics: true, key: "k", history: true },
};

Deno.test("A file in the names and defaults of commit 87b79cc is read, and migrated to one that needs no warning", async () => {
  await withFolder((folder) => {
    const path = join(folder, "config.json");
    const sources = { flags: { dataFolder: folder }, env: {} };
    Deno.writeTextFileSync(path, JSON.stringify(EARLIER), { mode: 0o600 });
    const before = readConfig(sources);
    assert.equal(before.config.http.bodyBytesMax, 32 * 2 ** 20);
    assert.deepEqual(before.warnings, [
      `"max-body" in ${path}: 64MiB counts as 32MiB, the most it may be now: images and audio have --max-media`,
    ]);
    assert.deepEqual(migrateConfigFile(sources).changes, [
      "max-body is 32MiB now, and was 64MiB",
    ]);
    const migrated = readConfig(sources);
    assert.deepEqual(migrated.warnings, []);
    assert.deepEqual(migrated.config, before.config);
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(path)), {
      ...EARLIER,
      "max-body": "32MiB",
    });
  });
});

Deno.test("A variable may say what was taken earlier, and nothing beyond that", async () => {
  await withFolder((folder) => {
    const sources = { flags: { dataFolder: folder } };
    const loaded = readConfig({ ...sources, env: { ODIST_MAX_BODY: "4GiB" } });
    assert.equal(loaded.config.http.bodyBytesMax, 32 * 2 ** 20);
    assert.match(loaded.warnings.join(), /^ODIST_MAX_BODY: 4GiB counts as 32MiB/);
    assert.throws(() => readConfig({ ...sources, env: { ODIST_MAX_BODY: "5GiB" } }), /to 32MiB/);
  });
});
