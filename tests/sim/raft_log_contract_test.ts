import assert from "node:assert/strict";
import { isEdgeError, Random } from "../../src/base/mod.ts";
import type { RaftLogStore } from "../../src/ports/mod.ts";
import { openDisk, openWal } from "../../src/storage/mod.ts";
import { call, drawCall, LOG_OPTIONS, OWNER, pictureOf } from "./raft_log_script.ts";
import { EMPTY_SNAPSHOT } from "./memory_log.ts";
import { DiskLog } from "./raft/disk_log.ts";
import { SimulatedDisk } from "./simulated_disk.ts";

const SEGMENT_BYTES = 16 * 1024;

/** The same contract for every store; `reopen` is what a restart of the process does. */
interface Store {
  readonly name: string;
  open(): Promise<{ log: RaftLogStore; reopen: () => Promise<RaftLogStore> }>;
}

const folders: string[] = [];
async function newFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "odist-log-" });
  folders.push(folder);
  return folder;
}

const STORES: readonly Store[] = [
  {
    name: "the segmented log on a simulated disk",
    open: async () => {
      const options = { ...LOG_OPTIONS, segmentBytes: SEGMENT_BYTES };
      let disk = new SimulatedDisk();
      const reopen = () => {
        disk = disk.killProcess();
        return openWal(disk, options);
      };
      return { log: await openWal(disk, options), reopen };
    },
  },
  {
    name: "the segmented log on this disk",
    open: async () => {
      const folder = await newFolder();
      const options = { ...LOG_OPTIONS, segmentBytes: SEGMENT_BYTES };
      const reopen = async () => await openWal(await openDisk(folder), options);
      return { log: await reopen(), reopen };
    },
  },
];

for (const store of STORES) {
  Deno.test(`RaftLogStore: ${store.name} starts empty`, async () => {
    const { log } = await store.open();
    assert.deepEqual([log.firstIndex(), log.lastIndex(), log.term(0)], [1, 0, 0]);
    assert.deepEqual(log.entries(1, 1, 100), []);
    assert.equal(log.entries(1, 2, 100), undefined);
    assert.equal(log.snapshot(), undefined);
    assert.deepEqual(log.initial().hardState, { term: 0, vote: undefined, commit: 0 });
    await log.close();
  });

  Deno.test(`RaftLogStore: ${store.name} agrees with a log in memory and keeps it over restarts`, async () => {
    const random = new Random(7);
    const opened = await store.open();
    let log = opened.log;
    const twin = new DiskLog(EMPTY_SNAPSHOT);
    for (let serial = 0; serial < 400; serial++) {
      const before = pictureOf(log);
      const wanted = drawCall(random, log, serial);
      const done = call(log, wanted);
      if (store.name.includes("segmented")) {
        assert.deepEqual(pictureOf(log), before, "nothing shows before it is durable");
      }
      await done;
      if (wanted.kind === "compact") twin.compact(wanted.snapshot, wanted.trailing);
      else twin.write({ ...wanted.order, mustSync: true, answers: [] }, () => {});
      assert.deepEqual(pictureOf(log), pictureOf(twin), `serial ${serial}`);
      if (random.chance(1, 25)) {
        const picture = pictureOf(log);
        await log.close();
        log = await opened.reopen();
        assert.deepEqual(pictureOf(log), picture, `serial ${serial}`);
      }
    }
    assert.ok(log.firstIndex() > 1, "compaction was part of it");
    await log.close();
  });

  Deno.test(`RaftLogStore: ${store.name} keeps orders apart that are under way together`, async () => {
    const { log, reopen } = await store.open();
    const entry = (index: number, term: number) =>
      ({ index, term, kind: "command", data: Uint8Array.of(term) }) as const;
    const order = { snapshot: undefined, hardState: undefined };
    // The A-B-A of asynchronous writes: one index, three terms.
    const writes = [
      log.write({ ...order, entries: [entry(1, 1), entry(2, 1), entry(3, 1)] }),
      log.write({ ...order, entries: [entry(2, 2)] }),
      log.write({
        ...order,
        entries: [entry(3, 3)],
        hardState: { term: 3, vote: OWNER, commit: 1 },
      }),
    ];
    await Promise.all(writes);
    const picture = pictureOf(log);
    assert.deepEqual(picture.entries, ["1@1 1", "2@2 2", "3@3 3"]);
    await log.close();
    const again = await reopen();
    assert.deepEqual(pictureOf(again), picture);
    await again.close();
  });

  Deno.test(`RaftLogStore: ${store.name} refuses a gap before anything is written`, async () => {
    const { log, reopen } = await store.open();
    const entries = [{ index: 3, term: 1, kind: "command", data: new Uint8Array(0) } as const];
    const order = { entries, snapshot: undefined, hardState: undefined };
    await assert.rejects(async () => await log.write(order), { name: "InvariantError" });
    await log.close();
    const again = await reopen();
    assert.equal(again.lastIndex(), 0);
    await again.close();
  });

  Deno.test(`RaftLogStore: ${store.name} cuts what it hands out where the core would`, async () => {
    const { log } = await store.open();
    const entries = Array.from({ length: 10 }, (_, position) => (
      { index: position + 1, term: 1, kind: "command", data: new Uint8Array(100) } as const
    ));
    await log.write({ entries, snapshot: undefined, hardState: undefined });
    assert.equal(log.entries(1, 11, 0)?.length, 1);
    assert.equal(log.entries(1, 11, 350)?.length, 3);
    assert.equal(log.entries(4, 6, Infinity)?.length, 2);
    await log.close();
  });

  Deno.test(`RaftLogStore: ${store.name} takes nothing after it was closed`, async () => {
    const { log } = await store.open();
    await log.close();
    const order = { entries: [], snapshot: undefined, hardState: undefined };
    const refused = async () =>
      await log.write({ ...order, hardState: { term: 1, vote: undefined, commit: 0 } });
    await assert.rejects(refused, (error) => isEdgeError(error) && error.code === "storage_failed");
  });
}

Deno.test("RaftLogStore tests leave no folders behind", async () => {
  for (const folder of folders.splice(0)) await Deno.remove(folder, { recursive: true });
});
