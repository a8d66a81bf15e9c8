import assert from "node:assert/strict";
import { Random } from "../../base/mod.ts";
import type { LoadedCopy, ManifestPrefix, NodeLoad } from "../../protocol/mod.ts";
import { CopiesReports, LoadReports, SpeedAverage } from "./load_reports.ts";

const GIB = 2 ** 30;
const IDLE: NodeLoad = {
  runningRequests: 0,
  waitingRequests: 0,
  slots: 4,
  freeSlots: 4,
  decodeTokensPerMinute: 600,
  prefillTokensPerMinute: 9_000,
  availableBytes: 8 * GIB,
};

function at(nowMs: number, members = 4) {
  return { nowMs, members };
}

function busy(runningRequests: number): NodeLoad {
  return { ...IDLE, runningRequests, freeSlots: 4 - runningRequests };
}

Deno.test("The first load is told at once, and the same one never again", () => {
  const reports = new LoadReports();
  assert.deepEqual(reports.look(IDLE, at(0)), { load: IDLE, nextLookMs: undefined });
  for (let nowMs = 0; nowMs < 3_600_000; nowMs += 1_000) {
    assert.deepEqual(reports.look(IDLE, at(nowMs)), { load: undefined, nextLookMs: undefined });
  }
});

Deno.test("A node whose memory and speed only tremble tells nothing", () => {
  const reports = new LoadReports();
  const random = new Random(1);
  reports.look(IDLE, at(0));
  for (let nowMs = 0; nowMs < 3_600_000; nowMs += 500) {
    const availableBytes = IDLE.availableBytes + random.between(-400, 401) * 2 ** 20;
    const decodeTokensPerMinute = 600 + random.between(-70, 71);
    const report = reports.look({ ...IDLE, availableBytes, decodeTokensPerMinute }, at(nowMs));
    assert.equal(report.load, undefined);
  }
});

Deno.test("Requests that come and go are told at most four times a second, and the last state is", () => {
  const reports = new LoadReports();
  reports.look(IDLE, at(0));
  let told = 0;
  let last: NodeLoad = IDLE;
  let dueMs: number | undefined;
  for (let nowMs = 1_000; nowMs < 11_000; nowMs += 10) {
    const report = reports.look(busy(1 + (nowMs / 10) % 3), at(nowMs));
    dueMs = report.nextLookMs;
    if (report.load === undefined) continue;
    told++;
    last = report.load;
  }
  assert.equal(told, 40);
  const final = busy(last.runningRequests === 1 ? 2 : 1);
  const early = reports.look(final, at(11_000));
  if (early.load === undefined) {
    assert.ok(early.nextLookMs !== undefined && early.nextLookMs <= 11_250, `${dueMs}`);
    assert.deepEqual(reports.look(final, at(early.nextLookMs)).load, final);
  }
});

Deno.test("After a quiet time the first request is told at once", () => {
  const reports = new LoadReports();
  reports.look(IDLE, at(0));
  assert.deepEqual(reports.look(busy(1), at(10_000)).load, busy(1));
  assert.deepEqual(reports.look(busy(2), at(10_001)), { load: undefined, nextLookMs: 10_250 });
  // Back to what was told: nothing is left to tell.
  assert.deepEqual(reports.look(busy(1), at(10_002)), { load: undefined, nextLookMs: undefined });
});

Deno.test("Beyond 32 members a node tells in proportion to them less often, and first what changes who has a slot free", () => {
  for (
    const [members, fullMs, otherMs] of [[32, 250, 250], [64, 500, 1_250], [1_024, 8_000, 31_250]]
  ) {
    const next = (load: NodeLoad) => {
      const reports = new LoadReports();
      reports.look(busy(2), at(0));
      return reports.look(load, at(1, members)).nextLookMs;
    };
    assert.equal(next(busy(4)), fullMs, `${members} members`);
    assert.equal(next(busy(3)), otherMs, `${members} members`);
    assert.equal(next({ ...busy(2), slots: 8 }), fullMs, "a model came");
    const copies = (copy: Partial<LoadedCopy>) => {
      const reports = new CopiesReports();
      reports.look([COPY], at(0));
      return reports.look([{ ...COPY, ...copy }], at(1, members)).nextLookMs;
    };
    assert.equal(copies({ runningRequests: 4 }), fullMs);
    assert.equal(copies({ runningRequests: 3 }), otherMs);
    assert.equal(copies({ manifest: "0000000000000001" as ManifestPrefix }), fullMs);
  }
});

Deno.test("However much happens, members of any cluster hear as much as of 32", () => {
  const heard = (members: number) => {
    const random = new Random(members);
    const reports = new LoadReports();
    let told = 0;
    for (let nowMs = 0; nowMs < 3_600_000; nowMs += 50) {
      const load = { ...busy(random.below(5)), waitingRequests: nowMs };
      if (reports.look(load, at(nowMs, members)).load !== undefined) told++;
    }
    return told * members / 3_600;
  };
  const most = heard(32);
  for (const members of [64, 100, 1_000]) assert.ok(heard(members) <= most, `${members} members`);
});

Deno.test("Memory that is gone is told, but not more often than every five seconds", () => {
  const reports = new LoadReports();
  reports.look(IDLE, at(0));
  const less = { ...IDLE, availableBytes: 6 * GIB };
  assert.deepEqual(reports.look(less, at(1_000)), { load: undefined, nextLookMs: 5_000 });
  assert.deepEqual(reports.look(less, at(5_000)).load, less);
  const hardlyLess = { ...IDLE, availableBytes: 6 * GIB - 300 * 2 ** 20 };
  assert.equal(reports.look(hardlyLess, at(20_000)).load, undefined);
});

Deno.test("A speed is told when it is measured first and when it has changed by an eighth", () => {
  const reports = new LoadReports();
  reports.look({ ...IDLE, decodeTokensPerMinute: 0 }, at(0));
  assert.deepEqual(reports.look(IDLE, at(6_000)).load, IDLE);
  assert.equal(reports.look({ ...IDLE, decodeTokensPerMinute: 660 }, at(12_000)).load, undefined);
  const faster = { ...IDLE, decodeTokensPerMinute: 700 };
  assert.deepEqual(reports.look(faster, at(12_000)).load, faster);
});

const COPY: LoadedCopy = {
  manifest: "00112233aabbccdd" as ManifestPrefix,
  name: "tiny:latest",
  sizeBytes: GIB,
  vramBytes: 0,
  contextLength: 4096,
  expiresAtMs: 1_000_000,
  slots: 4,
  runningRequests: 0,
};

Deno.test("Loaded copies are told when one comes, serves or goes, and not when it only stays longer", () => {
  const reports = new CopiesReports();
  assert.equal(reports.look([], at(0)).copies, undefined, "nothing is what is known already");
  assert.deepEqual(reports.look([COPY], at(1_000)).copies, [COPY]);
  assert.equal(reports.look([COPY], at(2_000)).copies, undefined);
  const longer = { ...COPY, expiresAtMs: 999_000 };
  assert.equal(reports.look([longer], at(2_000)).copies, undefined);
  const serving = { ...COPY, runningRequests: 1 };
  assert.deepEqual(reports.look([serving], at(2_000)).copies, [serving]);
  assert.deepEqual(reports.look([], at(2_001)), { copies: undefined, nextLookMs: 2_250 });
  assert.deepEqual(reports.look([], at(2_250)).copies, []);
  const other = { ...COPY, manifest: "0000000000000001" as ManifestPrefix };
  assert.deepEqual(reports.look([COPY, other], at(3_000)).copies, [other, COPY]);
  assert.equal(reports.look([other, COPY], at(4_000)).copies, undefined, "the order means nothing");
});

Deno.test("A speed average starts at the first measurement and moves by an eighth", () => {
  const speed = new SpeedAverage();
  assert.equal(speed.tokensPerMinute, 0);
  speed.add(3, 1);
  speed.add(100, 0);
  speed.add(100, NaN);
  assert.equal(speed.tokensPerMinute, 0);
  speed.add(100, 10_000);
  assert.equal(speed.tokensPerMinute, 600);
  speed.add(100, 5_000);
  assert.equal(speed.tokensPerMinute, 675);
});
