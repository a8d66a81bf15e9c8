import assert from "node:assert/strict";
import { join } from "node:path";
import type { LogLevel } from "../ports/mod.ts";
import { encodeManifest, MANIFEST_MEDIA_TYPE } from "../protocol/mod.ts";
import { digestOf } from "../../tests/harness/memory_models.ts";
import { nameOf } from "../../tests/harness/model_storage_contract.ts";
import { openBlobStore, openModelCatalog, pruneModels } from "./mod.ts";

const MINUTE_MS = 60_000;
const KEPT = new TextEncoder().encode("named by a manifest");
const STALE = new TextEncoder().encode("named by nobody");

/** A models folder with one blob in use, one garbage blob and leftovers, all written "now". */
async function withUsedFolder(
  use: (folder: string, start: (options: StartOptions) => Promise<string[]>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-prune-" });
  const blobs = join(folder, "blobs");
  try {
    const store = await openBlobStore(folder, { log: { log: () => {} }, nowMs: () => 0 });
    for (const bytes of [KEPT, STALE]) await store.put(bytes);
    const catalog = await openModelCatalog(folder);
    const config = { mediaType: "application/json", digest: digestOf(KEPT), size: KEPT.length };
    const manifest = { schemaVersion: 2, mediaType: MANIFEST_MEDIA_TYPE, config, layers: [] };
    await catalog.put(nameOf("m"), encodeManifest(manifest));
    await Deno.writeTextFile(join(blobs, ".tmp-left"), "x");
    await Deno.writeTextFile(join(blobs, `sha256-${"a".repeat(64)}-partial`), "x");
    await Deno.writeTextFile(join(blobs, "README"), "not ours");
    await Deno.mkdir(join(folder, "manifests", "h", "n", "empty"), { recursive: true });
    await use(folder, async ({ ageMs, noPrune = false, log = () => {} }) => {
      const nowMs = () => Date.now() + ageMs;
      await openBlobStore(folder, { log: { log }, nowMs, noPrune });
      return [...Deno.readDirSync(blobs)].map((entry) => entry.name.slice(0, 14)).sort();
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface StartOptions {
  readonly ageMs: number;
  readonly noPrune?: boolean;
  readonly log?: (level: LogLevel, event: string) => void;
}

const short = (bytes: Uint8Array) => digestOf(bytes).replace(":", "-").slice(0, 14);
const PARTIAL = `sha256-${"a".repeat(7)}`;

Deno.test("openBlobStore() keeps everything younger than an hour", () =>
  withUsedFolder(async (_folder, start) => {
    assert.equal((await start({ ageMs: 59 * MINUTE_MS })).length, 5);
  }));

Deno.test("openBlobStore() prunes old garbage, and keeps a download for a week", () =>
  withUsedFolder(async (folder, start) => {
    assert.deepEqual(
      await start({ ageMs: 61 * MINUTE_MS }),
      ["README", short(KEPT), PARTIAL].sort(),
    );
    await assert.rejects(Deno.stat(join(folder, "manifests", "h")), Deno.errors.NotFound);
    assert.deepEqual(
      await start({ ageMs: 8 * 24 * 60 * MINUTE_MS }),
      ["README", short(KEPT)].sort(),
    );
  }));

Deno.test("openBlobStore() prunes nothing when told so", () =>
  withUsedFolder(async (_folder, start) => {
    assert.equal((await start({ ageMs: 1e12, noPrune: true })).length, 5);
  }));

Deno.test("openBlobStore() prunes nothing beside a corrupt manifest", () =>
  withUsedFolder(async (folder, start) => {
    const path = join(folder, "manifests/registry.ollama.ai/library/m/latest");
    await Deno.writeTextFile(path, "{");
    const events: string[] = [];
    const names = await start({ ageMs: 1e12, log: (_level, event) => events.push(event) });
    assert.equal(names.length, 5);
    assert.deepEqual(events, ["prune_skipped"]);
  }));

Deno.test("openBlobStore() keeps the blobs of a manifest whose path is no model's name", () =>
  withUsedFolder(async (folder, start) => {
    const library = join(folder, "manifests", "registry.ollama.ai", "library");
    await Deno.rename(join(library, "m"), join(library, "no name"));
    assert.ok((await start({ ageMs: 61 * MINUTE_MS })).includes(short(KEPT)));
  }));

Deno.test("openBlobStore() renames blobs of old Ollama versions", () =>
  withUsedFolder(async (folder, start) => {
    const digest = digestOf(KEPT);
    await Deno.rename(
      join(folder, "blobs", digest.replace(":", "-")),
      join(folder, "blobs", digest),
    );
    await start({ ageMs: 0 });
    assert.ok(await Deno.stat(join(folder, "blobs", digest.replace(":", "-"))));
  }));

Deno.test("pruneModels() keeps what a catalogue elsewhere names", () =>
  withUsedFolder(async (folder) => {
    const options = { log: { log: () => {} }, nowMs: () => Date.now() + 61 * MINUTE_MS };
    const isThere = async () =>
      await (await openBlobStore(folder, { ...options, noPrune: true })).find(digestOf(STALE)) !==
        undefined;
    await pruneModels(folder, { ...options, alsoReferenced: new Set([digestOf(STALE)]) });
    assert.equal(await isThere(), true);
    await pruneModels(folder, options);
    assert.equal(await isThere(), false);
  }));
