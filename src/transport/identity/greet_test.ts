import assert from "node:assert/strict";
import {
  decodeHello,
  encodeHello,
  type HelloFrame,
  type HelloRefusal,
  helloTranscript,
  type SpokenVersions,
  spokenVersions,
} from "../../protocol/mod.ts";
import { forwardFrames, MemoryPipe } from "../../../tests/harness/frame_pipes.ts";
import { directoryOf, identityMaker } from "../../../tests/harness/identities.ts";
import { greet, type GreetedPeer, type GreetOptions, helloFailureOf } from "./mod.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const DAY_MS = 24 * 60 * 60 * 1_000;
const nowMs = () => NOW_MS;

interface Sides {
  readonly dialer: GreetOptions;
  readonly listener: GreetOptions;
}

async function members(): Promise<Sides> {
  const { make } = await identityMaker(NOW_MS);
  const [identity, expected] = [await make(), await make()];
  const directory = directoryOf();
  return {
    dialer: {
      identity,
      directory,
      nowMs,
      speaks: spokenVersions(),
      role: "dialer",
      expected: expected.nodeId,
    },
    listener: { identity: expected, directory, nowMs, speaks: spokenVersions(), role: "listener" },
  };
}

/** Both sides' ends: a peer, or the error. Frames of the dialer pass `change`. */
async function greetBoth(
  sides: Sides,
  change?: (frame: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): Promise<readonly PromiseSettledResult<GreetedPeer>[]> {
  const near = MemoryPipe.pair();
  const far = MemoryPipe.pair();
  void forwardFrames(near.right, far.left, change);
  void forwardFrames(far.left, near.right);
  return await Promise.allSettled([
    greet(near.left, sides.dialer).finally(() => near.left.end()),
    greet(far.right, sides.listener).finally(() => far.right.end()),
  ]);
}

function reasonOf(result: PromiseSettledResult<GreetedPeer> | undefined): HelloRefusal | "greeted" {
  if (result?.status !== "rejected") return "greeted";
  const failure = helloFailureOf(result.reason);
  assert.ok(failure !== undefined, String(result.reason));
  return failure.reason;
}

async function assertRefused(sides: Sides, reason: HelloRefusal): Promise<void> {
  const [dialer, listener] = await greetBoth(sides);
  assert.deepEqual([reasonOf(dialer), reasonOf(listener)], [reason, reason]);
}

Deno.test("A hello tells each side who the other is", async () => {
  const sides = await members();
  const [dialer, listener] = await greetBoth(sides);
  assert.ok(dialer?.status === "fulfilled" && listener?.status === "fulfilled");
  assert.equal(dialer.value.nodeId, sides.listener.identity.nodeId);
  assert.deepEqual(dialer.value.publicKey, sides.listener.identity.publicKey);
  assert.equal(listener.value.nodeId, sides.dialer.identity.nodeId);
  assert.deepEqual(listener.value.certificate, sides.dialer.identity.certificate);
});

Deno.test("A hello with another cluster is refused on both sides with both ids", async () => {
  const ours = await members();
  const theirs = await members();
  const { listener } = theirs;
  const dialer = { ...ours.dialer, expected: listener.identity.nodeId };
  const results = await greetBoth({ dialer, listener });
  for (const result of results) {
    assert.equal(reasonOf(result), "other_cluster");
    assert.ok(result.status === "rejected");
    assert.match(String(result.reason), new RegExp(dialer.identity.clusterId));
    assert.match(String(result.reason), new RegExp(listener.identity.clusterId));
  }
});

Deno.test("A hello with a certificate of another authority is refused", async () => {
  const ours = await members();
  const theirs = await members();
  const { clusterId } = ours.listener.identity;
  const identity = { ...theirs.dialer.identity, clusterId };
  await assertRefused({ ...ours, dialer: { ...ours.dialer, identity } }, "bad_certificate");
});

Deno.test("A hello with somebody's certificate but not their key is refused", async () => {
  const sides = await members();
  const { make } = await identityMaker(NOW_MS);
  const { sign } = await make();
  const identity = { ...sides.dialer.identity, sign };
  await assertRefused({ ...sides, dialer: { ...sides.dialer, identity } }, "bad_signature");
  const listener = { ...sides.listener, identity: { ...sides.listener.identity, sign } };
  await assertRefused({ ...sides, listener }, "bad_signature");
});

Deno.test("A hello asks the directory of each side", async () => {
  const sides = await members();
  for (
    const [judgement, reason] of [
      ["revoked", "revoked"],
      ["key_mismatch", "key_mismatch"],
      ["unknown", "unknown_member"],
    ] as const
  ) {
    const ofDialer = directoryOf({ [sides.dialer.identity.nodeId]: judgement });
    const listener = { ...sides.listener, directory: ofDialer };
    await assertRefused({ ...sides, listener }, reason);
    const ofListener = directoryOf({ [sides.listener.identity.nodeId]: judgement });
    await assertRefused({ ...sides, dialer: { ...sides.dialer, directory: ofListener } }, reason);
  }
});

Deno.test("A directory is not asked about a peer that has not proved its key", async () => {
  const sides = await members();
  const { sign } = await (await identityMaker(NOW_MS)).make();
  let asked = 0;
  const directory = { judge: () => (asked++, "revoked" as const) };
  const dialer = { ...sides.dialer, identity: { ...sides.dialer.identity, sign } };
  await assertRefused({ dialer, listener: { ...sides.listener, directory } }, "bad_signature");
  assert.equal(asked, 0);
});

Deno.test("A dialer that finds another node than it expected refuses it", async () => {
  const sides = await members();
  const { nodeId } = await (await identityMaker(NOW_MS)).make();
  const dialer = { ...sides.dialer, role: "dialer", expected: nodeId } as const;
  await assertRefused({ ...sides, dialer }, "wrong_node");
});

Deno.test("Two nodes with one id refuse each other", async () => {
  const sides = await members();
  const { identity } = sides.listener;
  const dialer = { ...sides.dialer, identity, role: "dialer", expected: identity.nodeId } as const;
  await assertRefused({ ...sides, dialer }, "own_id");
});

Deno.test("Clocks that are hours apart don't matter, and a certificate that seems unborn or dead is named", async () => {
  const sides = await members();
  const at = (offsetMs: number) => ({
    ...sides,
    listener: { ...sides.listener, nowMs: () => NOW_MS + offsetMs },
  });
  for (const hours of [-20, -5, 5, 20]) {
    const results = await greetBoth(at(hours * 3_600_000));
    assert.deepEqual(results.map(reasonOf), ["greeted", "greeted"]);
  }
  await assertRefused(at(-2 * DAY_MS), "not_yet_valid");
  await assertRefused(at(400 * DAY_MS), "expired");
});

Deno.test("A peer of an unknown version is refused by version, whatever else it says", async () => {
  const sides = await members();
  const future = Uint8Array.from([0, 7, 9, 1, 2, 3]);
  const results = await greetBoth(sides, (frame) => frame[0] === 0 ? future : frame);
  assert.deepEqual(results.map(reasonOf), ["unknown_version", "unknown_version"]);
  const [, listener] = results;
  assert.ok(listener?.status === "rejected");
  assert.match(
    String(listener.reason),
    /version 7 to 9 of the hello, this node 1 to 2: update odist/,
  );
});

function speaking(wire: number, catalogue = 1): SpokenVersions {
  return { wire: { min: wire, max: wire }, catalogue: { min: catalogue, max: catalogue } };
}

Deno.test("Peers without a version in common refuse each other, with both versions and what to do", async () => {
  for (const [dials, listens] of [[2, 1], [1, 2]] as const) {
    const { dialer, listener } = await members();
    const sides = {
      dialer: { ...dialer, speaks: speaking(dials) },
      listener: { ...listener, speaks: speaking(listens) },
    };
    const results = await greetBoth(sides);
    assert.deepEqual(results.map(reasonOf), ["unknown_version", "unknown_version"]);
    const older = dials < listens ? dialer.identity.nodeId : listener.identity.nodeId;
    for (const result of results) {
      assert.ok(result.status === "rejected");
      const text = String(result.reason);
      assert.match(text, /wire version 1\b/);
      assert.match(text, /wire version 2\b/);
      assert.ok(text.includes(`update odist on node ${older}`), text);
    }
  }
});

Deno.test("A catalogue that a peer can't read any more keeps it out, either way", async () => {
  for (const catalogues of [[3, 2], [2, 3]] as const) {
    const { dialer, listener } = await members();
    const [dials, listens] = catalogues;
    const results = await greetBoth({
      dialer: { ...dialer, speaks: speaking(1, dials) },
      listener: { ...listener, speaks: speaking(1, listens) },
    });
    assert.deepEqual(results.map(reasonOf), ["unknown_version", "unknown_version"]);
  }
});

Deno.test("What a peer says that it speaks can't be changed on the way", async () => {
  const changed = await greetBoth(await members(), (bytes) => {
    const decoded = decodeHello(bytes);
    assert.ok(decoded.kind === "decoded");
    const frame = decoded.value;
    return frame.kind === "proof" ? encodeHello({ ...frame, speaks: speaking(1, 2) }) : bytes;
  });
  assert.equal(reasonOf(changed[1]), "bad_signature");
});

Deno.test("A hello of the first version is held with a peer that knows no other", async () => {
  for (const speaks of [spokenVersions(), speaking(7)]) {
    const { dialer, listener } = await members();
    const { left, right } = MemoryPipe.pair();
    const greeting = Promise.allSettled([greet(right, { ...listener, speaks })]);
    const { identity } = dialer;
    const { clusterId, certificate } = identity;
    const nonce = new Uint8Array(32).fill(1);
    const offer = { versionMin: 1, versionMax: 1, clusterId, nonce, certificate };
    await left.write(encodeHello({ kind: "offer", offer }));
    const answered = decodeHello(await left.read() ?? new Uint8Array(0));
    assert.ok(answered.kind === "decoded" && answered.value.kind === "answer");
    const { answer } = answered.value;
    assert.deepEqual([answer.version, answer.speaks], [1, undefined]);
    const signature = await identity.sign(helloTranscript("dialer", { offer, answer }));
    await left.write(encodeHello({ kind: "proof", signature }));
    const [result] = await greeting;
    // It can't have said that it speaks anything but the first of all else.
    assert.equal(reasonOf(result), speaks.wire.min === 1 ? "greeted" : "unknown_version");
  }
});

Deno.test("A hello that was changed on the way proves nothing", async () => {
  const sides = await members();
  const offers = (change: (frame: HelloFrame & { kind: "offer" }) => HelloFrame) =>
    greetBoth(sides, (bytes) => {
      const decoded = decodeHello(bytes);
      assert.ok(decoded.kind === "decoded");
      return decoded.value.kind === "offer" ? encodeHello(change(decoded.value)) : bytes;
    });
  const otherNonce = await offers(({ offer }) => ({
    kind: "offer",
    offer: { ...offer, nonce: new Uint8Array(32) },
  }));
  assert.equal(reasonOf(otherNonce[0]), "bad_signature");
  const otherVersions = await offers(({ offer }) => ({
    kind: "offer",
    offer: { ...offer, versionMax: 3 },
  }));
  assert.equal(reasonOf(otherVersions[0]), "bad_signature");
  // Back to a version in which nobody says what else is spoken.
  const earlier = await offers(({ offer }) => ({
    kind: "offer",
    offer: { ...offer, versionMax: 1 },
  }));
  assert.equal(reasonOf(earlier[0]), "bad_signature");
});

Deno.test("Frames that don't belong into a hello end it", async () => {
  const sides = await members();
  for (const bytes of [[], [3], [9, 9, 9], Array(5_000).fill(1)]) {
    const frame = Uint8Array.from(bytes);
    const [dialer, listener] = await greetBoth(sides, () => frame);
    assert.equal(reasonOf(listener), "malformed");
    assert.equal(reasonOf(dialer), "malformed");
  }
});

Deno.test("A peer that goes away in the middle of a hello is said to have ended it", async () => {
  const { listener } = await members();
  const { left, right } = MemoryPipe.pair();
  left.end();
  const [result] = await Promise.allSettled([greet(right, listener)]);
  assert.equal(reasonOf(result), "malformed");
  assert.ok(result?.status === "rejected");
  assert.match(String(result.reason), /ended the hello before its offer/);
});
