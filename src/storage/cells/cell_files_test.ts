import assert from "node:assert/strict";
import { join } from "node:path";
import type { CellsHeader } from "../../protocol/mod.ts";
import { openCellFiles } from "./cell_files.ts";

const KEY = "0".repeat(32);
const OTHER_KEY = "1".repeat(32);

function cells(digit: string, more: Partial<CellsHeader> = {}, replaces: readonly string[] = []) {
  const state = new Uint8Array(100).fill(digit.charCodeAt(0));
  const header: CellsHeader = {
    id: digit.repeat(32),
    tokens: Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0),
    savedPositions: 0,
    computeMs: 50,
    bytes: state.length,
    sha256: "",
    ...more,
  };
  return { header, state, replaces };
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  await work(join(folder, "cells"));
  await Deno.remove(folder, { recursive: true });
}

const idsOf = async (store: ReturnType<typeof openCellFiles>, key = KEY) =>
  (await store.list(key)).map(({ id }) => id[0]).join("");

Deno.test("openCellFiles() gives back what was written, of the same key alone, also after a restart", () =>
  inFolder(async (folder) => {
    const store = openCellFiles(folder, { cacheDiskBytes: 1_000, cacheEncrypt: false });
    await store.write(KEY, cells("a"));
    for (
      const one of [store, openCellFiles(folder, { cacheDiskBytes: 1_000, cacheEncrypt: false })]
    ) {
      assert.deepEqual(await one.list(KEY), [cells("a").header]);
      assert.deepEqual(await one.read(KEY, cells("a").header.id), cells("a").state);
      assert.deepEqual(await one.list(OTHER_KEY), []);
      assert.equal(await one.read(OTHER_KEY, cells("a").header.id), undefined);
    }
  }));

Deno.test("openCellFiles() holds its bytes: what saves least time for them goes first, then what was used longest ago", () =>
  inFolder(async (folder) => {
    const store = openCellFiles(folder, { cacheDiskBytes: 300, cacheEncrypt: false });
    for (const digit of ["a", "b", "c"]) await store.write(KEY, cells(digit));
    await store.write(OTHER_KEY, cells("d"));
    assert.deepEqual([await idsOf(store), await idsOf(store, OTHER_KEY)], ["bc", "d"]);
    await store.write(KEY, cells("e", { computeMs: 1 }));
    assert.equal(await idsOf(store), "ce");
    await store.write(KEY, cells("f", { bytes: 301 }));
    assert.equal(await idsOf(store), "ce");
    const smaller = openCellFiles(folder, { cacheDiskBytes: 0, cacheEncrypt: false });
    assert.equal(await idsOf(smaller), "");
    assert.deepEqual([...Deno.readDirSync(join(folder, KEY))], []);
  }));

Deno.test("openCellFiles() replaces what longer cells begin with, and is asked to remove what is damaged", () =>
  inFolder(async (folder) => {
    const store = openCellFiles(folder, { cacheDiskBytes: 1_000, cacheEncrypt: false });
    await store.write(KEY, cells("a"));
    await store.write(KEY, cells("b", {}, [cells("a").header.id]));
    assert.equal(await idsOf(store), "b");
    await store.write(KEY, cells("b"));
    assert.equal(await idsOf(store), "b");
    await store.remove(KEY, cells("b").header.id);
    assert.equal(await idsOf(store), "");
  }));

Deno.test("openCellFiles() removes files that are cut, strange or half written", () =>
  inFolder(async (folder) => {
    await openCellFiles(folder, { cacheDiskBytes: 1_000, cacheEncrypt: false }).write(
      KEY,
      cells("a"),
    );
    const path = join(folder, KEY, cells("a").header.id);
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 1));
    await Deno.writeFile(join(folder, KEY, "b".repeat(32)), bytes);
    await Deno.writeTextFile(join(folder, KEY, "c".repeat(32)), "no cells at all, but a long text");
    await Deno.writeFile(join(folder, KEY, ".tmp-1"), bytes);
    assert.equal(
      await idsOf(openCellFiles(folder, { cacheDiskBytes: 1_000, cacheEncrypt: false })),
      "",
    );
    assert.deepEqual([...Deno.readDirSync(join(folder, KEY))], []);
  }));

Deno.test("openCellFiles() writes nothing in clear where it is to be encrypted, and knows it no more after a restart", () =>
  inFolder(async (folder) => {
    const how = { cacheDiskBytes: 1_000, cacheEncrypt: true };
    const store = openCellFiles(folder, how);
    const { header, state } = cells("a", { sha256: "digest" });
    await store.write(KEY, cells("a", { sha256: "digest" }));
    assert.deepEqual(await store.read(KEY, header.id), state);
    const [{ name } = { name: "" }] = Deno.readDirSync(join(folder, KEY));
    assert.notEqual(name, header.id);
    const text = new TextDecoder("latin1").decode(await Deno.readFile(join(folder, KEY, name)));
    for (const clear of ["aaaa", "digest", header.id]) assert.ok(!text.includes(clear), clear);
    assert.deepEqual(await openCellFiles(folder, how).list(KEY), []);
    assert.deepEqual([...Deno.readDirSync(join(folder, KEY))], []);
  }));
