import assert from "node:assert/strict";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import type { NodeId } from "../base/mod.ts";
import type { Entry, RaftWireMessage } from "../protocol/mod.ts";
import { Outbox } from "./outbox.ts";

const [ME, PEER, OTHER] = ["a1", "b2", "c3"].map((id) => id.padStart(16, "0") as NodeId);

function append(to: NodeId | undefined, index: number, entries: number): RaftWireMessage {
  assert.ok(ME !== undefined && to !== undefined);
  return {
    kind: "append_request",
    from: ME,
    to,
    term: 1,
    previous: { term: 1, index },
    entries: Array.from({ length: entries }, (_, at): Entry => ({
      term: 1,
      index: index + 1 + at,
      kind: "command",
      data: new Uint8Array(),
    })),
    commit: index,
  };
}

class Scene {
  readonly clock = new HandClock();
  /** Receiver, then what it got at once. */
  readonly sent: [NodeId, readonly RaftWireMessage[]][] = [];
  readonly outbox = new Outbox({
    clock: this.clock,
    send: (to, messages) => this.sent.push([to, [...messages]]),
  });
}

Deno.test("Outbox sends what one turn has for a peer at once", () => {
  const { outbox, sent } = new Scene();
  const [first, second] = [append(PEER, 1, 1), append(PEER, 2, 1)];
  const third = append(OTHER, 1, 1);
  for (const message of [first, third, second]) outbox.post(message);
  outbox.flush();
  assert.deepEqual(sent, [[PEER, [first, second]], [OTHER, [third]]]);
});

Deno.test("Outbox lets the next append carry the word of a commit", async () => {
  const { outbox, sent, clock } = new Scene();
  outbox.post(append(PEER, 2, 0));
  outbox.flush();
  assert.deepEqual(sent, []);
  const next = append(PEER, 2, 1);
  outbox.post(next);
  outbox.flush();
  await clock.advance(100);
  assert.deepEqual(sent, [[PEER, [next]]]);
});

Deno.test("Outbox sends word of a commit by itself when nothing follows soon", async () => {
  const { outbox, sent, clock } = new Scene();
  outbox.post(append(PEER, 2, 0));
  const newest = append(PEER, 3, 0);
  outbox.post(newest);
  outbox.flush();
  await clock.advance(1);
  assert.deepEqual(sent, []);
  await clock.advance(1);
  assert.deepEqual(sent, [[PEER, [newest]]]);
});

Deno.test("Outbox tells a peer that waits for a commit at once", () => {
  const { outbox, sent } = new Scene();
  assert.ok(PEER !== undefined);
  outbox.onAsked(PEER);
  const notice = append(PEER, 2, 0);
  outbox.post(notice);
  outbox.flush();
  assert.deepEqual(sent, [[PEER, [notice]]]);
  // Not for ever: it may have asked only once.
  for (let tick = 0; tick < 5; tick++) outbox.onTick();
  outbox.post(append(PEER, 3, 0));
  outbox.flush();
  assert.equal(sent.length, 1);
});

Deno.test("Outbox says nothing more once it is cleared", async () => {
  const { outbox, sent, clock } = new Scene();
  outbox.post(append(PEER, 2, 0));
  outbox.post(append(OTHER, 2, 1));
  outbox.flush();
  sent.length = 0;
  outbox.post(append(OTHER, 3, 1));
  outbox.clear();
  outbox.flush();
  await clock.advance(100);
  assert.deepEqual(sent, []);
});
