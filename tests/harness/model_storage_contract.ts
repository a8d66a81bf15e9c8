/**
 * What every BlobStore and every ModelCatalog must do, whatever they keep things in. A test file registers the suite
 * once per implementation.
 *
 * @module
 */
import assert from "node:assert/strict";
import { StorageError } from "../../src/base/mod.ts";
import type { BlobStore, ModelCatalog } from "../../src/ports/mod.ts";
import {
  displayModelName,
  encodeManifest,
  type Manifest,
  MANIFEST_MEDIA_TYPE,
  type ModelName,
  parseModelName,
} from "../../src/protocol/mod.ts";
import { digestOf } from "./memory_models.ts";

/** Runs `use` with a fresh, empty implementation and cleans up after it. */
type Provide<T> = (use: (subject: T) => Promise<void>) => Promise<void>;

const HELLO = new TextEncoder().encode("hello blob");

/** A name from text that is known to be valid. */
export function nameOf(text: string): ModelName {
  const name = parseModelName(text);
  assert.ok(name, text);
  return name;
}

/** Bytes of a manifest whose config is `configBytes` long, so that two can differ. */
export function manifestBytes(configBytes: number): Uint8Array {
  const config = { mediaType: "application/json", digest: digestOf(HELLO), size: configBytes };
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_MEDIA_TYPE,
    config,
    layers: [],
  };
  return encodeManifest(manifest);
}

type TestBlobs = (claim: string, use: (blobs: BlobStore) => Promise<void>) => void;

export function testBlobStore(kind: string, provide: Provide<BlobStore>): void {
  const test: TestBlobs = (claim, use) => Deno.test(`${kind} ${claim}`, () => provide(use));
  testWriting(test);
  testReading(test);
  testPartials(test);
}

function testWriting(test: TestBlobs): void {
  test("gives back what was put, under its digest", async (blobs) => {
    assert.deepEqual(await blobs.put(HELLO), { digest: digestOf(HELLO), outcome: "created" });
    assert.equal((await blobs.put(HELLO)).outcome, "exists");
    assert.deepEqual(await blobs.read(digestOf(HELLO)), HELLO);
    assert.deepEqual(await blobs.find(digestOf(HELLO)), { blobBytes: HELLO.length });
    assert.deepEqual(await blobs.list(), [digestOf(HELLO)]);
  });

  test("stores nothing when the digest differs", async (blobs) => {
    const wanted = digestOf(new Uint8Array([1]));
    await assert.rejects(blobs.write(wanted, ReadableStream.from([HELLO])), {
      code: "digest_mismatch",
      message: `digest mismatch, expected "${wanted}", got "${digestOf(HELLO)}"`,
    });
    assert.deepEqual(await blobs.list(), []);
  });

  test("stores nothing when the sender fails midway", async (blobs) => {
    const broken = ReadableStream.from((async function* () {
      yield HELLO.subarray(0, 3);
      throw new TypeError("connection lost");
    })());
    await assert.rejects(blobs.write(digestOf(HELLO), broken), TypeError);
    assert.deepEqual(await blobs.list(), []);
  });

  test("stores what another writes to a file, or nothing when it fails", async (blobs) => {
    const stored = await blobs.putFile((path) => Deno.writeFile(path, HELLO));
    assert.deepEqual(stored, { digest: digestOf(HELLO), blobBytes: HELLO.length });
    assert.deepEqual(await blobs.read(stored.digest), HELLO);
    await blobs.delete(stored.digest);
    await assert.rejects(
      blobs.putFile(async (path) => {
        await Deno.writeFile(path, HELLO);
        throw new TypeError("given up");
      }),
      TypeError,
    );
    assert.deepEqual(await blobs.list(), []);
  });

  test("leaves the stream of a known blob unread", async (blobs) => {
    await blobs.put(HELLO);
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
    assert.equal(await blobs.write(digestOf(HELLO), stream), "exists");
    assert.ok(cancelled);
  });
}

function testReading(test: TestBlobs): void {
  test("reads parts of a blob and stops at its end", async (blobs) => {
    await blobs.put(HELLO);
    const reader = await blobs.open(digestOf(HELLO));
    assert.equal(reader.blobBytes, HELLO.length);
    assert.deepEqual(await reader.read(6, 4), HELLO.slice(6));
    assert.deepEqual(await reader.read(8, 100), HELLO.slice(8));
    assert.deepEqual(await reader.read(100, 5), new Uint8Array());
    reader.close();
  });

  test("says that an absent blob is corrupt, and forgets a deleted one", async (blobs) => {
    await blobs.put(HELLO);
    await blobs.delete(digestOf(HELLO));
    await blobs.delete(digestOf(HELLO));
    assert.equal(await blobs.find(digestOf(HELLO)), undefined);
    await assert.rejects(blobs.read(digestOf(HELLO)), { code: "corrupt_file" });
    await assert.rejects(blobs.open(digestOf(HELLO)), { code: "corrupt_file" });
  });
}

function testPartials(test: TestBlobs): void {
  test("takes up a partial blob where it was left and commits it", async (blobs) => {
    const digest = digestOf(HELLO);
    const first = await blobs.createPartial(digest, { blobBytes: HELLO.length, partBytes: 4 });
    await first.append(1, HELLO.slice(4, 8));
    await first.append(0, HELLO.slice(0, 2));
    await first.sync();
    first.close();
    assert.equal(await blobs.find(digest), undefined);

    const second = await blobs.findPartial(digest);
    assert.ok(second);
    assert.deepEqual(second.parts.map((part) => part.completedBytes), [2, 4, 0]);
    await second.append(0, HELLO.slice(2, 4));
    await second.append(2, HELLO.slice(8));
    await second.commit();

    assert.deepEqual(await blobs.read(digest), HELLO);
    assert.equal(await blobs.findPartial(digest), undefined);
  });

  test("throws a partial blob away when its digest is wrong", async (blobs) => {
    const digest = digestOf(HELLO);
    const partial = await blobs.createPartial(digest, { blobBytes: 3, partBytes: 3 });
    await partial.append(0, HELLO.slice(0, 3));
    await assert.rejects(partial.commit(), StorageError);
    assert.equal(await blobs.findPartial(digest), undefined);
    assert.equal(await blobs.find(digest), undefined);
  });
}

export function testModelCatalog(kind: string, provide: Provide<ModelCatalog>): void {
  const test = (claim: string, use: (catalog: ModelCatalog) => Promise<void>) =>
    Deno.test(`${kind} ${claim}`, () => provide(use));

  test("keeps a manifest's bytes exactly", async (catalog) => {
    const bytes = new TextEncoder().encode(
      `\n ${new TextDecoder().decode(manifestBytes(1))}  \n`,
    );
    await catalog.put(nameOf("m"), bytes);
    const entry = await catalog.find(nameOf("m"));
    assert.deepEqual(entry?.bytes, bytes);
    assert.equal(entry?.manifestDigest, digestOf(bytes).slice("sha256:".length));
    assert.equal(entry?.manifest.config.size, 1);
  });

  test("finds a name in any case and keeps its first spelling", async (catalog) => {
    await catalog.put(nameOf("Llama:8B"), manifestBytes(1));
    await catalog.put(nameOf("llama:8b"), manifestBytes(2));
    const entries = await catalog.list();
    assert.deepEqual(entries.map((entry) => displayModelName(entry.name)), ["Llama:8B"]);
    assert.equal((await catalog.find(nameOf("LLAMA:8b")))?.manifest.config.size, 2);
  });

  test("tells what a manifest replaced", async (catalog) => {
    const first = await catalog.put(nameOf("m"), manifestBytes(1));
    assert.equal(first.replaced, undefined);
    assert.deepEqual(first.stored?.bytes, manifestBytes(1));
    const { stored, replaced } = await catalog.put(nameOf("M"), manifestBytes(2));
    assert.deepEqual(replaced?.bytes, manifestBytes(1));
    assert.deepEqual([stored?.name, stored?.bytes], [nameOf("m"), manifestBytes(2)]);
  });

  test("copies what a name points at, if there is such a name", async (catalog) => {
    await catalog.put(nameOf("m"), manifestBytes(1));
    assert.equal(await catalog.copy(nameOf("M"), nameOf("n")), true);
    assert.deepEqual((await catalog.find(nameOf("n")))?.bytes, manifestBytes(1));
    assert.equal(await catalog.copy(nameOf("nobody"), nameOf("m")), false);
    assert.ok(await catalog.find(nameOf("m")));
  });

  test("knows nothing of a deleted name and leaves its neighbours", async (catalog) => {
    await catalog.put(nameOf("m:a"), manifestBytes(1));
    await catalog.put(nameOf("m:b"), manifestBytes(1));
    assert.equal(await catalog.delete(nameOf("M:A")), true);
    assert.equal(await catalog.delete(nameOf("m:a")), false);
    assert.equal(await catalog.find(nameOf("m:a")), undefined);
    assert.ok(await catalog.find(nameOf("m:b")));
  });
}
