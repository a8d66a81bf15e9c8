import assert from "node:assert/strict";
import { join } from "node:path";
import { MemoryCatalog } from "../../tests/harness/memory_models.ts";
import {
  manifestBytes,
  nameOf,
  testModelCatalog,
} from "../../tests/harness/model_storage_contract.ts";
import { openModelCatalog } from "./mod.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-catalog-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

testModelCatalog("MemoryCatalog", (use) => use(new MemoryCatalog()));
testModelCatalog(
  "ModelCatalog",
  (use) => withFolder(async (folder) => await use(await openModelCatalog(folder))),
);

Deno.test("ModelCatalog lies on disk as Ollama's does", () =>
  withFolder(async (folder) => {
    const catalog = await openModelCatalog(folder);
    await catalog.put(nameOf("ns/m:t"), manifestBytes(1));
    await catalog.put(nameOf("localhost:5000/a/b:c"), manifestBytes(1));
    const manifests = join(folder, "manifests");
    assert.deepEqual(
      await Deno.readFile(join(manifests, "registry.ollama.ai/ns/m/t")),
      manifestBytes(1),
    );
    assert.ok(await Deno.stat(join(manifests, "localhost:5000/a/b/c")));
  }));

Deno.test("ModelCatalog.delete() takes the folders that it empties", () =>
  withFolder(async (folder) => {
    const catalog = await openModelCatalog(folder);
    await catalog.put(nameOf("ns/m:t"), manifestBytes(1));
    await catalog.put(nameOf("other"), manifestBytes(1));
    await catalog.delete(nameOf("ns/m:t"));
    const host = join(folder, "manifests", "registry.ollama.ai");
    const left = [...Deno.readDirSync(host)].map((entry) => entry.name);
    assert.deepEqual(left, ["library"]);
  }));

Deno.test("ModelCatalog.list() skips what is no manifest, newest first", () =>
  withFolder(async (folder) => {
    const catalog = await openModelCatalog(folder);
    const library = join(folder, "manifests", "registry.ollama.ai", "library");
    for (const [index, model] of ["old", "new", "broken"].entries()) {
      await catalog.put(nameOf(model), manifestBytes(index));
      await Deno.utime(join(library, model, "latest"), 1000 + index, 1000 + index);
    }
    await Deno.writeTextFile(join(library, "broken", "latest"), "{");
    await Deno.writeTextFile(join(library, "stray"), "file where a folder is expected");
    await Deno.writeTextFile(join(library, "new", ".tmp-1"), "left by a crash");
    const names = (await catalog.list()).map((entry) => entry.name.model);
    assert.deepEqual(names, ["new", "old"]);
  }));
