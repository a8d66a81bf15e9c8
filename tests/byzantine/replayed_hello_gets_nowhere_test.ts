import assert from "node:assert/strict";
import { spokenVersions } from "../../src/protocol/mod.ts";
import { greet } from "../../src/transport/mod.ts";
import type { BytePipe } from "../harness/hostile_peer.ts";
import { HostileScene } from "../harness/hostile_scene.ts";
import { directoryOf } from "../harness/identities.ts";

/** A pipe that keeps what is written to it. */
function recorded(pipe: BytePipe) {
  const frames: Uint8Array[] = [];
  const write = async (frame: Uint8Array) => {
    frames.push(frame.slice());
    await pipe.write(frame);
  };
  return { frames, pipe: { write, read: () => pipe.read() } };
}

Deno.test("A hello that was recorded from a member proves nothing a second time", () =>
  HostileScene.play(async (scene) => {
    const member = await scene.hostile();
    const { frames, pipe } = recorded(await member.openHello());
    const { identity } = member;
    const expected = scene.node.nodeId;
    const nowMs = () => Date.now();
    await greet(pipe, {
      identity,
      directory: directoryOf(),
      nowMs,
      speaks: spokenVersions(),
      role: "dialer",
      expected,
    });
    assert.equal(frames.length, 2, "an offer and a proof");
    member.close();

    const thief = await scene.hostile();
    const replay = await thief.openHello();
    await replay.write(frames[0] ?? new Uint8Array(0));
    await replay.read();
    await replay.write(frames[1] ?? new Uint8Array(0));
    assert.equal(await thief.closeCode(), 4);
    assert.equal(scene.metrics.faults("hello_bad_signature"), 1);
    await scene.node.until(() => scene.node.lost.includes(identity.nodeId));
    assert.equal(scene.node.transport.connections().length, 1);
  }));
