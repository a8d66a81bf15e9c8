import assert from "node:assert/strict";
import { join } from "node:path";
import type { Digest } from "../../base/mod.ts";
import type { BlobRange } from "../../ports/mod.ts";
import { openRangeStore } from "./range_store.ts";

const BLOB = `sha256:${"ab".repeat(32)}` as Digest;
const OTHER = `sha256:${"cd".repeat(32)}` as Digest;
const FILE = Uint8Array.from({ length: 5_000 }, (_, at) => at % 251);
const RANGES = [{ offset: 100, length: 700 }, { offset: 2_000, length: 50 }];

async function* bytesOf(...parts: readonly Uint8Array[]) {
  yield* parts;
}

const partOf = ({ offset, length }: BlobRange) => bytesOf(FILE.subarray(offset, offset + length));

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(join(folder, "layers"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("ranges of a blob are read once all are there, over a restart, and only within them", () =>
  withFolder(async (folder) => {
    const store = await openRangeStore(folder);
    const [first, second] = RANGES as [BlobRange, BlobRange];
    await store.write(BLOB, first, partOf(first));
    assert.equal(await store.open(BLOB, RANGES), undefined);
    assert.deepEqual(await store.missing(BLOB, RANGES), [second]);
    await store.write(BLOB, second, partOf(second));
    const again = await openRangeStore(folder);
    const reader = await again.open(BLOB, RANGES);
    assert.deepEqual(await reader?.read(300, 100), FILE.slice(300, 400));
    assert.deepEqual(await reader?.read(2_000, 50), FILE.slice(2_000, 2_050));
    // Between them is nothing, nor beyond.
    assert.deepEqual(await reader?.read(700, 200), new Uint8Array(0));
    assert.deepEqual(await reader?.read(2_040, 20), new Uint8Array(0));
    reader?.close();
    assert.equal(await again.open(OTHER, RANGES), undefined);
    await again.drop(BLOB);
    assert.deepEqual(await again.missing(BLOB, RANGES), RANGES);
  }));

Deno.test("nothing is kept of a range that ends early, is too long, or breaks off", () =>
  withFolder(async (folder) => {
    const store = await openRangeStore(folder);
    const range = { offset: 0, length: 10 };
    const broken = async function* () {
      yield new Uint8Array(5);
      throw new Error("cut");
    };
    await assert.rejects(store.write(BLOB, range, bytesOf(new Uint8Array(9))), {
      code: "malformed_frame",
    });
    await assert.rejects(store.write(BLOB, range, bytesOf(new Uint8Array(11))), {
      code: "malformed_frame",
    });
    await assert.rejects(store.write(BLOB, range, broken()));
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  }));

Deno.test("what is longest unused goes first, what is open stays, and what is too much is refused", () =>
  withFolder(async (folder) => {
    // A disk of 4,000 bytes, of which a quarter may be used.
    const store = await openRangeStore(folder, { freeBytes: (used) => 4_000 - used });
    const range = { offset: 0, length: 400 };
    const blobs = ["1", "2", "3"].map((digit) => `sha256:${digit.repeat(64)}` as Digest);
    const [old, open, fresh] = blobs as [Digest, Digest, Digest];
    await store.write(old, range, partOf(range));
    await store.write(open, range, partOf(range));
    const longAgo = new Date(1e12);
    for await (const { name } of Deno.readDir(folder)) {
      await Deno.utime(join(folder, name), longAgo, longAgo);
    }
    const reader = await store.open(open, [range]);
    await store.write(fresh, range, partOf(range));
    const kept = await Promise.all(
      blobs.map(async (blob) => (await store.missing(blob, [range])).length === 0),
    );
    assert.deepEqual(kept, [false, true, true]);
    const large = { offset: 0, length: 1_001 };
    await assert.rejects(store.write(old, large, partOf(large)), { code: "disk_full" });
    assert.deepEqual(await reader?.read(0, 5), FILE.slice(0, 5));
    reader?.close();
  }));
