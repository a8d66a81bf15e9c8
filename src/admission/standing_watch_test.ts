import assert from "node:assert/strict";
import type { NodeId } from "../base/mod.ts";
import type { OwnStanding } from "../transport/mod.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { type ShutOut, StandingWatch } from "./standing_watch.ts";

const [A, B, C] = ["a", "b", "c"].map((digit) => digit.repeat(16)) as [NodeId, NodeId, NodeId];

class Scene {
  readonly clock = new HandClock();
  readonly words = new Map<NodeId, OwnStanding>();
  readonly asked: NodeId[] = [];
  readonly judged: ShutOut[] = [];
  others = 2;
  connected = false;
  readonly watch = new StandingWatch({
    clock: this.clock,
    othersCount: () => this.others,
    isConnected: () => this.connected,
    ask: async ({ nodeId }) => {
      this.asked.push(nodeId);
      return this.words.get(nodeId) ?? "unknown";
    },
    onShutOut: (standing) => void this.judged.push(standing),
  });

  async refuse(by: NodeId, says?: OwnStanding): Promise<void> {
    if (says !== undefined) this.words.set(by, says);
    this.watch.noteRefused({ nodeId: by, address: "h:1" });
    await this.clock.advance(0);
  }
}

Deno.test("two members that have asked a quorum settle it, the only other one alone", async () => {
  const scene = new Scene();
  await scene.refuse(A, "removed");
  assert.deepEqual(scene.judged, []);
  await scene.refuse(B, "removed");
  await scene.refuse(C, "removed");
  assert.deepEqual([scene.judged, scene.asked], [["removed"], [A, B]]);
  const pair = new Scene();
  pair.others = 1;
  await pair.refuse(A, "revoked");
  assert.deepEqual(pair.judged, ["revoked"]);
});

Deno.test("the word of one that may have been shut out itself counts once nobody else was heard for long", async () => {
  const scene = new Scene();
  for (let second = 0; second < 20; second++) {
    await scene.refuse(A, "removed");
    assert.deepEqual(scene.judged, []);
    await scene.clock.advance(1_000);
  }
  await scene.refuse(A);
  assert.deepEqual(scene.judged, ["removed"]);
  assert.equal(scene.asked.length, 5, "each is asked every few seconds");
});

Deno.test("a refusal of one that is behind, and a member that talks to this node, clear all doubt", async () => {
  const scene = new Scene();
  await scene.refuse(A, "removed");
  await scene.refuse(B, "member");
  await scene.clock.advance(30_000);
  await scene.refuse(A, "removed");
  assert.deepEqual(scene.judged, []);
  scene.connected = true;
  await scene.refuse(C, "removed");
  await scene.clock.advance(30_000);
  await scene.refuse(C, "unknown");
  assert.deepEqual(scene.judged, []);
});

Deno.test("a watch that is closed asks nobody", async () => {
  const scene = new Scene();
  scene.watch.close();
  await scene.refuse(A, "removed");
  assert.deepEqual(scene.asked, []);
});
