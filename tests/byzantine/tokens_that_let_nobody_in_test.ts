import assert from "node:assert/strict";
import { PeerError, RequestError } from "../../src/base/mod.ts";
import { decodeJoinToken, encodeJoinToken, nodeIdOf } from "../../src/protocol/mod.ts";
import { generateSigningKey, seedDialer, type SigningKey } from "../../src/transport/mod.ts";
import { join, JoinDesk } from "../harness/join_desk.ts";
import { QuicWorld, testClock } from "../harness/quic_world.ts";
import type { TransportHandlers } from "../../src/ports/mod.ts";

const NOBODY: TransportHandlers = {
  onDatagram() {},
  onFrame() {},
  onStream() {},
  onSendFailed() {},
  onConnectionLost() {},
};

interface Scene {
  readonly desk: JoinDesk;
  /** Joins over QUIC, with a fresh key unless one is given. */
  join(token: string, key?: SigningKey): ReturnType<typeof join>;
}

/** A member that answers joins on a real port. */
async function atDesk(act: (scene: Scene) => Promise<void>, opened?: JoinDesk): Promise<void> {
  const desk = opened ?? await JoinDesk.open();
  await QuicWorld.run({}, async (world) => {
    const identity = desk.identity;
    const onJoin = (pipe: Parameters<JoinDesk["answer"]>[0]) => desk.answer(pipe);
    const { transport } = await world.open(NOBODY, { identity, onJoin });
    const port = Number(transport.address.split(":").at(-1));
    const dial = seedDialer({ clock: testClock });
    await act({
      desk,
      join: async (token, key) =>
        await join(token, {
          dial,
          seeds: [{ hostname: "127.0.0.1", port }],
          clock: testClock,
          ...(key === undefined ? {} : { key }),
        }),
    });
  });
}

async function assertRefused(
  { desk }: Scene,
  joining: Promise<unknown>,
  text: RegExp,
): Promise<void> {
  const members = desk.members.size;
  await assert.rejects(joining, (error) => {
    assert.ok(error instanceof RequestError && error.code === "join_refused", String(error));
    assert.match(error.message, text);
    return true;
  });
  assert.equal(desk.members.size, members);
}

/** The admitting side says it too. */
async function assertNoted({ desk }: Scene, text: RegExp): Promise<void> {
  await desk.idle();
  const last = desk.outcomes.at(-1);
  assert.ok(last instanceof PeerError, String(last));
  assert.match(last.message, text);
}

Deno.test("A good token lets one node in over QUIC, and once", async () => {
  await atDesk(async (scene) => {
    const token = await scene.desk.createToken({ uses: 1 });
    const key = await generateSigningKey();
    const answer = await scene.join(token, key);
    assert.equal(answer.clusterId, scene.desk.cluster.authority.clusterId);
    assert.ok(scene.desk.members.has(nodeIdOf(key.publicKey)));
    const text = /token "t0" was used up or revoked/;
    await assertRefused(scene, scene.join(token), text);
    await assertNoted(scene, text);
  });
});

Deno.test("A revoked token lets nobody in", async () => {
  await atDesk(async (scene) => {
    const token = await scene.desk.createToken({ uses: 5 });
    scene.desk.tokens.clear();
    await assertRefused(scene, scene.join(token), /used up or revoked/);
    await assertNoted(scene, /used up or revoked/);
  });
});

Deno.test("An expired token lets nobody in and says since when", async () => {
  await atDesk(async (scene) => {
    const expiresAtMs = Date.UTC(2020, 0, 1);
    const token = await scene.desk.createToken({ expiresAtMs });
    await assertRefused(scene, scene.join(token), /valid until 2020-01-01/);
    await assertNoted(scene, /valid until 2020-01-01/);
  });
});

Deno.test("A token with a guessed secret lets nobody in, and the joiner notices first", async () => {
  await atDesk(async (scene) => {
    const decoded = decodeJoinToken(await scene.desk.createToken());
    assert.ok(decoded.kind === "decoded");
    const guessed = encodeJoinToken({ ...decoded.value, secret: new Uint8Array(16) });
    await assertRefused(scene, scene.join(guessed), /secret is not the one/);
    await assertNoted(scene, /gave up joining.*secret is not the one/);
    assert.equal(scene.desk.admitted.length, 0);
  });
});

Deno.test("A token of another cluster is told nothing but that", async () => {
  await atDesk(async (scene) => {
    const stranger = await JoinDesk.open();
    const token = await stranger.createToken();
    const ids = new RegExp(`the token is of cluster ${stranger.cluster.authority.clusterId}`);
    await assertRefused(scene, scene.join(token), ids);
    assert.deepEqual(scene.desk.outcomes, [], "TLS ended it before a word was said");
  });
});

Deno.test("A revoked node is not let in by a fresh token", async () => {
  await atDesk(async (scene) => {
    const key = await generateSigningKey();
    await scene.join(await scene.desk.createToken(), key);
    const row = scene.desk.members.get(nodeIdOf(key.publicKey)) ?? assert.fail();
    row.standing = "revoked";
    await assertRefused(scene, scene.join(await scene.desk.createToken(), key), /was revoked/);
    await assertNoted(scene, /was revoked/);
  });
});

Deno.test("A node whose id another member has is not let in", async () => {
  await atDesk(async (scene) => {
    const key = await generateSigningKey();
    const publicKey = (await generateSigningKey()).publicKey;
    scene.desk.members.set(nodeIdOf(key.publicKey), { publicKey, standing: "admitted" });
    const joining = scene.join(await scene.desk.createToken(), key);
    await assertRefused(scene, joining, /another member already has the id/);
  });
});

Deno.test("A joiner and a member whose clocks are years apart are told to check them", async () => {
  const desk = await JoinDesk.open(Date.UTC(2001, 0, 1));
  await atDesk(async (scene) => {
    await assertRefused(scene, scene.join(await desk.createToken()), /check both clocks/);
  }, desk);
});
