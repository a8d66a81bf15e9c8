import assert from "node:assert/strict";
import { type NodeId, UnavailableError } from "../base/mod.ts";
import { answering, ECHO_PURPOSE, echoOpeningShape } from "../calls/mod.ts";
import type { PeerAddress, PeerStream } from "../ports/mod.ts";
import { HandClock, settle } from "../../tests/harness/hand_clock.ts";
import { streamPair } from "../../tests/harness/peer_streams.ts";
import { RoundTrips } from "./round_trips.ts";

const [SELF, NEAR, FAR, MUTE] = ["aa", "bb", "cc", "dd"] as unknown as NodeId[] as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];
const addressOf = (nodeId: NodeId): PeerAddress => ({ nodeId, address: "" });

/** A network on which each node takes its time; a mute one takes what is said and says nothing. */
function network(clock: HandClock, delaysMs: ReadonlyMap<NodeId, number>) {
  const asked: NodeId[] = [];
  const served: Promise<void>[] = [];
  const echo = answering(echoOpeningShape, () => ({ kind: "echo" }));
  const openStream = async ({ nodeId }: PeerAddress): Promise<PeerStream> => {
    asked.push(nodeId);
    const { near, far } = streamPair(SELF, nodeId);
    const delayMs = delaysMs.get(nodeId);
    if (delayMs === undefined) return near;
    const { promise, resolve } = Promise.withResolvers<void>();
    clock.after(delayMs, resolve);
    await promise;
    served.push(echo.serve(far, { purpose: ECHO_PURPOSE }));
    return near;
  };
  return { transport: { openStream }, asked, served };
}

Deno.test("the shortest way to each node is measured, and remembered for a minute", async () => {
  const clock = new HandClock();
  const { transport, asked, served } = network(clock, new Map([[NEAR, 3], [FAR, 40]]));
  const trips = new RoundTrips(clock);
  const peers = [NEAR, FAR, MUTE].map(addressOf);
  const measuring = trips.measure(transport, peers);
  for (let ms = 0; ms < 250; ms++) {
    await clock.advance(1);
    await settle();
  }
  const wanted = new Map([[NEAR, 3], [FAR, 40], [MUTE, 200]]);
  assert.deepEqual(await measuring, wanted);
  const questions = asked.length;
  assert.deepEqual(await trips.measure(transport, peers), wanted);
  assert.equal(asked.length, questions, "nobody was asked again");
  await clock.advance(60_000);
  const again = trips.measure(transport, [addressOf(NEAR)]);
  for (let ms = 0; ms < 20; ms++) await clock.advance(1);
  await again;
  assert.ok(asked.length > questions);
  await Promise.all(served);
});

Deno.test("a node that can't be reached is as far as one that says nothing", async () => {
  const transport = {
    openStream: () => Promise.reject(new UnavailableError("peer_lost", "no way")),
  };
  const trips = await new RoundTrips(new HandClock()).measure(transport, [addressOf(FAR)]);
  assert.deepEqual(trips, new Map([[FAR, 200]]));
});
