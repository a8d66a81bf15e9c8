import assert from "node:assert/strict";
import { digestOf } from "../../tests/harness/memory_models.ts";
import { nameOf } from "../../tests/harness/model_storage_contract.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { type NodeId, UnavailableError } from "../base/mod.ts";
import { PLACEMENT_DEFAULTS } from "../../tests/harness/placement.ts";
import type { CatalogEntry } from "../ports/mod.ts";
import {
  type CatalogueCommand,
  encodeCommand,
  encodeManifest,
  MANIFEST_MEDIA_TYPE,
} from "../protocol/mod.ts";
import { Catalogue } from "../core/catalogue/mod.ts";
import type { BlobMember } from "./members.ts";
import { PlacementDriver } from "./placement_driver.ts";

const SELF = "a".repeat(16) as NodeId;
const OTHER = "b".repeat(16) as NodeId;

function manifestOf(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const config = { mediaType: "application/json", digest: digestOf(bytes), size: bytes.length };
  return encodeManifest({ schemaVersion: 2, mediaType: MANIFEST_MEDIA_TYPE, config, layers: [] });
}

/** A driver whose fetches do what `fetch` says, with another node that holds everything. */
async function scene(fetch: (entry: CatalogEntry) => AsyncIterable<{ status: string }>) {
  const catalogue = Catalogue.empty();
  const change = (command: CatalogueCommand) => {
    const entry = encodeCommand({ request: undefined, command });
    assert.equal(catalogue.apply(catalogue.appliedIndex + 1, entry).kind, "answered");
  };
  const telemetry = new RecordingTelemetry();
  const time = { nowMs: 0 };
  const fetched: string[] = [];
  const settled: string[] = [];
  const other = { standing: "alive" as BlobMember["standing"], asleep: false, drained: false };
  const disk: { freeBytes: number | undefined } = { freeBytes: undefined };
  const driver = new PlacementDriver({
    self: SELF,
    group: { catalogue },
    members: () => [{
      ...other,
      address: { nodeId: OTHER, address: "" },
      freeBytes: undefined,
      holds: () => true,
    }],
    isDrained: () => false,
    copies: {
      held: () => [],
      settle: async (names) => void settled.push(...names.map(({ model }) => model)),
    },
    models: {
      async *fetch(entry, use) {
        fetched.push(entry.name.model);
        yield* fetch(entry);
        await use();
      },
    },
    freeBytes: async () => disk.freeBytes,
    options: PLACEMENT_DEFAULTS,
    clock: {
      nowMs: () => time.nowMs,
      monotonicMs: () => time.nowMs,
      after: () => ({ cancel() {} }),
    },
    log: telemetry,
  });
  const put = (name: string, text = name) =>
    change({
      kind: "put_model",
      name: nameOf(name),
      manifest: manifestOf(text),
      atMs: 0,
      expected: undefined,
    });
  /** Looks at a time; what was fetched then. */
  const lookAt = async (nowMs: number) => {
    time.nowMs = nowMs;
    fetched.length = 0;
    await driver.look();
    return [...fetched];
  };
  const events = () => telemetry.lines.map(({ event }) => event);
  return { change, put, lookAt, settled, other, events, driver, disk, lines: telemetry.lines };
}

Deno.test("PlacementDriver lets a new model settle, then fetches it and writes down all its names", async () => {
  const { put, lookAt, settled } = await scene(async function* () {});
  put("one", "text");
  put("two", "text");
  assert.deepEqual(await lookAt(1_000), []);
  assert.deepEqual(await lookAt(30_999), []);
  assert.equal((await lookAt(31_000)).length, 1);
  assert.deepEqual(settled.sort(), ["one", "two"]);
});

Deno.test("PlacementDriver waits longer after each failure, and no other model waits with it", async () => {
  const { put, lookAt, events } = await scene(async function* ({ name }) {
    yield { status: "pulling" };
    if (name.model === "bad") throw new UnavailableError("peer_lost", "gone");
  });
  put("bad");
  await lookAt(0);
  assert.deepEqual(await lookAt(30_000), ["bad"]);
  assert.deepEqual(await lookAt(34_999), []);
  assert.deepEqual(await lookAt(35_000), ["bad"]);
  put("good");
  assert.deepEqual(await lookAt(44_999), []);
  assert.deepEqual(await lookAt(45_000), ["bad"]);
  assert.deepEqual((await lookAt(76_000)).sort(), ["bad", "good"]);
  assert.equal(events().filter((event) => event === "model_fetch_failed").length, 4);
});

Deno.test("PlacementDriver drops a fetch when the model is deleted meanwhile", async () => {
  const steps: (() => unknown)[] = [];
  const { change, put, lookAt, settled, events } = await scene(async function* () {
    yield { status: "pulling" };
    for (const step of steps) await step();
    yield { status: "pulling" };
    throw new Error("not reached");
  });
  put("one");
  await lookAt(0);
  steps.push(() => change({ kind: "delete_model", name: nameOf("one"), expected: undefined }));
  assert.deepEqual(await lookAt(30_000), ["one"]);
  assert.deepEqual(settled, []);
  assert.equal(events().at(-1), "model_fetch_dropped");
});

Deno.test("PlacementDriver takes nothing from a node that is not alive", async () => {
  const { put, lookAt, other } = await scene(async function* () {});
  put("one");
  await lookAt(0);
  other.standing = "suspect";
  assert.deepEqual(await lookAt(30_000), []);
  other.standing = "alive";
  assert.deepEqual(await lookAt(30_001), ["one"]);
});

Deno.test("PlacementDriver says once that a copy has no room, and again after there was some", async () => {
  const { put, lookAt, lines, disk } = await scene(async function* () {});
  const said = () => lines.filter(({ event }) => event === "model_copy_has_no_room");
  put("m", "12345");
  disk.freeBytes = 4;
  assert.deepEqual(await lookAt(0), []);
  assert.deepEqual(said(), [], "a new model settles first");
  for (const nowMs of [30_000, 35_000]) assert.deepEqual(await lookAt(nowMs), []);
  assert.equal(said().length, 1);
  const { level, values } = said()[0] ?? {};
  assert.deepEqual({ level, values }, {
    level: "warn",
    values: { model: "m:latest", neededBytes: 5, freeBytes: 4 },
  });
  disk.freeBytes = 5;
  assert.deepEqual(await lookAt(40_000), ["m"]);
  disk.freeBytes = 1;
  await lookAt(45_000);
  assert.equal(said().length, 2);
});
