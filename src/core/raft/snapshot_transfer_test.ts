import assert from "node:assert/strict";
import { idOf } from "../../../tests/sim/raft_group.ts";
import { Random } from "../../base/mod.ts";
import type { SnapshotChunk, SnapshotChunkAck, SnapshotRequest } from "../../protocol/mod.ts";
import { SnapshotReceiver, SnapshotSender, type TransferLimits } from "./mod.ts";

const LIMITS: TransferLimits = {
  chunkBytesMax: 10,
  windowChunks: 3,
  resendTicks: 2,
  resendsMax: 3,
};

function requestOf(bytes: number, index = 7, term = 2): SnapshotRequest {
  const voters = [idOf(1), idOf(2)];
  return {
    kind: "snapshot_request",
    from: idOf(1),
    to: idOf(2),
    term,
    snapshot: {
      id: { term: 1, index },
      configuration: {
        voters,
        votersOutgoing: [],
        learners: [],
        learnersNext: [],
        autoLeave: false,
      },
      data: Uint8Array.from({ length: bytes }, (_, at) => at % 251),
    },
  };
}

Deno.test("A snapshot arrives whole, whatever its size", () => {
  for (const bytes of [0, 1, 10, 11, 95]) {
    const sender = new SnapshotSender(requestOf(bytes), LIMITS);
    const receiver = new SnapshotReceiver(1_000);
    const arrived: SnapshotRequest[] = [];
    while (sender.state === "sending") {
      const chunks = sender.next();
      assert.ok(chunks.length >= 1 && chunks.length <= 3);
      for (const chunk of chunks) {
        const outcome = receiver.take(chunk);
        assert.ok(outcome.kind !== "refused");
        if (outcome.kind === "complete") arrived.push(outcome.request);
        sender.acknowledge(outcome.ack);
      }
    }
    assert.deepEqual(arrived, [requestOf(bytes)]);
    assert.deepEqual([sender.state, sender.next()], ["delivered", []]);
  }
});

Deno.test("A snapshot survives loss, repetition and reordering of its chunks, on 300 random links", () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed);
    const request = requestOf(random.below(200));
    const sender = new SnapshotSender(request, { ...LIMITS, resendsMax: 1_000 });
    const receiver = new SnapshotReceiver(1_000);
    let complete: SnapshotRequest | undefined;
    for (let tick = 0; tick < 2_000 && sender.state === "sending"; tick++) {
      const chunks = random.shuffle(
        sender.next().flatMap((chunk): SnapshotChunk[] =>
          random.chance(1, 3) ? [] : random.chance(1, 4) ? [chunk, chunk] : [chunk]
        ),
      );
      const acks: SnapshotChunkAck[] = [];
      for (const chunk of chunks) {
        const outcome = receiver.take(chunk);
        if (outcome.kind === "complete") complete = outcome.request;
        if (outcome.kind !== "refused" && random.chance(2, 3)) acks.push(outcome.ack);
      }
      for (const ack of random.shuffle(acks)) sender.acknowledge(ack);
      sender.tick();
    }
    assert.deepEqual([sender.state, complete], ["delivered", request], `seed ${seed}`);
  }
});

Deno.test("A transfer without answers fails after its resends", () => {
  const sender = new SnapshotSender(requestOf(50), LIMITS);
  let sent = 0;
  for (let tick = 0; tick < 20; tick++) {
    sent += sender.next().length;
    sender.tick();
  }
  assert.deepEqual([sender.state, sent], ["failed", 3 * (1 + LIMITS.resendsMax)]);
});

Deno.test("The middle of an unknown snapshot starts nothing, and asks for the beginning", () => {
  const sender = new SnapshotSender(requestOf(50), LIMITS);
  const [first, second] = sender.next();
  assert.ok(first !== undefined && second !== undefined);
  sender.acknowledge({ ...ackFor(first), offset: 10 });
  const restarted = new SnapshotReceiver(1_000);
  const outcome = restarted.take(second);
  assert.ok(outcome.kind === "continues");
  assert.equal(outcome.ack.offset, 0);
  sender.acknowledge(outcome.ack);
  assert.equal(sender.next()[0]?.offset, 0);
});

Deno.test("The middle of another snapshot does not end the one that is under way", () => {
  const receiver = new SnapshotReceiver(1_000);
  const sender = new SnapshotSender(requestOf(20, 7), LIMITS);
  const [first, second] = sender.next();
  const [, strange] = new SnapshotSender(requestOf(50, 9), LIMITS).next();
  assert.ok(first !== undefined && second !== undefined && strange !== undefined);
  receiver.take(first);
  receiver.take(strange);
  assert.equal(receiver.take(second).kind, "complete");
});

Deno.test("A newer snapshot replaces an unfinished one, an older one does not", () => {
  const receiver = new SnapshotReceiver(1_000);
  const chunksOf = (request: SnapshotRequest) => new SnapshotSender(request, LIMITS).next();
  const [old] = chunksOf(requestOf(30, 7));
  const [fresh] = chunksOf(requestOf(10, 9));
  const [later] = chunksOf(requestOf(30, 5, 3));
  assert.ok(old !== undefined && fresh !== undefined && later !== undefined);
  receiver.take(old);
  assert.equal(receiver.take({ ...old, term: 1 }).kind, "refused");
  assert.equal(receiver.take(later).kind, "continues", "of a later term");
  assert.deepEqual(receiver.take(old), { kind: "refused", reason: "outdated" });
  assert.equal(receiver.take({ ...fresh, term: 3 }).kind, "complete");
});

Deno.test("Chunks that are too large or out of their own bounds are refused", () => {
  const receiver = new SnapshotReceiver(100);
  const [chunk] = new SnapshotSender(requestOf(30), LIMITS).next();
  assert.ok(chunk !== undefined);
  assert.deepEqual(receiver.take({ ...chunk, dataBytes: 101 }), {
    kind: "refused",
    reason: "too_large",
  });
  for (const wrong of [{ offset: -1 }, { offset: 25 }, { dataBytes: -1 }]) {
    assert.deepEqual(receiver.take({ ...chunk, ...wrong }), {
      kind: "refused",
      reason: "malformed",
    });
  }
});

Deno.test("Acknowledgements of other snapshots, terms and nodes are ignored", () => {
  const sender = new SnapshotSender(requestOf(30), LIMITS);
  const [chunk] = sender.next();
  assert.ok(chunk !== undefined);
  const ack = { ...ackFor(chunk), offset: 30 };
  sender.acknowledge({ ...ack, id: { term: 1, index: 8 } });
  sender.acknowledge({ ...ack, term: 9 });
  sender.acknowledge({ ...ack, from: idOf(3) });
  sender.acknowledge({ ...ack, offset: 31 });
  assert.equal(sender.state, "sending");
  sender.acknowledge(ack);
  assert.equal(sender.state, "delivered");
});

function ackFor({ from: to, to: from, term, id }: SnapshotChunk): SnapshotChunkAck {
  return { kind: "snapshot_chunk_ack", from, to, term, id, offset: 0 };
}
