import assert from "node:assert/strict";
import { encodeApiKey, encodeStreamHeader } from "../../src/protocol/mod.ts";
import { createAuthority } from "../../src/transport/mod.ts";
import { ClientScene, type WebClient } from "../harness/clients.ts";
import { frameOf, HostilePeer } from "../harness/hostile_peer.ts";
import { openNode } from "../harness/transport_contract.ts";

/** What a stranger tries over WebTransport, and the fault it is caught at. */
const ATTACKS: Readonly<
  Record<string, { fault: string; act: (web: WebClient, key: string) => Promise<unknown> }>
> = {
  "another key": { fault: "key_refused", act: (web) => web.greet("odist-key-AAAA") },
  "no key but a request": { fault: "early_frame", act: (web) => web.begin("/api/tags") },
  "a hello that is no JSON": {
    fault: "malformed_frame",
    act: (web) => raw(web, encodeStreamHeader("hello"), frameOf("{key:")),
  },
  "a hello without a key": {
    fault: "malformed_frame",
    act: (web) => raw(web, encodeStreamHeader("hello"), frameOf('{"keys":"x"}')),
  },
  "a hello of endless length": {
    fault: "malformed_frame",
    act: (web) => raw(web, encodeStreamHeader("hello"), new Uint8Array([0xfe, 0xff, 0xff, 0xff])),
  },
  "half a hello and silence": {
    fault: "peer_stalled",
    act: (web) => raw(web, encodeStreamHeader("hello"), frameOf("{").subarray(0, 4)),
  },
  "a method that does not exist": {
    fault: "malformed_frame",
    act: async (web, key) => {
      await web.greet(key);
      await web.begin("/api/tags", "BREW");
    },
  },
  "a path that is none": {
    fault: "malformed_frame",
    act: async (web, key) => {
      await web.greet(key);
      await web.begin("http://other.example/");
    },
  },
  "a second hello": {
    fault: "early_frame",
    act: async (web, key) => {
      await web.greet(key);
      await web.greet(key);
    },
  },
};

async function raw(web: WebClient, ...parts: Uint8Array[]): Promise<void> {
  const writer = (await web.transport.createBidirectionalStream()).writable.getWriter();
  for (const part of parts) await writer.write(part);
}

for (const [title, { fault, act }] of Object.entries(ATTACKS)) {
  Deno.test(`A client that sends ${title} is counted, loses its session, and is answered nothing`, () =>
    ClientScene.play(async (scene, world) => {
      let answered = 0;
      scene.answer = () => Promise.resolve(new Response(String(answered++)));
      const friend = await openNode(world);
      const web = await scene.openWeb();
      await act(web, scene.keyText).catch(() => {});
      await web.transport.closed.catch(() => {});
      assert.equal(scene.metrics.faults(fault), 1);
      assert.equal(answered, 0);
      // Members, and clients with a key, notice nothing.
      friend.send(
        { nodeId: scene.identity.nodeId, address: scene.transport.address },
        "still here",
      );
      assert.equal(await (await scene.ask("/")).text(), "0");
      assert.deepEqual(friend.failures, []);
    }, { helloTimeoutMs: 500 }));
}

Deno.test("A client that asks for a path that is not ours gets no session", () =>
  ClientScene.play(async (scene) => {
    const web = await scene.openWeb("/elsewhere");
    await web.transport.closed.catch(() => {});
    assert.equal(scene.metrics.faults("unknown_version"), 1);
  }));

Deno.test("A client tells its key to nobody but its own cluster", () =>
  ClientScene.play(async (scene) => {
    const elsewhere = await createAuthority(Date.now());
    const secret = new Uint8Array(16);
    const key = encodeApiKey({ keyId: "k1", secret, authorityKey: elsewhere.publicKey });
    await assert.rejects(scene.ask("/", {}, key), /handshake|certificate/i);
    assert.equal(scene.metrics.faults("key_refused"), 0);
  }));

Deno.test("Clients beyond the limit are refused, and those that are in go on", () =>
  ClientScene.play(async (scene) => {
    const first = await scene.openWeb();
    await first.greet(scene.keyText);
    const second = await scene.openWeb();
    await second.greet(scene.keyText).catch(() => {});
    await second.transport.closed.catch(() => {});
    assert.equal((await first.ask("/")).text, "fine");
    first.close();
  }, { clientSessionsMax: 1 }));

Deno.test("Clients with one key take not all sessions: those with another are let in", () =>
  ClientScene.play(async (scene) => {
    const first = await scene.openWeb();
    await first.greet(scene.keyText);
    const second = await scene.openWeb();
    await second.greet(scene.keyText).catch(() => {});
    await second.transport.closed.catch(() => {});
    const other = await scene.openWeb();
    assert.equal((await other.greet(scene.otherKeyText)).kind, "welcome");
    assert.equal((await first.ask("/")).text, "fine");
    for (const client of [first, other]) client.close();
  }, { clientSessionsMax: 3, clientSessionsPerKeyMax: 1 }));

Deno.test("Noise where a browser would speak HTTP/3 costs nothing but a connection", () =>
  ClientScene.play(async (scene, world) => {
    const target = { nodeId: scene.identity.nodeId, address: scene.transport.address };
    const identity = await world.identities.make();
    const peer = await HostilePeer.connect(target, { identity, protocol: "h3" });
    const writer = (await peer.conn.createUnidirectionalStream()).getWriter();
    await writer.write(crypto.getRandomValues(new Uint8Array(2_000)));
    const pipe = await peer.openHello(crypto.getRandomValues(new Uint8Array(2_000)));
    await pipe.write(crypto.getRandomValues(new Uint8Array(2_000))).catch(() => {});
    await peer.conn.closed.catch(() => {});
    assert.equal(await (await scene.ask("/")).text(), "fine");
    peer.close();
  }, { helloTimeoutMs: 500 }));

Deno.test("A member's connection can't be used as a client's, nor the other way", () =>
  ClientScene.play(async (scene, world) => {
    const target = { nodeId: scene.identity.nodeId, address: scene.transport.address };
    const identity = await world.identities.make();
    const peer = await HostilePeer.connect(target, { identity, protocol: "odist-client/1" });
    const pipe = await peer.openHello();
    await pipe.write(new TextEncoder().encode("a member's hello"));
    await peer.closeCode();
    assert.equal(scene.metrics.faults("malformed_frame"), 1);
    peer.close();
  }));
