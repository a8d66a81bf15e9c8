import assert from "node:assert/strict";
import { MemoryBlobStore } from "../../tests/harness/memory_models.ts";
import { type Digest, sha256Hex } from "../base/mod.ts";
import { UploadQuota } from "./upload_quota.ts";

const LIMITS = { unusedBytesMax: 1_000, unusedBlobsMax: 4, freeBytesMin: 100 };

function stage() {
  const state = { freeBytes: 1_000 as number | undefined, used: new Set<Digest>() };
  const blobs = new MemoryBlobStore();
  const quota = new UploadQuota({
    blobs,
    usedBlobs: () => state.used,
    freeBytes: () => Promise.resolve(state.freeBytes),
    limits: LIMITS,
  });
  let serial = 0;
  const upload = async (byteCount: number) => {
    const bytes = new Uint8Array(byteCount).fill(++serial);
    const digest = `sha256:${sha256Hex(bytes)}` as Digest;
    await quota.write(digest, ReadableStream.from([bytes.slice(0, 10), bytes.slice(10)]));
    return digest;
  };
  return { state, blobs, upload };
}

Deno.test("Uploads that no model uses are bounded in bytes, and count no more once one does", async () => {
  const { state, upload, blobs } = stage();
  const first = await upload(600);
  await assert.rejects(upload(600), {
    code: "disk_full",
    message: /would take 1.2 KiB, at most 1000 B may be/,
  });
  assert.equal((await blobs.list()).length, 1, "nothing of it stays");
  state.used.add(first);
  await upload(600);
});

Deno.test("Uploads that no model uses are bounded in number", async () => {
  const { upload, blobs } = stage();
  const [first] = [await upload(20), await upload(20), await upload(20), await upload(20)];
  await assert.rejects(upload(20), { code: "disk_full", message: /4 uploaded blobs .* at most 4/ });
  await blobs.delete(first);
  await upload(20);
});

Deno.test("An upload leaves room on the disk for the node itself", async () => {
  const { state, upload } = stage();
  state.freeBytes = 99;
  await assert.rejects(upload(20), { code: "disk_full", message: /99 B free.* leave 100 B/ });
  state.freeBytes = undefined;
  await upload(20);
});
