import assert from "node:assert/strict";
import { join } from "node:path";
import { digestOf, MemoryBlobStore } from "../../tests/harness/memory_models.ts";
import { testBlobStore } from "../../tests/harness/model_storage_contract.ts";
import { openBlobStore } from "./mod.ts";

const HELLO = new TextEncoder().encode("hello blob");
const SILENT = { log: () => {} };

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-blobs-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const open = (folder: string) => openBlobStore(folder, { log: SILENT, nowMs: () => Date.now() });

testBlobStore("MemoryBlobStore", (use) => use(new MemoryBlobStore()));
testBlobStore("BlobStore", (use) => withFolder(async (folder) => await use(await open(folder))));

async function fileNames(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) names.push(entry.name);
  return names.sort();
}

Deno.test("BlobStore reads into the memory it is given, where it is long enough", () =>
  withFolder(async (folder) => {
    const blobs = await open(folder);
    const { digest } = await blobs.put(HELLO);
    const reader = await blobs.open(digest);
    const into = new ArrayBuffer(4);
    const read = await reader.read(6, 4, { into });
    assert.deepEqual(read, HELLO.slice(6));
    assert.equal(read.buffer, into);
    assert.deepEqual(await reader.read(0, 5, { into }), HELLO.slice(0, 5));
    reader.close();
  }));

Deno.test("BlobStore names files as Ollama does and leaves no temporary ones", () =>
  withFolder(async (folder) => {
    const blobs = await open(folder);
    const { digest } = await blobs.put(HELLO);
    await assert.rejects(
      blobs.write(digestOf(new Uint8Array([1])), ReadableStream.from([HELLO])),
    );
    assert.deepEqual(await fileNames(join(folder, "blobs")), [digest.replace(":", "-")]);
    assert.equal(blobs.path(digest), join(folder, "blobs", digest.replace(":", "-")));
  }));

Deno.test("BlobStore takes up a partial download that Ollama left", () =>
  withFolder(async (folder) => {
    const blobs = await open(folder);
    const path = `${blobs.path(digestOf(HELLO))}-partial`;
    await Deno.writeFile(path, new Uint8Array([...HELLO.slice(0, 5), 0, 0, 0, 0, 0]));
    await Deno.writeTextFile(`${path}-0`, '{"N":0,"Offset":0,"Size":5,"Completed":5}');
    await Deno.writeTextFile(`${path}-1`, '{"N":1,"Offset":5,"Size":5,"Completed":0}');
    const partial = await blobs.findPartial(digestOf(HELLO));
    assert.deepEqual(partial?.parts.map((part) => part.completedBytes), [5, 0]);
    await partial?.append(1, HELLO.slice(5));
    await partial?.commit();
    assert.deepEqual(await fileNames(join(folder, "blobs")), [
      digestOf(HELLO).replace(":", "-"),
    ]);
  }));

Deno.test("BlobStore claims of a download what had come when its disk was asked, and no more", () =>
  withFolder(async (folder) => {
    const blobs = await open(folder);
    const digest = digestOf(HELLO);
    const claimed = async () =>
      JSON.parse(await Deno.readTextFile(`${blobs.path(digest)}-partial-0`)).Completed;
    const partial = await blobs.createPartial(digest, { blobBytes: HELLO.length, partBytes: 10 });
    await partial.append(0, HELLO.slice(0, 2));
    const syncing = partial.sync();
    // Nobody waits for the disk to go on.
    const meanwhile = Promise.all(
      [2, 3, 4, 5].map((at) => partial.append(0, HELLO.slice(at, at + 1))),
    );
    await syncing;
    assert.equal(await claimed(), 2);
    await meanwhile;
    await partial.sync();
    assert.equal(await claimed(), 6);
    partial.close();
  }));

Deno.test("BlobStore begins anew when the state of a partial download is damaged", () =>
  withFolder(async (folder) => {
    const blobs = await open(folder);
    const path = `${blobs.path(digestOf(HELLO))}-partial`;
    for (const state of ['{"N":0,"Offset":0,"Si', '{"N":0,"Offset":3,"Size":7,"Completed":0}']) {
      await Deno.writeFile(path, HELLO);
      await Deno.writeTextFile(`${path}-0`, state);
      assert.equal(await blobs.findPartial(digestOf(HELLO)), undefined);
      assert.deepEqual(await fileNames(join(folder, "blobs")), []);
    }
  }));

Deno.test("BlobStore lets go of a stream that it can't store", () =>
  withFolder(async (folder) => {
    const blobs = await open(folder);
    await Deno.remove(join(folder, "blobs"), { recursive: true });
    let isCancelled = false;
    const stream = new ReadableStream<Uint8Array>({ cancel: () => void (isCancelled = true) });
    await assert.rejects(blobs.write(digestOf(HELLO), stream), { code: "storage_failed" });
    assert.ok(isCancelled);
  }));

Deno.test("BlobStore refuses a download that the disk can't hold, with the figures", () =>
  withFolder(async (folder) => {
    const blobs = await open(folder);
    await assert.rejects(
      blobs.createPartial(digestOf(HELLO), { blobBytes: 1e15, partBytes: 1e9 }),
      { code: "disk_full", message: /1000000000000000 bytes are needed, \d+ bytes are free/ },
    );
    assert.deepEqual(await fileNames(join(folder, "blobs")), []);
  }));

Deno.test("openBlobStore() names the folder it can't use and the reason", () =>
  withFolder(async (folder) => {
    const file = join(folder, "models");
    await Deno.writeTextFile(file, "not a folder");
    await assert.rejects(open(file), {
      code: "storage_failed",
      message: /Cannot open models folder ".*models": Not a directory/,
    });
  }));
