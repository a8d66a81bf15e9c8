import assert from "node:assert/strict";
import { InvariantError, type NodeId, PeerError } from "../base/mod.ts";
import type { PeerStream } from "../ports/mod.ts";
import { HandClock, settle } from "../../tests/harness/hand_clock.ts";
import { type StreamPair, streamPair } from "../../tests/harness/peer_streams.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { encodeValue } from "../transport/mod.ts";
import { MessageStream } from "./message_stream.ts";
import { answerPeer } from "./question.ts";
import { StreamRouter } from "./stream_router.ts";

const A = "aaaaaaaaaaaaaaaa" as NodeId;
const B = "bbbbbbbbbbbbbbbb" as NodeId;

function stage() {
  const clock = new HandClock();
  const telemetry = new RecordingTelemetry();
  const router = new StreamRouter({ clock, log: telemetry, metrics: telemetry });
  const held: { readonly stream: PeerStream; readonly opening: unknown; finish(): void }[] = [];
  router.register("echo", {
    streamsPerPeerMax: 2,
    serve: (stream, opening) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      held.push({ stream, opening, finish: resolve });
      return promise;
    },
  });
  const open = async (first?: Uint8Array): Promise<StreamPair> => {
    const pair = streamPair(A, B);
    if (first !== undefined) await pair.near.write(first);
    void router.accept(pair.far);
    await settle();
    return pair;
  };
  const refusals = () => telemetry.samples.map(({ labels }) => labels);
  return { clock, router, held, open, refusals, telemetry };
}

Deno.test("StreamRouter hands a stream to whom its purpose belongs to", async () => {
  const { open, held } = stage();
  const opening = { purpose: "echo", more: [1] };
  const { far } = await open(encodeValue(opening));
  assert.deepEqual(held.map((row) => [row.stream, row.opening]), [[far, opening]]);
});

Deno.test("StreamRouter refuses a purpose that nobody serves, with a reason", async () => {
  const { open, refusals } = stage();
  const { near } = await open(encodeValue({ purpose: "mine" }));
  const messages = new MessageStream(near);
  assert.deepEqual(await messages.read(), {
    kind: "refused",
    error: {
      code: "invalid_request",
      status: 400,
      message: 'Streams for "mine" are not served here',
    },
  });
  assert.equal(await messages.read(), undefined);
  assert.deepEqual(refusals(), [{ purpose: "unknown", reason: "unknown_purpose" }]);
});

for (
  const [what, frame] of [
    ["no CBOR", Uint8Array.of(0xff, 0xff)],
    ["no object", encodeValue([1])],
    ["no purpose", encodeValue({ kind: "x" })],
    ["a purpose that is no text", encodeValue({ purpose: 7 })],
    ["far too much", new Uint8Array(300 * 1024)],
  ] as const
) {
  Deno.test(`StreamRouter cuts and counts a stream that begins with ${what}`, async () => {
    const { open, refusals } = stage();
    const pair = await open(frame);
    assert.ok(pair.isReset());
    assert.deepEqual(refusals(), [{ purpose: "unopened", reason: "malformed" }]);
  });
}

Deno.test("StreamRouter cuts a stream whose first frame does not come within 5 s", async () => {
  const { open, clock } = stage();
  const pair = await open();
  await clock.advance(4_999);
  assert.equal(pair.isReset(), false);
  await clock.advance(1);
  assert.ok(pair.isReset());
  assert.equal(clock.pendingCount, 0);
});

Deno.test("StreamRouter bounds the streams of a peer and purpose, and frees their places", async () => {
  const { open, held } = stage();
  const opening = encodeValue({ purpose: "echo" });
  await open(opening);
  await open(opening);
  const third = await open(opening);
  const refusal = await new MessageStream(third.near).read() as { error: { code: string } };
  assert.equal(refusal.error.code, "queue_full");
  held[0]?.finish();
  await settle();
  await open(opening);
  assert.equal(held.length, 3);
});

Deno.test("StreamRouter bounds the streams of a peer that say nothing", async () => {
  const { open } = stage();
  for (let count = 0; count < 256; count++) assert.equal((await open()).isReset(), false);
  assert.ok((await open()).isReset());
});

Deno.test("StreamRouter survives handlers that fail, and cuts their streams", async () => {
  const { router, open, refusals, telemetry } = stage();
  const failures = [new PeerError("malformed_frame", "nonsense"), new Error("a bug")];
  router.register("fails", {
    streamsPerPeerMax: 1,
    serve: () => Promise.reject(failures.shift()),
  });
  for (let count = 0; count < 2; count++) {
    assert.ok((await open(encodeValue({ purpose: "fails" }))).isReset());
  }
  assert.deepEqual(refusals(), [
    { purpose: "fails", reason: "malformed" },
    { purpose: "fails", reason: "failed" },
  ]);
  assert.deepEqual(telemetry.lines.map(({ level }) => level), ["warn", "error"]);
});

Deno.test("MessageStream carries messages longer than a frame, unmixed and in order", async () => {
  const { near, far } = streamPair(A, B);
  const [from, to] = [new MessageStream(near), new MessageStream(far)];
  const long = { bytes: new Uint8Array(3 * 1024 * 1024 + 1).fill(7) };
  const written = [from.write(long), from.write("between"), from.write(long)];
  assert.equal(from.writesWaiting, 3);
  for (const wanted of [long, "between", long]) assert.deepEqual(await to.read(), wanted);
  await Promise.all(written);
  await from.end();
  assert.equal(await to.read(), undefined);
  assert.equal(from.writesWaiting, 0);
});

for (
  const [what, frames] of [
    ["an empty frame", [new Uint8Array(0)]],
    ["an unknown mark", [Uint8Array.of(2, 0)]],
    ["an empty part", [Uint8Array.of(1)]],
    ["a message cut short", [Uint8Array.of(1, 0x62)]],
    ["no CBOR", [Uint8Array.of(0, 0xff)]],
  ] as const
) {
  Deno.test(`MessageStream refuses ${what}`, async () => {
    const { near, far } = streamPair(A, B);
    for (const frame of frames) await near.write(frame);
    await near.end();
    await assert.rejects(new MessageStream(far).read(), { code: "malformed_frame" });
  });
}

Deno.test("MessageStream sends nothing of a message over the limit", async () => {
  const { near, far } = streamPair(A, B);
  const messages = new MessageStream(near);
  const tooLong = new Uint8Array(64 * 1024 * 1024);
  await assert.rejects(messages.write(tooLong), { code: "malformed_frame" });
  await messages.write("after");
  assert.equal(await new MessageStream(far).read(), "after");
});

Deno.test("A bug behind a question is told to the asker in general and to the own log in full", async () => {
  const { router, open, telemetry } = stage();
  router.register("ask", {
    streamsPerPeerMax: 1,
    serve: (stream) => answerPeer(stream, () => Promise.reject(new InvariantError("Planted"))),
  });
  const { near } = await open(encodeValue({ purpose: "ask" }));
  const error = { code: "peer_refused", status: 500, message: "The node failed unexpectedly" };
  assert.deepEqual(await new MessageStream(near).read(), { kind: "refused", error });
  const told = telemetry.lines.find(({ event }) => event === "peer_stream_failed");
  assert.deepEqual([told?.level, told?.values.reason], ["error", "Planted"]);
});
