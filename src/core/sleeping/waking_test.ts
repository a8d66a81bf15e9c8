import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import {
  chooseWaker,
  type Hardware,
  magicPacket,
  meanWakeMs,
  readHardware,
  readSleep,
  readWakeTime,
  type WakeMember,
  writeHardware,
  writeSleep,
  writeWakeTime,
  YIELD_DEFAULTS,
  YieldJudge,
} from "./mod.ts";
import { SLEEP_HOLDS_MAX } from "./sleep_rows.ts";

const [A, B, C] = ["00000000000000aa", "00000000000000bb", "00000000000000cc"] as NodeId[];

function member(nodeId: NodeId | undefined, segment: number, isAwake = true): WakeMember {
  const hardware: Hardware = {
    cards: [{ mac: "02:00:00:00:00:01", broadcast: `10.0.${segment}.255` }],
  };
  return { nodeId: nodeId as NodeId, isAwake, hardware };
}

Deno.test("The packet is six bytes of ones and the card's address sixteen times", () => {
  const packet = magicPacket("02:1a:ff:00:7b:c3");
  assert.equal(packet.length, 102);
  assert.equal(packet.toHex(), "ff".repeat(6) + "021aff007bc3".repeat(16));
});

Deno.test("A machine is woken from its own network: by this node, else by the first that is awake", () => {
  const target = member(C, 1, false);
  assert.equal(chooseWaker(B as NodeId, target, [member(A, 1), member(B, 1)]), B);
  assert.equal(chooseWaker(B as NodeId, target, [member(A, 1), member(B, 2)]), A);
  assert.equal(chooseWaker(B as NodeId, target, [member(A, 1, false), member(B, 2)]), undefined);
  assert.equal(
    chooseWaker(B as NodeId, { ...target, hardware: undefined }, [member(B, 1)]),
    undefined,
  );
});

Deno.test("What the catalogue says of sleep is read back, and nonsense is nothing", () => {
  const hardware: Hardware = { cards: [{ mac: "02:00:00:00:00:01", broadcast: "10.0.0.255" }] };
  assert.deepEqual(readHardware(writeHardware(hardware)), hardware);
  const sleep = { state: "asleep", reason: "", holds: ["0123456789abcdef"] } as const;
  assert.deepEqual(readSleep(writeSleep(sleep)), sleep);
  assert.equal(readWakeTime(writeWakeTime(12_345.6)), 12_346);
  const many = writeSleep({ ...sleep, holds: new Array(1_000).fill("0123456789abcdef") });
  assert.ok(many.length <= 4_096, "a setting has room for it");
  assert.equal(readSleep(many)?.holds.length, SLEEP_HOLDS_MAX);
  for (const nonsense of [undefined, "", "{", "7", '{"state":"dead"}', '{"cards":[{"mac":"x"}]}']) {
    assert.equal(readSleep(nonsense), undefined);
    assert.equal(readHardware(nonsense), undefined);
  }
});

Deno.test("What a wake takes is a mean in which the last one counts for a quarter", () => {
  assert.equal(meanWakeMs(undefined, 8_000), 8_000);
  assert.equal(meanWakeMs(8_000, 12_000), 9_000);
});

Deno.test("A node yields to programs that go on for a while, and comes back after a longer calm", () => {
  const judge = new YieldJudge({ ...YIELD_DEFAULTS, busyPercent: 50 });
  const at = (seconds: number, othersPercent: number) =>
    judge.step({ othersPercent, nowMs: seconds * 1_000 });
  assert.equal(at(0, 90), false);
  assert.equal(at(5, 90), false);
  assert.equal(at(7, 10), false, "a pause begins the count anew");
  assert.equal(at(8, 90), false);
  assert.equal(at(18, 90), true);
  assert.equal(at(20, 10), true);
  assert.equal(at(49, 10), true);
  assert.equal(at(50, 10), false);
});
