import assert from "node:assert/strict";
import { type NodeId, Random } from "../base/mod.ts";
import {
  decodeRecords,
  decodeSegmentHead,
  decodeSnapshotFile,
  encodeFrame,
  encodeRecords,
  encodeSegmentHead,
  encodeSnapshotFile,
  nextFrameAt,
  readFrame,
  type WalRecord,
} from "./wal_record.ts";

const FUZZ_INPUTS = 50_000;
const HEAD = {
  logId: "0123456789abcdef",
  owner: "00000000000000aa" as NodeId,
  segment: 3,
  firstSequence: 9,
  segmentBytes: 4096,
};

Deno.test("decodeRecords() reads back random records", () => {
  const random = new Random(1);
  for (let round = 0; round < 2_000; round++) {
    const records = Array.from({ length: random.below(5) }, () => randomRecord(random));
    assert.deepEqual(decodeRecords(encodeRecords(records)), { kind: "decoded", value: records });
  }
});

Deno.test("readFrame() finds a frame only where it was written", () => {
  const payload = encodeRecords([randomRecord(new Random(2))]);
  const frame = encodeFrame(HEAD, { kind: "batch", sequence: 2 ** 40, payload });
  const segment = new Uint8Array(4096);
  segment.set(frame, 1024);
  const found = readFrame(HEAD, segment, 1024);
  assert.deepEqual([found?.sequence, found?.kind], [2 ** 40, "batch"]);
  assert.deepEqual(found?.payload.slice(), payload);
  assert.equal(readFrame(HEAD, segment, 512), undefined);
  // Neither in another segment, nor of another node, nor in another log.
  assert.equal(readFrame({ ...HEAD, segment: 4 }, segment, 1024), undefined);
  assert.equal(readFrame({ ...HEAD, owner: "0".repeat(16) as NodeId }, segment, 1024), undefined);
  assert.equal(readFrame({ ...HEAD, logId: "f".repeat(16) }, segment, 1024), undefined);
});

Deno.test("nextFrameAt() passes over no sector that a frame begins at, and over zeros", () => {
  const frame = encodeFrame(HEAD, { kind: "twin", sequence: 7, payload: new Uint8Array(600) });
  for (let at = 0; at + frame.length <= HEAD.segmentBytes; at += 512) {
    const segment = new Uint8Array(HEAD.segmentBytes);
    segment.set(frame, at);
    assert.equal(nextFrameAt(segment, 0), at);
    assert.equal(nextFrameAt(segment, at), at);
    assert.equal(nextFrameAt(segment, at + 512), HEAD.segmentBytes, "no frame begins in another");
  }
  assert.equal(
    nextFrameAt(new Uint8Array(700), 512),
    700,
    "a segment that was cut within a sector",
  );
});

Deno.test("The log's decoders return a value for any bytes", () => {
  const random = new Random(3);
  const snapshot = encodeSnapshotFile(HEAD.logId, {
    id: { term: 2, index: 7 },
    configuration: {
      voters: [HEAD.owner],
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: true,
    },
    data: new Uint8Array(40),
  });
  assert.equal(decodeSnapshotFile(HEAD.logId, snapshot).kind, "decoded");
  assert.equal(decodeSnapshotFile("f".repeat(16), snapshot).kind, "malformed");
  const sources = [encodeSegmentHead(HEAD), snapshot];
  for (let input = 0; input < FUZZ_INPUTS; input++) {
    const bytes = mutate(random, [...sources, encodeRecords([randomRecord(random)])]);
    decodeRecords(bytes);
    if (bytes.length > 0 && !sources.some((source) => equal(source, bytes))) {
      assert.equal(decodeSegmentHead(bytes).kind, "malformed");
      assert.equal(decodeSnapshotFile(HEAD.logId, bytes).kind, "malformed");
      assert.equal(readFrame(HEAD, bytes, 0), undefined);
    }
  }
});

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function mutate(random: Random, sources: readonly Uint8Array[]): Uint8Array {
  const source = random.pick(sources) ?? new Uint8Array(0);
  if (random.chance(1, 4)) {
    return Uint8Array.from({ length: random.below(100) }, () => random.below(256));
  }
  const bytes = random.chance(1, 3)
    ? source.slice(0, random.below(source.length + 1))
    : source.slice();
  for (let change = random.below(4); change > 0 && bytes.length > 0; change--) {
    bytes[random.below(bytes.length)] = random.below(256);
  }
  return bytes;
}

function randomRecord(random: Random): WalRecord {
  const id = () => ({ term: random.below(99), index: random.uint32() });
  const vote = random.chance(1, 2) ? HEAD.owner : undefined;
  const hardState = { term: random.below(500), vote, commit: random.below(500) };
  const steps = [{ action: "add_voter", node: HEAD.owner } as const];
  const context = Uint8Array.of(1, 2);
  const change = { transition: "implicit", steps, context, form: "batch" } as const;
  const data = Uint8Array.from({ length: random.below(50) }, () => random.below(256));
  const records: WalRecord[] = [
    { kind: "base", hardState, start: id(), snapshotId: id() },
    { kind: "entry", entry: { ...id(), kind: "command", data } },
    { kind: "entry", entry: { ...id(), kind: "group_change", change } },
    { kind: "hard_state", hardState },
    { kind: "installed", snapshotId: id() },
    { kind: "compacted", snapshotId: id(), start: id() },
  ];
  return records[random.below(records.length)] ?? { kind: "hard_state", hardState };
}
