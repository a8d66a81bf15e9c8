import assert from "node:assert/strict";
import { isEdgeError, Random, StorageError } from "../../src/base/mod.ts";
import type { LogOrder, RaftLogStore } from "../../src/ports/mod.ts";
import { openWal } from "../../src/storage/mod.ts";
import {
  decodeSegmentHead,
  encodeFrame,
  encodeSegmentHead,
  readFrame,
} from "../../src/storage/wal_record.ts";
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

/** Up to the last byte of the last batch. */
function usedBytesOf(segment: Uint8Array): number {
  return Math.ceil((segment.findLastIndex((byte) => byte !== 0) + 1) / 512) * 512;
}

/** One entry. */
function orderOf(index: number, bytes: number): LogOrder {
  const data = new Uint8Array(bytes).fill(index);
  const entries = [{ index, term: 1, kind: "command", data } as const];
  return { entries, snapshot: undefined, hardState: undefined };
}

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

Deno.test("Wal mends a bit that turned in a batch and says so, and refuses one in a header or snapshot", async () => {
  const random = new Random(3);
  const disk = new SimulatedDisk();
  const log = await openWal(disk, OPTIONS);
  for (let serial = 0; serial < 120; serial++) await call(log, drawCall(random, log, serial));
  const picture = pictureOf(log);
  await log.close();
  const counts = { mended: 0, refused: 0, lastMended: 0 };
  for (const name of await disk.list()) {
    // Nothing depends on these.
    if (name === WATERMARK || name === "spare.tmp") continue;
    const bytes = await disk.read(name) ?? new Uint8Array(0);
    const isSegment = name.startsWith("wal");
    const usedBytes = isSegment ? usedBytesOf(bytes) : bytes.length;
    for (let at = 0; at < usedBytes; at += random.between(1, 240)) {
      const copy = disk.killProcess();
      copy.rot(name, at, 1 << random.below(8));
      if (!isSegment || at < 512) {
        await assert.rejects(openWal(copy, OPTIONS), isCorrupt, `${name} at ${at}`);
        counts.refused++;
        continue;
      }
      const told: string[] = [];
      const mended = await openWal(copy, {
        ...OPTIONS,
        onRepaired: (what) => void told.push(what),
      });
      assert.deepEqual(pictureOf(mended), picture, `${name} at ${at}`);
      assert.deepEqual(await copy.read(name), bytes, `${name} at ${at} is as it was`);
      counts.mended++;
      // A crash may have torn the last batch; of any other it is rot.
      if (told.length === 0) counts.lastMended++;
      else assert.ok(told.length === 1 && told[0]?.includes(name), told.join());
    }
  }
  assert.ok(counts.refused > 10 && counts.mended > 300, JSON.stringify(counts));
  assert.ok(counts.lastMended > 0 && counts.lastMended < 20, JSON.stringify(counts));
  assert.deepEqual(pictureOf(await openWal(disk.killProcess(), OPTIONS)), picture);
});

Deno.test("Wal keeps its last batch through a loss of power and a bit that turned in it", async () => {
  const random = new Random(4);
  for (let round = 0; round < 200; round++) {
    const disk = new SimulatedDisk();
    const log = await openWal(disk, OPTIONS);
    const usedBytes: number[] = [];
    for (let index = 1; index <= 3; index++) {
      await log.write(orderOf(index, random.below(1_500)));
      const [name = ""] = await segmentsOf(disk);
      usedBytes.push(usedBytesOf(await disk.read(name) ?? new Uint8Array(0)));
    }
    // Neither the watermark nor anything else behind the last sync got through.
    const survivor = disk.crash(random);
    const [name = ""] = await segmentsOf(survivor);
    const [, low = 0, high = 0] = usedBytes;
    survivor.rot(name, random.between(low, high), 1 << random.below(8));
    assert.equal((await openWal(survivor, OPTIONS)).lastIndex(), 3, `round ${round}`);
  }
});

Deno.test("Wal tells a long batch that was torn from one that was synced and rotted, through a loss of power", async () => {
  const random = new Random(5);
  for (let round = 0; round < 60; round++) {
    const disk = new SimulatedDisk();
    const log = await openWal(disk, OPTIONS);
    await log.write(orderOf(1, 80_000));
    const synced = disk.crash(random);
    assert.equal((await openWal(synced.killProcess(), OPTIONS)).lastIndex(), 1);
    const name = (await segmentsOf(synced)).at(-1) ?? "";
    synced.rot(name, random.between(3_000, 80_000), 1 << random.below(8));
    await assert.rejects(openWal(synced, OPTIONS), isCorrupt, `round ${round}`);
    // Behind a damaged mark stands nothing that could be lost.
    let torn: SimulatedDisk | undefined;
    disk.onOperation = (step) => {
      if (step === "sync") torn ??= disk.crash(random);
    };
    await log.write(orderOf(2, 80_000));
    assert.ok(torn !== undefined);
    assert.ok((await openWal(torn, OPTIONS)).lastIndex() >= 1);
  }
});

Deno.test("Wal makes durable what a killed process left in the page cache, before it counts on it", async () => {
  const random = new Random(6);
  let found = 0;
  for (let round = 0; round < 50; round++) {
    const disk = new SimulatedDisk();
    const log = await openWal(disk, OPTIONS);
    await log.write(orderOf(1, 100));
    // Given a process that is killed before the sync of a batch,
    let killed: SimulatedDisk | undefined;
    disk.onOperation = (step) => {
      if (step === "sync") killed ??= disk.killProcess();
    };
    await log.write(orderOf(2, 100));
    assert.ok(killed !== undefined);
    // when the next one finds the batch, and others count on that,
    const next = await openWal(killed, OPTIONS);
    if (next.lastIndex() === 2) found++;
    // then it is there when the power goes.
    const after = await openWal(killed.crash(random), OPTIONS);
    assert.equal(after.lastIndex(), next.lastIndex(), `round ${round}`);
  }
  assert.ok(found > 0, "the fault never struck");
});

Deno.test("Wal shows of a damaged log what was known to be committed, takes nothing, and changes nothing", async () => {
  const random = new Random(9);
  const disk = new SimulatedDisk();
  const log = await openWal(disk, OPTIONS);
  for (let serial = 0; serial < 60; serial++) await call(log, drawCall(random, log, serial));
  const whole = pictureOf(log);
  const { commit } = log.initial().hardState;
  await log.close();
  const shown = { all: 0, less: 0 };
  for (const name of await disk.list()) {
    if (name === WATERMARK || name === "spare.tmp") continue;
    const { length = 0 } = await disk.read(name) ?? {};
    for (let at = 0; at < Math.min(length, 500); at += 23) {
      const copy = disk.killProcess();
      copy.rot(name, at, 1);
      const told: string[] = [];
      const onDamaged = ({ message }: Error) => void told.push(message);
      const damaged = await openWal(copy, { ...OPTIONS, onDamaged });
      assert.match(told.join(), new RegExp(name), `${name} at ${at}`);
      const last = damaged.lastIndex();
      assert.ok(last <= commit && damaged.initial().hardState.commit === last);
      if (last === Math.min(commit, log.lastIndex())) shown.all++;
      else shown.less++;
      for (const entry of pictureOf(damaged).entries) assert.ok(whole.entries.includes(entry));
      await assert.rejects(damaged.write(orderOf(last + 1, 1)), isCorrupt);
      assert.deepEqual(copy.operations, 0, "nothing is changed");
    }
  }
  assert.ok(shown.all > 0 && shown.less > 0, JSON.stringify(shown));
});

Deno.test("Wal tells a torn batch, of which no copy is whole, from a synced one that rotted twice", async () => {
  const disk = new SimulatedDisk();
  const log = await openWal(disk, OPTIONS);
  const before = await disk.read(WATERMARK);
  await log.write(orderOf(1, 100));
  const [name = ""] = await segmentsOf(disk);
  // Header, base and batch, of each a second copy.
  const [firstAt, secondAt] = [3 * 512, 4 * 512];
  const rotten = disk.killProcess();
  rotten.rot(name, firstAt + 60, 1);
  rotten.rot(name, secondAt + 60, 1);
  await assert.rejects(openWal(rotten, OPTIONS), isCorrupt);
  const torn = disk.killProcess();
  // What was never synced, the watermark knows nothing of.
  torn.put(WATERMARK, before);
  for (let at = firstAt; at < secondAt + 512; at++) torn.rot(name, at, 0xff);
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
  // Header, base and four batches, of all but the header a second copy.
  bytes.copyWithin(5 * 512, 3 * 512, 5 * 512);
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
    const usedBytes = usedBytesOf(bytes);
    const half = Math.floor(usedBytes / 2 / 512) * 512;
    const damages = [
      bytes.slice(0, half),
      bytes.slice(0, -512),
      bytes.slice().fill(0, half),
      // The last batch with both copies.
      bytes.slice().fill(0, usedBytes - 1_024),
      bytes.slice().fill(0, half, half + 2_048),
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

/** The file of a version that wrote each batch once, with a mark behind the last one. */
function withoutTwins(segment: Uint8Array, { segmentBytes }: { segmentBytes: number }): Uint8Array {
  const head = decodeSegmentHead(segment);
  assert.ok(head.kind === "decoded");
  const bytes = new Uint8Array(segment.length);
  bytes.set(encodeSegmentHead({ ...head.value, segmentBytes }));
  let end = 512;
  let sequence = 0;
  for (let at = 512;;) {
    const frame = readFrame(head.value, segment, at);
    if (frame === undefined) break;
    at += frame.frameBytes;
    if (frame.kind !== "batch") continue;
    bytes.set(segment.subarray(at - frame.frameBytes, at), end);
    end += frame.frameBytes;
    ({ sequence } = frame);
  }
  const payload = new Uint8Array(0);
  bytes.set(encodeFrame(head.value, { kind: "mark", sequence, payload }), end);
  return bytes;
}

Deno.test("Wal goes on with a log of a version that knew neither watermark, nor size, nor twins", async () => {
  const disk = await acknowledged("closed");
  const [name = ""] = await segmentsOf(disk);
  const bytes = await disk.read(name) ?? new Uint8Array(0);
  const old = withoutTwins(bytes, { segmentBytes: 0 });
  disk.put(WATERMARK, undefined);
  disk.put(name, old);
  const log = await openWal(disk, OPTIONS);
  assert.equal(log.lastIndex(), 20);
  await log.write(orderOf(21, 100));
  assert.equal((await openWal(disk.killProcess(), OPTIONS)).lastIndex(), 21);
  await log.close();
  assert.ok((await disk.list()).includes(WATERMARK));
  // What had one copy can't be mended.
  const usedBytes = usedBytesOf(old) - 512;
  for (let at = 0; at < usedBytes; at += 97) {
    const rotten = disk.killProcess();
    rotten.put(WATERMARK, undefined);
    rotten.put(name, old);
    rotten.rot(name, at, 1);
    await assert.rejects(openWal(rotten, OPTIONS), isCorrupt, `at ${at}`);
  }
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

Deno.test("Wal with no room for any write, creation or rename waits, and goes on with all it was given", async () => {
  const random = new Random(8);
  const refused = new Map<string, number>();
  for (let round = 0; round < 40; round++) {
    const disk = new SimulatedDisk();
    let waits = 0;
    const room = { wait: async () => ++waits > 0, found: () => {} };
    const log = await openWal(disk, { ...OPTIONS, room });
    // As on disks that promise more room than they have: any of them may be refused, now and then several in a row.
    disk.onOperation = (step) => {
      const mayBe = step === "write" || step === "create" || step === "rename";
      if (!mayBe || !random.chance(1, 3)) return;
      refused.set(step, (refused.get(step) ?? 0) + 1);
      throw new StorageError("disk_full", "no room");
    };
    for (let serial = 0; serial < 40; serial++) await call(log, drawCall(random, log, serial));
    const picture = pictureOf(log);
    assert.ok(waits > 0);
    assert.deepEqual(pictureOf(await openWal(disk.crash(random), OPTIONS)), picture);
    // Nor does it keep the log from being opened.
    const again = disk.killProcess();
    const [name = ""] = (await segmentsOf(again)).slice(-1);
    again.rot(name, 700, 1);
    again.onOperation = disk.onOperation;
    assert.deepEqual(pictureOf(await openWal(again, OPTIONS)), picture);
  }
  assert.deepEqual([...refused.keys()].sort(), ["create", "rename", "write"]);
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
