import assert from "node:assert/strict";
import type { SequenceEvent } from "../../protocol/mod.ts";
import { EventQueue } from "./event_queue.ts";

const token = (id: number): SequenceEvent => ({
  kind: "tokens",
  tokens: [{ token: id, bytes: new Uint8Array([id]) }],
});
const FINISHED: SequenceEvent = { kind: "finished", reason: "end", prefillNs: 0, decodeNs: 0 };

Deno.test("EventQueue joins tokens that wait and keeps the order of all else", async () => {
  const queue = new EventQueue(4);
  queue.push({ kind: "started", promptTokens: [1], cachedTokens: 0 });
  for (const event of [token(1), token(2), FINISHED]) queue.push(event);
  const kinds = [];
  for (let read = 0; read < 3; read++) kinds.push(await queue.next());
  assert.deepEqual(kinds.map(({ kind }) => kind), ["started", "tokens", "finished"]);
  assert.equal(kinds[1]?.kind === "tokens" && kinds[1].tokens.length, 2);
});

Deno.test("EventQueue wakes its reader", async () => {
  const queue = new EventQueue(4);
  const next = queue.next();
  queue.push(FINISHED);
  assert.equal((await next).kind, "finished");
});

Deno.test("EventQueue hands out what waits before it fails", async () => {
  const queue = new EventQueue(4);
  queue.push(token(1));
  queue.fail(new Error("gone"));
  assert.equal((await queue.next()).kind, "tokens");
  await assert.rejects(queue.next(), /gone/);
});

Deno.test("EventQueue has room until more wait than its limit, and again once they are read", async () => {
  const queue = new EventQueue(2);
  for (const id of [1, 2]) queue.push(token(id));
  assert.equal(queue.room(), undefined);
  queue.push(token(3));
  const room = queue.room();
  assert.ok(room !== undefined);
  const read = await queue.next();
  assert.equal(read.kind === "tokens" && read.tokens.length, 3);
  await room;
  assert.equal(queue.room(), undefined);
  for (const id of [1, 2, 3]) queue.push(token(id));
  const last = queue.room();
  queue.fail(new Error("gone"));
  await last;
});

Deno.test("EventQueue gives what it gathered away, and gathers the next apart", async () => {
  const queue = new EventQueue(100);
  for (const id of [1, 2, 3]) queue.push(token(id));
  const first = await queue.next();
  for (const id of [4, 5]) queue.push(token(id));
  const second = await queue.next();
  assert.ok(first.kind === "tokens" && second.kind === "tokens");
  assert.deepEqual([first.tokens.length, second.tokens.length], [3, 2]);
});

Deno.test("EventQueue takes a hundred thousand unread tokens without holding anybody up", () => {
  const queue = new EventQueue(1);
  const startedMs = performance.now();
  for (let id = 0; id < 100_000; id++) queue.push(token(id & 127));
  const tookMs = performance.now() - startedMs;
  assert.equal(queue.waitingTokens, 100_000);
  // Copying the backlog for each token took over a minute.
  assert.ok(tookMs < 2_000, `${tookMs} ms`);
});
