import assert from "node:assert/strict";
import type { PeerDirectory } from "../../src/ports/mod.ts";
import { decodeHello, encodeHello, spokenVersions } from "../../src/protocol/mod.ts";
import {
  greet,
  type GreetOptions,
  helloFailureOf,
  type NodeIdentity,
} from "../../src/transport/mod.ts";
import { forwardFrames, MemoryPipe } from "../harness/frame_pipes.ts";
import { directoryOf, type IdentityMaker, identityMaker } from "../harness/identities.ts";

const directory: PeerDirectory = directoryOf();
const nowMs = () => Date.now();

function dialer(identity: NodeIdentity, expected: NodeIdentity): GreetOptions {
  return {
    identity,
    directory,
    nowMs,
    speaks: spokenVersions(),
    role: "dialer",
    expected: expected.nodeId,
  };
}

function listener(identity: NodeIdentity): GreetOptions {
  return { identity, directory, nowMs, speaks: spokenVersions(), role: "listener" };
}

/** What each side came to: `greeted`, or the reason. */
async function outcome(greeting: Promise<unknown>): Promise<string> {
  try {
    await greeting;
    return "greeted";
  } catch (error) {
    return helloFailureOf(error)?.reason ?? String(error);
  }
}

/** Holds a hello while both sides' frames are written down. */
async function recordHello(
  sides: { readonly dialer: GreetOptions; readonly listener: GreetOptions },
): Promise<{ readonly ofDialer: Uint8Array[]; readonly ofListener: Uint8Array[] }> {
  const near = MemoryPipe.pair();
  const far = MemoryPipe.pair();
  const ofDialer: Uint8Array[] = [];
  const ofListener: Uint8Array[] = [];
  const keep = (list: Uint8Array[]) => (frame: Uint8Array<ArrayBuffer>) => {
    list.push(frame);
    return frame;
  };
  void forwardFrames(near.right, far.left, keep(ofDialer));
  void forwardFrames(far.left, near.right, keep(ofListener));
  await Promise.all([greet(near.left, sides.dialer), greet(far.right, sides.listener)]);
  return { ofDialer, ofListener };
}

/** Plays recorded frames to a side that waits for a fresh hello. */
async function replayTo(options: GreetOptions, frames: readonly Uint8Array[]): Promise<string> {
  const { left, right } = MemoryPipe.pair();
  for (const frame of frames) await left.write(frame);
  left.end();
  return await outcome(greet(right, options));
}

async function three(): Promise<
  { cluster: IdentityMaker; nodes: [NodeIdentity, NodeIdentity, NodeIdentity] }
> {
  const cluster = await identityMaker();
  return { cluster, nodes: [await cluster.make(), await cluster.make(), await cluster.make()] };
}

Deno.test("A recorded hello proves nothing to the listener that heard it before", async () => {
  const { nodes: [a, b] } = await three();
  const { ofDialer } = await recordHello({ dialer: dialer(a, b), listener: listener(b) });
  assert.equal(await replayTo(listener(b), ofDialer), "bad_signature");
});

Deno.test("A recorded hello proves nothing to the dialer that heard it before", async () => {
  const { nodes: [a, b] } = await three();
  const { ofListener } = await recordHello({ dialer: dialer(a, b), listener: listener(b) });
  assert.equal(await replayTo(dialer(a, b), ofListener), "bad_signature");
});

Deno.test("A recorded hello proves nothing to another node", async () => {
  const { nodes: [a, b, c] } = await three();
  const { ofDialer } = await recordHello({ dialer: dialer(a, b), listener: listener(b) });
  assert.equal(await replayTo(listener(c), ofDialer), "bad_signature");
});

Deno.test("A member that is dialed and relays the hello to another one is found out by the dialer", async () => {
  const { nodes: [a, between, c] } = await three();
  const near = MemoryPipe.pair();
  const far = MemoryPipe.pair();
  void forwardFrames(near.right, far.left);
  void forwardFrames(far.left, near.right);
  const outcomes = await Promise.all([
    outcome(greet(near.left, dialer(a, between))),
    outcome(greet(far.right, listener(c))),
  ]);
  assert.deepEqual(outcomes, ["wrong_node", "wrong_node"]);
});

Deno.test("A member that relays a hello under its own certificate has no signature for it", async () => {
  const { nodes: [a, between, c] } = await three();
  const near = MemoryPipe.pair();
  const far = MemoryPipe.pair();
  void forwardFrames(near.right, far.left);
  void forwardFrames(far.left, near.right, (bytes) => {
    const decoded = decodeHello(bytes);
    assert.ok(decoded.kind === "decoded");
    if (decoded.value.kind !== "answer") return bytes;
    const { answer, signature } = decoded.value;
    const { certificate } = between;
    return encodeHello({ kind: "answer", answer: { ...answer, certificate }, signature });
  });
  const outcomes = await Promise.all([
    outcome(greet(near.left, dialer(a, between))),
    outcome(greet(far.right, listener(c))),
  ]);
  assert.deepEqual(outcomes, ["bad_signature", "bad_signature"]);
});

Deno.test("A dialer's own frames sent back to it prove nothing", async () => {
  const { nodes: [a, b] } = await three();
  const { left, right } = MemoryPipe.pair();
  void forwardFrames(right, right);
  assert.equal(await outcome(greet(left, dialer(a, b))), "malformed");
});

Deno.test("A listener's signature is no dialer's, even in a hello between the same two", async () => {
  const { nodes: [a, b] } = await three();
  const near = MemoryPipe.pair();
  const far = MemoryPipe.pair();
  let ofListener: Uint8Array<ArrayBuffer> | undefined;
  void forwardFrames(far.left, near.right, (bytes) => {
    const decoded = decodeHello(bytes);
    if (decoded.kind === "decoded" && decoded.value.kind === "answer") {
      ofListener = decoded.value.signature;
    }
    return bytes;
  });
  void forwardFrames(near.right, far.left, (bytes) => {
    const decoded = decodeHello(bytes);
    assert.ok(decoded.kind === "decoded");
    if (decoded.value.kind !== "proof" || ofListener === undefined) return bytes;
    return encodeHello({ ...decoded.value, signature: ofListener });
  });
  void outcome(greet(near.left, dialer(a, b)));
  assert.equal(await outcome(greet(far.right, listener(b))), "bad_signature");
});

Deno.test("A listener that can't prove its name in TLS hears no hello at all", async () => {
  const cluster = await identityMaker();
  const [a, b, between] = [await cluster.make(), await cluster.make(), await cluster.make()];
  assert.notEqual(a.nodeId, between.nodeId);
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listening = endpoint.listen({
    cert: between.certificatePem,
    key: between.privateKeyPem,
    alpnProtocols: ["odist/1"],
  });
  const incoming = listening.incoming().then((found) => found.accept()).catch(() => undefined);
  try {
    await assert.rejects(
      async () =>
        await Deno.connectQuic({
          hostname: "127.0.0.1",
          port: endpoint.addr.port,
          serverName: `${b.nodeId}.odist`,
          caCerts: [a.authorityPem],
          alpnProtocols: ["odist/1"],
        }),
      /certificate not valid for name/,
    );
    assert.equal(await incoming, undefined);
  } finally {
    listening.stop();
    endpoint.close();
  }
});
