import assert from "node:assert/strict";
import { isEdgeError, Random, StorageError } from "../../src/base/mod.ts";
import type { RaftLogStore } from "../../src/ports/mod.ts";
import { openWal } from "../../src/storage/mod.ts";
import { decodeSegmentHead, encodeSegmentHead } from "../../src/storage/wal_record.ts";
import {
  call,
  drawCall,
  LOG_OPTIONS,
  type LogPicture,
  OWNER,
  pictureOf,
} from "./raft_log_script.ts";
import { SimulatedDisk } from "./simulated_disk.ts";

const OPERATIONS = 1_000;
const OPTIONS = { ...LOG_OPTIONS, segmentBytes: 16 * 1024 };
const isCorrupt = (error: unknown) => isEdgeError(error) && error.code === "corrupt_file";

/** Tells how far the log was synced at least. */
const WATERMARK = "synced.bin";

async function segmentsOf(disk: SimulatedDisk): Promise<readonly string[]> {
  return (await disk.list()).filter((name) => name.endsWith(".log"));
}

Deno.test("Wal keeps what it acknowledged through a crash at every write, sync, rename and removal", async () => {
  const random = new Random(1);
  const disk = new SimulatedDisk();
  const survivors: { disk: SimulatedDisk; step: string }[] = [];
  disk.onOperation = (step) => survivors.push({ disk: disk.crash(random), step });
  let log: RaftLogStore | undefined = await openWal(disk, OPTIONS);
  survivors.length = 0;
  let crashes = 0;
  const kinds = new Set<string>();
  for (let serial = 0; serial < OPERATIONS; serial++) {
    const before = pictureOf(log);
    const wanted = drawCall(random, log, serial);
    await call(log, wanted);
    const after = pictureOf(log);
    survivors.push({ disk: disk.crash(random), step: "acknowledged" });
    for (const survivor of survivors.splice(0)) {
      const recovered = await openWal(survivor.disk, OPTIONS);
      const allowed = survivor.step === "acknowledged" ? [after] : [before, after];
      assertOneOf(pictureOf(recovered), allowed, `operation ${serial}, ${survivor.step}`);
      kinds.add(survivor.step);
      crashes++;
    }
    if (serial % 200 === 199) {
      await log.close();
      survivors.length = 0;
      log = await openWal(disk, OPTIONS);
      survivors.length = 0;
    }
  }
  assert.ok(crashes > 3 * OPERATIONS, `crashes ${crashes}`);
  const every = ["acknowledged", "create", "remove", "rename", "sync", "syncFolder", "write"];
  assert.deepEqual([...kinds].sort(), every);
});

Deno.test("Wal brings nothing back that was overwritten, through crash after crash", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    let disk = new SimulatedDisk();
    let log = await openWal(disk, OPTIONS);
    let picture = pictureOf(log);
    for (let life = 0; life < 8; life++) {
      // Given calls that are all acknowledged,
      for (let turn = random.below(20); turn > 0; turn--) {
        await call(log, drawCall(random, log, random.below(60_000)));
      }
      const before = pictureOf(log);
      // when the power goes at some step of one more,
      let countdown = random.below(8);
      let survivor: SimulatedDisk | undefined;
      disk.onOperation = () => {
        if (countdown-- === 0) survivor = disk.crash(random);
      };
      await call(log, drawCall(random, log, random.below(60_000)));
      const after = pictureOf(log);
      disk = survivor ?? disk.crash(random);
      log = await openWal(disk, OPTIONS);
      // then the log is as before it or as after it, and goes on from there.
      picture = pictureOf(log);
      assertOneOf(picture, survivor === undefined ? [after] : [before, after], `seed ${seed}`);
    }
  }
});

Deno.test("Wal survives a crash while it recovers", async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const random = new Random(seed);
    const disk = new SimulatedDisk();
    const log = await openWal(disk, OPTIONS);
    for (let turn = 0; turn < 30; turn++) await call(log, drawCall(random, log, turn));
    const before = pictureOf(log);
    let torn: SimulatedDisk | undefined;
    disk.onOperation = (step) => {
      if (step === "sync") torn ??= disk.crash(random);
    };
    await call(log, drawCall(random, log, 31));
    const allowed = [before, pictureOf(log)];
    const first: SimulatedDisk | undefined = torn;
    if (first === undefined) continue;
    const halfway: SimulatedDisk[] = [];
    first.onOperation = () => halfway.push(first.crash(random));
    const recovered = pictureOf(await openWal(first, OPTIONS));
    assertOneOf(recovered, allowed, `seed ${seed}`);
    for (const disk of halfway) {
      assertOneOf(pictureOf(await openWal(disk, OPTIONS)), allowed, `seed ${seed}`);
    }
  }
});

Deno.test("Wal refuses rot in any synced batch, header or snapshot", async () => {
  const random = new Random(3);
  const disk = new SimulatedDisk();
  const log = await openWal(disk, OPTIONS);
  for (let serial = 0; serial < 120; serial++) await call(log, drawCall(random, log, serial));
  const picture = pictureOf(log);
  await log.close();
  let refused = 0;
  for (const name of await disk.list()) {
    // Rot takes its word, and nothing else.
    if (name === WATERMARK) continue;
    const bytes = await disk.read(name) ?? new Uint8Array(0);
    // Up to the mark that proves the last batch was synced; behind it there is nothing to lose.
    const used = name.startsWith("wal")
      ? bytes.findLastIndex((byte) => byte !== 0) + 1
      : bytes.length;
    const end = name.startsWith("wal") ? Math.floor((used - 1) / 512) * 512 : used;
    for (let at = 0; at < end; at += random.between(1, 60)) {
      const copy = disk.killProcess();
      copy.rot(name, at, 1 << random.below(8));
      await assert.rejects(openWal(copy, OPTIONS), isCorrupt, `${name} at ${at}`);
      refused++;
    }
  }
  assert.ok(refused > 500, `refused ${refused}`);
  assert.deepEqual(pictureOf(await openWal(disk.killProcess(), OPTIONS)), picture);
});

Deno.test("Wal tells rot of its very last batch from a torn write by the mark behind it", async () => {
  const disk = new SimulatedDisk();
  const log = await openWal(disk, OPTIONS);
  const data = new Uint8Array(100);
  const entries = [{ index: 1, term: 1, kind: "command", data } as const];
  const before = await disk.read(WATERMARK);
  await log.write({ entries, snapshot: undefined, hardState: undefined });
  const [name = ""] = await segmentsOf(disk);
  // Header, base, batch, mark: a sector each.
  const lastBatchAt = 2 * 512;
  const rotten = disk.killProcess();
  rotten.rot(name, lastBatchAt + 60, 1);
  await assert.rejects(openWal(rotten, OPTIONS), isCorrupt);
  const torn = disk.killProcess();
  // What was never synced, the watermark knows nothing of.
  torn.put(WATERMARK, before);
  for (let at = lastBatchAt; at < lastBatchAt + 1024; at++) torn.rot(name, at, 0xff);
  assert.equal((await openWal(torn, OPTIONS)).lastIndex(), 0);
});

Deno.test("Wal refuses a batch that was written to another one's place, and a renamed segment", async () => {
  const disk = new SimulatedDisk();
  const log = await openWal(disk, OPTIONS);
  for (let term = 1; term <= 4; term++) {
    const hardState = { term, vote: OWNER, commit: 0 };
    await log.write({ entries: [], snapshot: undefined, hardState });
  }
  const [name = ""] = await segmentsOf(disk);
  const bytes = await disk.read(name) ?? new Uint8Array(0);
  bytes.copyWithin(3 * 512, 2 * 512, 3 * 512);
  const misdirected = disk.killProcess();
  misdirected.put(name, bytes);
  await assert.rejects(openWal(misdirected, OPTIONS), isCorrupt);
  const renamed = disk.killProcess();
  renamed.put("wal-0000000007.log", await disk.read(name));
  renamed.put(name, undefined);
  await assert.rejects(openWal(renamed, OPTIONS), isCorrupt);
});

Deno.test("Wal refuses missing, cut, swapped and foreign files", async () => {
  const disk = new SimulatedDisk();
  const log = await openWal(disk, OPTIONS);
  const random = new Random(5);
  for (let serial = 0; serial < 200; serial++) {
    const wanted = drawCall(random, log, serial);
    if (wanted.kind === "write" && wanted.order.snapshot === undefined) await call(log, wanted);
  }
  const id = { index: 5, term: log.term(5) ?? 0 };
  const configuration = { ...log.initial().configuration, voters: [OWNER] };
  await log.compact({ id, configuration, data: Uint8Array.of(1) }, { trailing: 5 });
  await log.close();
  const names = await disk.list();
  const segments = await segmentsOf(disk);
  assert.ok(segments.length >= 3);
  const [first = "", second = ""] = segments;
  const snapshot = names.find((name) => name.startsWith("snapshot")) ?? "";
  const refuses = async (change: (copy: SimulatedDisk) => Promise<void> | void) => {
    const copy = disk.killProcess();
    await change(copy);
    await assert.rejects(openWal(copy, OPTIONS), isCorrupt);
  };
  await refuses((copy) => copy.put(first, undefined));
  await refuses((copy) => copy.put(second, undefined));
  await refuses((copy) => copy.put(snapshot, undefined));
  await refuses((copy) => copy.put(first, new Uint8Array(0)));
  await refuses(async (copy) => copy.put(second, (await copy.read(second))?.subarray(0, 3_000)));
  await refuses(async (copy) => copy.put(second, await copy.read(first)));
  await refuses((copy) => {
    for (const name of segments) copy.put(name, undefined);
  });
  const foreign = new SimulatedDisk();
  await openWal(foreign, OPTIONS);
  await refuses(async (copy) => copy.put(first, await foreign.read(first)));
  await refuses(async (copy) => {
    // Segments of one node, but of another log: a folder restored over a newer one.
    const other = new SimulatedDisk();
    const elder = await openWal(other, OPTIONS);
    await elder.close();
    copy.put(first, await other.read(first));
  });
  const stranger = { ...OPTIONS, owner: "00000000000000bb" as typeof OWNER };
  await assert.rejects(openWal(disk.killProcess(), stranger), isCorrupt);
});

/** Twenty acknowledged entries of 100 bytes, each its own batch; the process is killed, or stops in order. */
async function acknowledged(how: "killed" | "closed"): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const log = await openWal(disk, OPTIONS);
  for (let index = 1; index <= 20; index++) {
    const entry = {
      index,
      term: 1,
      kind: "command",
      data: new Uint8Array(100).fill(index),
    } as const;
    await log.write({ entries: [entry], snapshot: undefined, hardState: undefined });
  }
  if (how === "closed") await log.close();
  return disk.killProcess();
}

for (const how of ["killed", "closed"] as const) {
  Deno.test(`Wal refuses a segment cut or zeroed behind half of what it held, ${how} before`, async () => {
    const disk = await acknowledged(how);
    const [name = ""] = (await segmentsOf(disk)).slice(-1);
    const bytes = await disk.read(name) ?? new Uint8Array(0);
    const usedBytes = bytes.findLastIndex((byte) => byte !== 0) + 1;
    const half = Math.floor(usedBytes / 2 / 512) * 512;
    const damages = [
      bytes.slice(0, half),
      bytes.slice(0, -512),
      bytes.slice().fill(0, half),
      // All but the last batch, and the mark behind it.
      bytes.slice().fill(0, usedBytes - 1_024),
      bytes.slice().fill(0, half, half + 1_024),
    ];
    for (const [number, damaged] of damages.entries()) {
      const copy = disk.killProcess();
      copy.put(name, damaged);
      await assert.rejects(
        openWal(copy, OPTIONS),
        (error) => isCorrupt(error) && String(error).includes(name),
        `damage ${number}`,
      );
    }
    const gone = disk.killProcess();
    gone.put(name, undefined);
    if ((await segmentsOf(disk)).length > 1) {
      await assert.rejects(openWal(gone, OPTIONS), isCorrupt);
    }
    assert.equal((await openWal(disk, OPTIONS)).lastIndex(), 20);
  });
}

Deno.test("Wal goes on with a log of a version that knew neither watermark nor size", async () => {
  const disk = await acknowledged("closed");
  disk.put(WATERMARK, undefined);
  const [name = ""] = await segmentsOf(disk);
  const bytes = await disk.read(name) ?? new Uint8Array(0);
  const head = decodeSegmentHead(bytes);
  assert.ok(head.kind === "decoded" && head.value.segmentBytes === bytes.length);
  bytes.set(encodeSegmentHead({ ...head.value, segmentBytes: 0 }));
  disk.put(name, bytes);
  const log = await openWal(disk, OPTIONS);
  assert.equal(log.lastIndex(), 20);
  await log.close();
  assert.ok((await disk.list()).includes(WATERMARK));
});

Deno.test("Wal fences itself after a failed sync, though the next one would succeed", async () => {
  const disk = new SimulatedDisk();
  const log = await openWal(disk, OPTIONS);
  const hardState = { term: 1, vote: OWNER, commit: 0 };
  const order = { entries: [], snapshot: undefined, hardState };
  let failures = 1;
  disk.onOperation = (step) => {
    if (step === "sync" && failures-- > 0) throw new StorageError("storage_failed", "EIO");
  };
  const writes = [log.write(order), log.write(order), log.write(order)];
  const results = await Promise.allSettled(writes);
  assert.deepEqual(results.map((result) => result.status), ["rejected", "rejected", "rejected"]);
  await assert.rejects(log.write(order), (error) => isEdgeError(error) && error.message === "EIO");
  assert.deepEqual(log.initial().hardState.term, 0, "nothing is shown that may not be there");
});

Deno.test("Wal says that the disk is full, and what it acknowledged before stays", async () => {
  const disk = new SimulatedDisk();
  disk.capacityBytes = 40_000;
  const log = await openWal(disk, OPTIONS);
  let index = 0;
  let failure: unknown;
  while (failure === undefined) {
    const data = new Uint8Array(4_000);
    const entries = [{ index: ++index, term: 1, kind: "command", data } as const];
    failure = await log.write({ entries, snapshot: undefined, hardState: undefined }).then(
      () => undefined,
      (error: unknown) => error,
    );
  }
  assert.ok(isEdgeError(failure) && failure.code === "disk_full");
  const again = await openWal(disk.killProcess(), OPTIONS);
  assert.equal(again.lastIndex(), index - 1);
});

Deno.test("Wal with no room for a new file waits, and goes on with all it was given once there is some", async () => {
  const disk = new SimulatedDisk();
  disk.capacityBytes = 40_000;
  let waits = 0;
  let found = 0;
  /** Files under other names than their own, but for a spare segment that is whole. */
  const halves = async () => {
    const spareBytes = (await disk.read("spare.tmp"))?.length;
    const isWhole = spareBytes === OPTIONS.segmentBytes;
    const names = (await disk.list()).filter((name) => name.endsWith(".tmp"));
    return names.filter((name) => name !== "spare.tmp" || !isWhole);
  };
  const room = {
    wait: async () => {
      assert.deepEqual(await halves(), [], "half a file keeps the room that others could make");
      if (++waits === 3) disk.capacityBytes = Infinity;
      return true;
    },
    found: () => void found++,
  };
  const log = await openWal(disk, { ...OPTIONS, room });
  const data = new Uint8Array(4_000);
  for (let index = 1; index <= 30; index++) {
    const entries = [{ index, term: 1, kind: "command", data } as const];
    await log.write({ entries, snapshot: undefined, hardState: undefined });
  }
  assert.deepEqual([waits, found], [3, 1]);
  const configuration = { ...log.initial().configuration, voters: [OWNER] };
  disk.capacityBytes = 0;
  waits = 0;
  await log.compact({ id: { index: 20, term: 1 }, configuration, data }, { trailing: 5 });
  assert.deepEqual([waits, found], [3, 2]);
  assert.equal((await openWal(disk.killProcess(), OPTIONS)).lastIndex(), 30);
  assert.ok(
    !(await disk.list()).some((name) => name.startsWith("snapshot") && name.endsWith(".tmp")),
  );
});

Deno.test("Wal that waits for room fails what it was given when it must end", async () => {
  const disk = new SimulatedDisk();
  disk.capacityBytes = 60_000;
  const room = {
    wait: () => Promise.resolve(false),
    found: () => assert.fail("nothing was found"),
  };
  const log = await openWal(disk, { ...OPTIONS, room });
  const data = new Uint8Array(20_000);
  const entries = [{ index: 1, term: 1, kind: "command", data } as const];
  const hardState = undefined;
  await log.write({ entries, snapshot: undefined, hardState });
  const more = [{ index: 2, term: 1, kind: "command", data } as const];
  await assert.rejects(
    log.write({ entries: more, snapshot: undefined, hardState }),
    { code: "disk_full" },
  );
  await log.close();
});

function assertOneOf(actual: LogPicture, allowed: readonly LogPicture[], message: string): void {
  const text = JSON.stringify(actual);
  if (allowed.some((picture) => JSON.stringify(picture) === text)) return;
  assert.deepEqual(actual, allowed.at(-1), message);
}
