import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import {
  CHANNEL_FRAME_BYTES_MAX,
  decodeRaftFrame,
  encodeRaftFrames,
  type Entry,
  type EntryId,
  type GroupChange,
  type GroupConfiguration,
  type Proposal,
  type RaftWireMessage,
} from "../mod.ts";
import { RAFT_PROTOCOL_VERSION } from "./codec.ts";

const FUZZ_INPUTS = 50_000;
const ENDS = { from: "00000000000000a1" as NodeId, to: "00000000000000b2" as NodeId };

Deno.test("decodeRaftFrame() reads back random messages", () => {
  const random = new Random(1);
  for (let round = 0; round < 1_000; round++) {
    const messages = Array.from({ length: 1 + random.below(5) }, () => randomMessage(random));
    assert.deepEqual(readBack(messages), messages);
  }
});

Deno.test("encodeRaftFrames() splits what is too much for one frame", () => {
  const data = new Uint8Array(700_000).fill(7);
  const messages = [1, 2, 3, 4].map((index): RaftWireMessage => ({
    ...ENDS,
    kind: "append_request",
    term: 2,
    previous: { term: 1, index },
    entries: [{ term: 2, index: index + 1, kind: "command", data }],
    commit: 1,
  }));
  const frames = encodeRaftFrames(messages);
  assert.equal(frames.length, 2);
  for (const frame of frames) assert.ok(frame.length <= CHANNEL_FRAME_BYTES_MAX);
  assert.deepEqual(readBack(messages), messages);
});

Deno.test("decodeRaftFrame() names the peers as the transport knows them", () => {
  const lie = { ...ENDS, from: "00000000000000ff" as NodeId };
  const [frame = new Uint8Array()] = encodeRaftFrames([{ kind: "timeout_now", ...lie, term: 3 }]);
  const decoded = decodeRaftFrame(frame, ENDS);
  assert.deepEqual(decoded, {
    kind: "decoded",
    value: [{ kind: "timeout_now", ...ENDS, term: 3 }],
  });
});

Deno.test("decodeRaftFrame() leaves the caller its bytes", () => {
  const data = Uint8Array.of(1, 2, 3);
  const [frame = new Uint8Array()] = encodeRaftFrames([
    { kind: "proposal_forward", ...ENDS, proposals: [{ kind: "command", data }] },
  ]);
  const decoded = decodeRaftFrame(frame, ENDS);
  frame.fill(0);
  assert.ok(decoded.kind === "decoded");
  const [message] = decoded.value;
  assert.ok(message?.kind === "proposal_forward");
  assert.deepEqual(message.proposals, [{ kind: "command", data }]);
});

Deno.test("decodeRaftFrame() returns a value for any bytes", () => {
  const random = new Random(2);
  let malformed = 0;
  for (let input = 0; input < FUZZ_INPUTS; input++) {
    if (decodeRaftFrame(damaged(random, input), ENDS).kind === "malformed") malformed++;
  }
  assert.ok(malformed > FUZZ_INPUTS / 3, `malformed ${malformed}`);
});

Deno.test("decodeRaftFrame() refuses all of a frame for one fault, and says which", () => {
  const version = RAFT_PROTOCOL_VERSION;
  const cases: [readonly number[], RegExp][] = [
    [[], /truncated/],
    [[version], /no message/],
    [[version + 1, 7, 1], /unknown version/],
    [[version, 7, 1, 99], /unknown message kind/],
    [[version, 7], /truncated/],
    [[version, 7, 0x81, 0], /overlong/],
    [[version, 6, 1, 8, 0, 0], /unknown flag/],
    // Two hundred thousand entries announced, none there.
    [[version, 0, 1, 0, 0, 0, 0xc0, 0x9a, 0x0c], /truncated/],
    [[version, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f], /out of range/],
    // A chunk that reaches beyond what it is a part of.
    [[version, 12, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 2, 5, 5], /beyond/],
  ];
  for (const [bytes, reason] of cases) {
    const decoded = decodeRaftFrame(Uint8Array.from(bytes), ENDS);
    assert.ok(decoded.kind === "malformed", `${bytes}`);
    assert.match(decoded.reason, reason, `${bytes}`);
  }
  const endless = decodeRaftFrame(new Uint8Array(CHANNEL_FRAME_BYTES_MAX + 1), ENDS);
  assert.deepEqual(endless, { kind: "malformed", reason: "frame too long" });
});

function readBack(messages: readonly RaftWireMessage[]): readonly RaftWireMessage[] {
  return encodeRaftFrames(messages).flatMap((frame) => {
    const decoded = decodeRaftFrame(frame, ENDS);
    assert.ok(decoded.kind === "decoded", JSON.stringify(decoded));
    return [...decoded.value];
  });
}

function damaged(random: Random, input: number): Uint8Array {
  if (input % 4 === 0) {
    return Uint8Array.from({ length: random.below(64) }, () => random.below(256));
  }
  const [frame = new Uint8Array()] = encodeRaftFrames([randomMessage(random)]);
  if (input % 4 === 1) return frame.subarray(0, random.below(frame.length + 1));
  for (let change = random.below(4); change >= 0; change--) {
    frame[random.below(frame.length)] = random.below(256);
  }
  return frame;
}

function randomMessage(random: Random): RaftWireMessage {
  const term = randomCount(random);
  const index = randomCount(random);
  const flag = () => random.chance(1, 2);
  const id = () => randomId(random);
  const context = `read-${random.uint32()}`;
  const configuration = randomConfiguration(random);
  const bytes = randomData(random);
  const previous = id();
  const terms = { ...ENDS, term };
  const rejection = flag() ? { hintIndex: index, hintTerm: term } : undefined;
  const snapshot = { id: id(), configuration, data: bytes };
  const offset = random.below(1_000);
  const dataBytes = offset + bytes.length + random.below(3);
  const all: readonly RaftWireMessage[] = [
    {
      ...terms,
      kind: "append_request",
      previous,
      entries: randomEntries(random, previous),
      commit: index,
    },
    { ...terms, kind: "append_response", index, rejection },
    { ...terms, kind: "heartbeat_request", commit: index, round: random.below(300) },
    { ...terms, kind: "heartbeat_response", round: random.below(300) },
    { ...terms, kind: "snapshot_request", snapshot },
    {
      ...terms,
      kind: "vote_request",
      preVote: flag(),
      transfer: flag(),
      last: id(),
      committed: id(),
    },
    { ...terms, kind: "vote_response", preVote: flag(), granted: flag(), committed: id() },
    { ...terms, kind: "timeout_now" },
    { ...terms, kind: "transfer_request", target: ENDS.to },
    {
      ...ENDS,
      kind: "proposal_forward",
      proposals: Array.from({ length: random.below(4) }, () => randomProposal(random)),
    },
    { ...ENDS, kind: "read_index_request", context },
    { ...terms, kind: "read_index_response", index, context },
    { ...terms, kind: "snapshot_chunk", id: id(), configuration, dataBytes, offset, bytes },
    { ...terms, kind: "snapshot_chunk_ack", id: id(), offset },
    { ...ENDS, kind: "voters_request" },
    { ...ENDS, kind: "voters_response", voters: [ENDS.from, ENDS.to].slice(random.below(3)) },
  ];
  const message = random.pick(all);
  assert.ok(message !== undefined);
  return message;
}

function randomCount(random: Random): number {
  return random.pick([0, 1, 127, 128, random.uint32(), Number.MAX_SAFE_INTEGER]) ?? 0;
}

function randomId(random: Random): EntryId {
  return { term: random.below(300), index: random.uint32() };
}

function randomData(random: Random): Uint8Array {
  return Uint8Array.from({ length: random.below(300) }, () => random.below(256));
}

function randomEntries(random: Random, previous: EntryId): Entry[] {
  return Array.from({ length: random.below(6) }, (_, position) => ({
    term: previous.term + 1,
    index: previous.index + 1 + position,
    ...randomProposal(random),
  }));
}

function randomProposal(random: Random): Proposal {
  if (random.chance(3, 4)) return { kind: "command", data: randomData(random) };
  const change: GroupChange = {
    transition: random.pick(["auto", "implicit", "explicit"] as const) ?? "auto",
    steps: Array.from({ length: random.below(3) }, () => ({
      action: random.pick(["add_voter", "add_learner", "remove", "update"] as const) ?? "remove",
      node: ENDS.from,
    })),
    context: randomData(random),
    form: random.pick(["single", "batch"] as const) ?? "batch",
  };
  return { kind: "group_change", change };
}

function randomConfiguration(random: Random): GroupConfiguration {
  const nodes = () => random.chance(1, 2) ? [ENDS.from] : [ENDS.from, ENDS.to];
  return {
    voters: nodes(),
    votersOutgoing: nodes(),
    learners: [],
    learnersNext: nodes(),
    autoLeave: random.chance(1, 2),
  };
}
