import assert from "node:assert/strict";
import { type Incarnation, type NodeId, Random } from "../base/mod.ts";
import {
  decodeDatagram,
  decodeSync,
  encodeSync,
  type MemberClaim,
  type MembershipDatagram,
  type MembershipSync,
  SYNC_BUCKETS,
  type SyncRow,
  type ValueDelta,
  type ValueRumor,
} from "./mod.ts";
import { encodeDatagram } from "../../tests/harness/datagrams.ts";

const FUZZ_INPUTS = 50_000;

Deno.test("decodeDatagram() reads back random datagrams", () => {
  const random = new Random(2);
  for (let round = 0; round < 2_000; round++) {
    const message = randomDatagram(random);
    assert.deepEqual(decodeDatagram(encodeDatagram(message)), { kind: "decoded", value: message });
  }
});

Deno.test("decodeSync() reads back random messages", () => {
  const random = new Random(3);
  for (let round = 0; round < 500; round++) {
    const message = randomSync(random);
    assert.deepEqual(decodeSync(encodeSync(message)), { kind: "decoded", value: message });
  }
});

Deno.test("decodeSync() takes more rows than a byte can count (memberlist 2021)", () => {
  const random = new Random(4);
  const rows = Array.from({ length: 1_000 }, () => randomRow(random));
  const body = { kind: "sync_rows", buckets: [0], rows } as const;
  const message = { source: { bootEpoch: 1, incarnation: 0 as Incarnation }, body };
  assert.deepEqual(decodeSync(encodeSync(message)), { kind: "decoded", value: message });
});

Deno.test("Membership decoders return a value for any bytes", () => {
  const random = new Random(5);
  let malformed = 0;
  for (let input = 0; input < FUZZ_INPUTS; input++) {
    const bytes = randomBytes(random, input);
    if (decodeDatagram(bytes).kind === "malformed") malformed++;
    if (decodeSync(bytes).kind === "malformed") malformed++;
  }
  // Each input is foreign to at least one of the two.
  assert.ok(malformed >= FUZZ_INPUTS, `malformed ${malformed}`);
});

Deno.test("Membership decoders name what is wrong", () => {
  const ping = encodeDatagram({
    source: { bootEpoch: 1, incarnation: 0 as Incarnation },
    body: { kind: "ping", sequence: 1 },
    piggyback: { accusation: undefined, claims: [], values: [] },
  });
  assert.deepEqual(decodeDatagram(Uint8Array.of(9, ...ping.slice(1))), {
    kind: "malformed",
    reason: "unknown version at byte 1",
  });
  assert.deepEqual(decodeDatagram(ping.slice(0, -1)), {
    kind: "malformed",
    reason: "truncated at byte 4",
  });
  assert.deepEqual(decodeDatagram(Uint8Array.of(...ping, 77)), {
    kind: "malformed",
    reason: "unknown part at byte 6",
  });
});

/** Noise, cut messages and messages with a few bytes changed: the last kind gets furthest. */
function randomBytes(random: Random, input: number): Uint8Array {
  if (input % 3 === 0) {
    return Uint8Array.from({ length: random.below(80) }, () => random.below(256));
  }
  const bytes = input % 2 === 0
    ? encodeDatagram(randomDatagram(random))
    : encodeSync(randomSync(random));
  if (input % 3 === 1) return bytes.subarray(0, random.below(bytes.length));
  for (let change = 0; change <= random.below(3); change++) {
    bytes[random.below(bytes.length)] = random.below(256);
  }
  return bytes;
}

function randomNodeId(random: Random): NodeId {
  const digits = (value: number) => value.toString(16).padStart(8, "0");
  return (digits(random.uint32()) + digits(random.uint32())) as NodeId;
}

function randomStamp(random: Random): { bootEpoch: number; incarnation: Incarnation } {
  const bootEpoch = random.uint32() * random.below(1000);
  return { bootEpoch, incarnation: random.below(300) as Incarnation };
}

function randomClaim(random: Random): MemberClaim {
  const standing = random.pick(["alive", "suspect", "down", "left"] as const) ?? "alive";
  return {
    nodeId: randomNodeId(random),
    standing,
    ...randomStamp(random),
    address: random.chance(1, 3) ? "" : `10.0.0.${random.below(256)}:11435`,
    accuser: standing === "suspect" ? randomNodeId(random) : undefined,
  };
}

function randomEntry(random: Random): { key: string; version: number; value?: Uint8Array } {
  const value = Uint8Array.from({ length: random.below(40) }, () => random.below(256));
  return { key: `load/${random.below(9)}`, version: random.below(500), value };
}

function randomRumor(random: Random): ValueRumor {
  const entry = random.chance(1, 4)
    ? undefined
    : { value: undefined, ...(random.chance(1, 2) ? randomEntry(random) : keyOnly(random)) };
  const version = entry?.version ?? random.below(1000);
  return { nodeId: randomNodeId(random), bootEpoch: random.below(9), version, entry };
}

function keyOnly(random: Random): { key: string; version: number } {
  return { key: "gone", version: random.below(500) };
}

function randomDatagram(random: Random): MembershipDatagram {
  const sequence = random.uint32();
  const kind = random.pick(["ping", "ack", "nack", "ping_request", "gossip"] as const);
  const target = randomNodeId(random);
  const body: MembershipDatagram["body"] = kind === "ping_request"
    ? { kind, sequence, target }
    : kind === "gossip" || kind === undefined
    ? { kind: "gossip" }
    : { kind, sequence };
  const standing = random.pick(["suspect", "down", "left", "unknown"] as const) ?? "unknown";
  return {
    source: randomStamp(random),
    body,
    piggyback: {
      accusation: random.chance(1, 3) ? { standing, ...randomStamp(random) } : undefined,
      claims: Array.from({ length: random.below(4) }, () => randomClaim(random)),
      values: Array.from({ length: random.below(3) }, () => randomRumor(random)),
    },
  };
}

function randomRow(random: Random): SyncRow {
  const count = () => random.below(5000);
  return {
    claim: randomClaim(random),
    goneSeconds: count(),
    valueVersion: count(),
    collectedVersion: count(),
  };
}

function randomDelta(random: Random): ValueDelta {
  return {
    nodeId: randomNodeId(random),
    bootEpoch: random.below(9),
    fromVersion: random.below(10),
    toVersion: random.below(10),
    collectedVersion: random.below(10),
    entries: Array.from(
      { length: random.below(4) },
      () => ({ value: undefined, ...randomEntry(random) }),
    ),
  };
}

function randomSync(random: Random): MembershipSync {
  const source = randomStamp(random);
  const rows = Array.from({ length: random.below(5) }, () => randomRow(random));
  const kind = random.pick(["sync_request", "sync_rows", "sync_update"] as const);
  if (kind === "sync_request") {
    const bucketHashes = Array.from({ length: SYNC_BUCKETS }, () => random.uint32());
    const self = randomClaim(random);
    return {
      source,
      body: { kind, salt: random.uint32(), rowsMax: random.below(5000), self, bucketHashes },
    };
  }
  if (kind === "sync_rows") {
    return { source, body: { kind, buckets: [random.below(SYNC_BUCKETS)], rows } };
  }
  const deltas = Array.from({ length: random.below(3) }, () => randomDelta(random));
  const { nodeId, bootEpoch, fromVersion, collectedVersion } = randomDelta(random);
  const wants = [{ nodeId, bootEpoch, fromVersion, collectedVersion }];
  return { source, body: { kind: "sync_update", rows, deltas, wants } };
}
