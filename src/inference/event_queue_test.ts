import assert from "node:assert/strict";
import type { SequenceEvent } from "../protocol/mod.ts";
import { EventQueue } from "./event_queue.ts";

const token = (id: number): SequenceEvent => ({
  kind: "tokens",
  tokens: [{ token: id, bytes: new Uint8Array([id]) }],
});
const FINISHED: SequenceEvent = { kind: "finished", reason: "end", prefillNs: 0, decodeNs: 0 };

Deno.test("EventQueue joins tokens that wait and keeps the order of all else", async () => {
  const queue = new EventQueue();
  queue.push({ kind: "started", promptTokens: [1], cachedTokens: 0 });
  for (const event of [token(1), token(2), FINISHED]) queue.push(event);
  const kinds = [];
  for (let read = 0; read < 3; read++) kinds.push(await queue.next());
  assert.deepEqual(kinds.map(({ kind }) => kind), ["started", "tokens", "finished"]);
  assert.equal(kinds[1]?.kind === "tokens" && kinds[1].tokens.length, 2);
});

Deno.test("EventQueue wakes its reader", async () => {
  const queue = new EventQueue();
  const next = queue.next();
  queue.push(FINISHED);
  assert.equal((await next).kind, "finished");
});

Deno.test("EventQueue hands out what waits before it fails", async () => {
  const queue = new EventQueue();
  queue.push(token(1));
  queue.fail(new Error("gone"));
  assert.equal((await queue.next()).kind, "tokens");
  await assert.rejects(queue.next(), /gone/);
});
