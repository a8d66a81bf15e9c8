import assert from "node:assert/strict";
import { join } from "node:path";
import { nameOf } from "../../tests/harness/model_storage_contract.ts";
import type { KeptFile } from "../ports/mod.ts";
import { fileAt } from "../storage/mod.ts";
import { KnownModels } from "./known_models.ts";

const ONE = { name: nameOf("m"), manifestDigest: "1".repeat(64) };
const TWO = { name: nameOf("M"), manifestDigest: "2".repeat(64) };

async function withFolder(use: (file: KeptFile) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-known-" });
  try {
    await use(fileAt(join(folder, "known_models.json")));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("KnownModels remembers over restarts, several manifests of a name in any spelling", () =>
  withFolder(async (file) => {
    const first = await KnownModels.open(file, "c1");
    await first.note([ONE, TWO]);
    const second = await KnownModels.open(file, "c1");
    assert.deepEqual([second.has(ONE), second.has(TWO)], [true, true]);
    await second.forget([ONE]);
    const third = await KnownModels.open(file, "c1");
    assert.deepEqual([third.has(ONE), third.has(TWO)], [false, true]);
  }));

Deno.test("KnownModels is new until something was kept, even if nothing is known", () =>
  withFolder(async (file) => {
    const first = await KnownModels.open(file, "c1");
    assert.equal(first.isNew, true);
    await first.begin();
    assert.equal(first.isNew, false);
    assert.equal((await KnownModels.open(file, "c1")).isNew, false);
    assert.equal((await KnownModels.open(file, "c2")).isNew, true);
  }));

Deno.test("KnownModels takes nothing from another cluster or a damaged file", () =>
  withFolder(async (file) => {
    await (await KnownModels.open(file, "c1")).note([ONE]);
    assert.equal((await KnownModels.open(file, "c2")).has(ONE), false);
    for (const text of ["", "{", "[]", '{"version":1,"clusterId":"c1","models":{"m":7}}']) {
      await file.write(new TextEncoder().encode(text));
      assert.equal((await KnownModels.open(file, "c1")).has(ONE), false, text);
    }
  }));
