import assert from "node:assert/strict";
import { join } from "node:path";
import { StorageError } from "../../base/mod.ts";
import { openSecretFolder } from "../mod.ts";

async function inFolder(
  test: (place: { readonly folder: string; readonly repaired: unknown[] }) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "odist-test-" });
  try {
    await test({ folder: join(root, "cluster"), repaired: [] });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test({
  name: "A folder of secrets and its files are the owner's alone",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async ({ folder, repaired }) => {
      const files = await openSecretFolder(folder, { onRepaired: (row) => repaired.push(row) });
      await files.write("key.pem", Uint8Array.of(1, 2));
      assert.equal(((await Deno.stat(folder)).mode ?? 0) & 0o777, 0o700);
      assert.equal(((await Deno.stat(join(folder, "key.pem"))).mode ?? 0) & 0o777, 0o600);
      assert.deepEqual(await files.read("key.pem"), Uint8Array.of(1, 2));
      assert.deepEqual(repaired, []);
    }),
});

Deno.test({
  name: "A secret that others may read is closed again and reported",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async ({ folder, repaired }) => {
      const files = await openSecretFolder(folder, { onRepaired: (row) => repaired.push(row) });
      await files.write("key.pem", Uint8Array.of(1));
      await Deno.chmod(join(folder, "key.pem"), 0o644);
      assert.deepEqual(await files.read("key.pem"), Uint8Array.of(1));
      assert.equal(((await Deno.stat(join(folder, "key.pem"))).mode ?? 0) & 0o777, 0o600);
      assert.deepEqual(repaired, [{ name: "key.pem", mode: 0o644 }]);
    }),
});

Deno.test("A folder of secrets says what is not there, forgets what is removed and refuses the absurd", () =>
  inFolder(async ({ folder }) => {
    const files = await openSecretFolder(folder, { onRepaired: () => {} });
    assert.equal(await files.read("key.pem"), undefined);
    await files.remove("key.pem");
    await files.write("key.pem", new Uint8Array(70_000));
    await assert.rejects(
      files.read("key.pem"),
      (error) => error instanceof StorageError && error.code === "corrupt_file",
    );
    await files.remove("key.pem");
    assert.equal(await files.read("key.pem"), undefined);
  }));

Deno.test("A folder of secrets is cleared of what a crash left half-written", () =>
  inFolder(async ({ folder }) => {
    await Deno.mkdir(folder);
    await Deno.writeTextFile(join(folder, ".tmp-1234"), "half a key");
    await openSecretFolder(folder, { onRepaired: () => {} });
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["reserve"]);
  }));
