import assert from "node:assert/strict";
import { encodeStreamHeader } from "../../src/protocol/mod.ts";
import { HostileScene } from "../harness/hostile_scene.ts";
import { openNode } from "../harness/transport_contract.ts";

const LIMITS = { unauthenticatedMax: 8, helloTimeoutMs: 300 };

Deno.test("Strangers that never say hello keep members out only for a moment", () =>
  HostileScene.play(async (scene) => {
    const attempts = await Promise.allSettled(
      Array.from({ length: 40 }, () => scene.hostile()),
    );
    const connected = attempts.filter(({ status }) => status === "fulfilled");
    assert.ok(connected.length <= 8, `${connected.length} strangers are connected`);
    await scene.checkFriend();
    const newcomer = await openNode(scene.world);
    while (!scene.node.texts().includes("made it")) {
      const failed = newcomer.failures.length;
      newcomer.send(scene.node.at, "made it");
      await Promise.race([
        newcomer.until(() => newcomer.failures.length > failed),
        scene.node.until(() => scene.node.texts().includes("made it")),
      ]);
    }
  }, { limits: LIMITS }));

Deno.test("A peer that misbehaves again and again fills no log", () =>
  HostileScene.play(async (scene) => {
    for (let count = 0; count < 20; count++) {
      const peer = await scene.hostile();
      await peer.openStream(encodeStreamHeader("stream"));
      await peer.closeCode();
    }
    assert.equal(scene.metrics.faults("early_frame"), 20);
    assert.equal(scene.log.of("peer_fault").length, 1);
  }));
