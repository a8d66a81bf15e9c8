import assert from "node:assert/strict";
import { join } from "node:path";
import type { Disk } from "../ports/mod.ts";
import { openDisk } from "./deno_disk.ts";

Deno.test("openDisk's files that are written by turns are opened once", async () => {
  await withDisk(async ({ disk, opened }) => {
    await disk.create("segment", new Uint8Array(1024));
    await disk.create("watermark", new Uint8Array(1024));
    opened.length = 0;
    for (let turn = 1; turn <= 20; turn++) {
      await disk.write("segment", { at: 512, bytes: Uint8Array.of(turn) });
      await disk.sync("segment");
      await disk.write("watermark", { at: 0, bytes: Uint8Array.of(turn) });
    }
    assert.deepEqual(opened, ["segment", "watermark"]);
    assert.equal((await disk.read("segment"))?.[512], 20);
    assert.equal((await disk.read("watermark"))?.[0], 20);
  });
});

Deno.test({
  name: "openDisk holds no more files open than are written by turns",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await withDisk(async ({ disk, folder }) => {
      for (const name of ["a", "b", "c", "d", "e"]) {
        await disk.create(name, new Uint8Array(8));
        await disk.write(name, { at: 0, bytes: Uint8Array.of(1) });
      }
      assert.equal(openFilesIn(folder), 2);
      await disk.close();
      assert.equal(openFilesIn(folder), 0);
    });
  },
});

Deno.test({
  name: "openDisk keeps one file open of those that overlapping calls open",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await withDisk(async ({ disk, folder }) => {
      const names = ["a", "b"];
      for (const name of names) await disk.create(name, new Uint8Array(8));
      await Promise.all(
        [...names, ...names].map((name, at) => disk.write(name, { at, bytes: Uint8Array.of(1) })),
      );
      assert.ok(openFilesIn(folder) <= 2);
      assert.deepEqual(await disk.read("a"), Uint8Array.of(1, 0, 1, 0, 0, 0, 0, 0));
      await disk.close();
      assert.equal(openFilesIn(folder), 0);
    });
  },
});

Deno.test("openDisk writes to what a name means now, not to what it meant when the file was opened", async () => {
  await withDisk(async ({ disk }) => {
    const write = (name: string, byte: number) =>
      disk.write(name, { at: 0, bytes: Uint8Array.of(byte) });
    for (const name of ["a", "b"]) {
      await disk.create(name, new Uint8Array(1));
      await write(name, 1);
    }
    await disk.rename("a", "b");
    await write("b", 2);
    assert.deepEqual(await disk.read("b"), Uint8Array.of(2), "after a rename over it");
    await assert.rejects(write("a", 3), { code: "storage_failed" });
    await disk.remove("b");
    await assert.rejects(write("b", 4), { code: "storage_failed" });
    await disk.create("b", new Uint8Array(1));
    await write("b", 5);
    assert.deepEqual(await disk.read("b"), Uint8Array.of(5), "after it was made anew");
  });
});

interface Scene {
  readonly disk: Disk;
  readonly folder: string;
  /** Names of the files, in the order in which they were opened. */
  readonly opened: string[];
}

async function withDisk(test: (scene: Scene) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-deno-disk-" });
  const { open } = Deno;
  const opened: string[] = [];
  Deno.open = (path, options) => {
    opened.push(String(path).slice(folder.length + 1));
    return open(path, options);
  };
  try {
    const disk = await openDisk(folder);
    await test({ disk, folder, opened });
    await disk.close();
  } finally {
    Deno.open = open;
    await Deno.remove(folder, { recursive: true });
  }
}

function openFilesIn(folder: string): number {
  const links = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => linkOf(name));
  return links.filter((path) => path.startsWith(join(folder, "/"))).length;
}

/** "" for the one by which the folder was read. */
function linkOf(descriptor: string): string {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return "";
  }
}
