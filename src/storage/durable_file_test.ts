import assert from "node:assert/strict";
import { join } from "node:path";
import { storageErrorFrom, writeFileDurably } from "./durable_file.ts";

Deno.test("writeFileDurably() replaces a file whole or not at all", async () => {
  const folder = await Deno.makeTempDir({ prefix: "odist-durable-" });
  const path = join(folder, "file");
  await writeFileDurably(path, new TextEncoder().encode("old"));
  await writeFileDurably(path, new TextEncoder().encode("new"));
  assert.equal(await Deno.readTextFile(path), "new");
  await Deno.mkdir(join(folder, "taken", "below"), { recursive: true });
  await assert.rejects(writeFileDurably(join(folder, "taken"), new Uint8Array(1)), {
    code: "storage_failed",
  });
  assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name).sort(), [
    "file",
    "taken",
  ]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test({
  name: "storageErrorFrom() tells a full disk with the bytes needed and free",
  ignore: Deno.build.os !== "linux", // The device that is always full.
  async fn() {
    const cause = await Deno.writeFile("/dev/full", new Uint8Array(9)).catch((error) => error);
    const error = await storageErrorFrom(cause, {
      action: "write a blob",
      folder: "/tmp",
      neededBytes: 9,
    });
    assert.equal(error.code, "disk_full");
    assert.match(error.message, /write a blob in "\/tmp": 9 bytes are needed, \d+ bytes are free/);
  },
});
