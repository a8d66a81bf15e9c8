import assert from "node:assert/strict";
import { join } from "node:path";
import { RequestError, StorageError } from "../base/mod.ts";
import { Catalogue } from "../core/catalogue/mod.ts";
import { encodeCommand } from "../protocol/mod.ts";
import { fileAt, lockFolder } from "../storage/mod.ts";
import { foundationOf, restoreSnapshot } from "./foundation.ts";

function snapshotOfOne(): Uint8Array {
  const catalogue = Catalogue.empty();
  const command = { kind: "put_setting", key: "kept", value: "v", expected: undefined } as const;
  catalogue.apply(1, encodeCommand({ command, request: undefined }));
  return catalogue.snapshot();
}

Deno.test("restoreSnapshot lays down what the next start founds a cluster with, once", async () => {
  const folder = await Deno.makeTempDir();
  assert.equal(await fileAt(foundationOf(folder)).read(), undefined);
  assert.deepEqual(await restoreSnapshot(folder, snapshotOfOne()), { models: 0, settings: 1 });
  const found = await fileAt(foundationOf(folder)).read() ?? new Uint8Array();
  const founded = Catalogue.restore(found);
  assert(founded.kind === "decoded");
  assert.equal(founded.value.findSetting("kept")?.value, "v");
  await fileAt(foundationOf(folder)).remove();
  await fileAt(foundationOf(folder)).remove();
  assert.equal(await fileAt(foundationOf(folder)).read(), undefined);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("restoreSnapshot refuses what is no snapshot, and a folder that is in use", async () => {
  const folder = await Deno.makeTempDir();
  const isRefused = (code: string) => (error: unknown) =>
    (error instanceof RequestError || error instanceof StorageError) && error.code === code;
  const junk = restoreSnapshot(folder, new TextEncoder().encode("junk"));
  await assert.rejects(junk, isRefused("invalid_request"));
  const lock = await lockFolder(folder);
  await assert.rejects(restoreSnapshot(folder, snapshotOfOne()), isRefused("data_folder_locked"));
  lock.release();
  await Deno.mkdir(join(folder, "cluster"));
  await assert.rejects(restoreSnapshot(folder, snapshotOfOne()), isRefused("conflict"));
  assert.equal(await fileAt(foundationOf(folder)).read(), undefined);
  await Deno.remove(folder, { recursive: true });
});
