import assert from "node:assert/strict";
import { UnavailableError } from "../../base/mod.ts";
import type { ModelCommand, SequenceEvent, SequenceRequest } from "../../protocol/mod.ts";
import { ModelChannel } from "./model_channel.ts";
import { EventQueue, UNREAD_TOKENS_MAX } from "./sequence_run.ts";

const REQUEST = { emittedTokens: [] } as unknown as SequenceRequest;
const FINISHED: SequenceEvent = { kind: "finished", reason: "end", prefillNs: 0, decodeNs: 0 };
const never = () => new AbortController().signal;

function tokens(count: number): SequenceEvent {
  const token = { token: 1, bytes: Uint8Array.of(1) };
  return { kind: "tokens", tokens: Array.from({ length: count }, () => token) };
}

function stage() {
  const sent: ModelCommand[] = [];
  const busy: boolean[] = [];
  const nonsense: string[] = [];
  const channel = new ModelChannel({
    send: (command) => void sent.push(command),
    onBusy: (isBusy) => void busy.push(isBusy),
    onNonsense: (reason) => void nonsense.push(reason),
  });
  const taken = () =>
    sent.flatMap((command) => command.kind === "taken" ? [command.tokens] : [])
      .reduce((sum, count) => sum + count, 0);
  return { channel, sent, busy, nonsense, taken };
}

Deno.test("A run lets the other end make no more tokens than are read, and tells what was read", async () => {
  const { channel, sent, taken } = stage();
  const run = channel.generate(REQUEST, never());
  const first = run.next();
  assert.deepEqual(sent, [
    { kind: "generate", id: 1, request: REQUEST, unreadTokensMax: UNREAD_TOKENS_MAX },
  ]);
  let unread = UNREAD_TOKENS_MAX;
  channel.takeEvent(1, tokens(unread));
  await first;
  unread -= taken();
  assert.equal(unread, 0, "all of it was read, and said to be");
  // However it is read, it is told before the other end has to stop.
  for (let count = 0; count < 5_000; count++) {
    channel.takeEvent(1, tokens(1));
    await run.next();
    const untold = UNREAD_TOKENS_MAX + count + 1 - taken();
    assert.ok(untold < UNREAD_TOKENS_MAX, `${untold} tokens read and not told`);
  }
  assert.ok(sent.length < 5_000 / 100, `${sent.length} commands`);
});

Deno.test("A run whose reader stops tells nothing, and wants nothing more once it left", async () => {
  const { channel, sent, taken } = stage();
  const run = channel.generate(REQUEST, never());
  const first = run.next();
  channel.takeEvent(1, tokens(1));
  await first;
  for (let count = 1; count < UNREAD_TOKENS_MAX; count++) {
    assert.equal(channel.takeEvent(1, tokens(1)), undefined);
  }
  assert.equal(taken(), 0);
  // A stream that is not read on makes its other end wait.
  channel.takeEvent(1, tokens(1));
  const room = channel.takeEvent(1, tokens(1));
  assert.ok(room !== undefined);
  await run.return?.();
  await room;
  assert.deepEqual(sent.at(-1), { kind: "cancel", id: 1 });
  assert.equal(channel.takeEvent(1, tokens(1)), undefined);
  assert.deepEqual(await run.next(), { value: undefined, done: true });
});

Deno.test("A channel is busy while anybody waits, and fails all of them when it is lost", async () => {
  const { channel, busy } = stage();
  const run = channel.generate(REQUEST, never());
  const first = run.next();
  const question = channel.detokenize([1]);
  channel.receive({ kind: "detokenized", id: 2, bytes: Uint8Array.of(7) });
  assert.deepEqual(await question, Uint8Array.of(7));
  channel.takeEvent(1, FINISHED);
  await first;
  assert.deepEqual(busy, [true, false]);
  const lost = new UnavailableError("runner_lost", "gone");
  const waiting = channel.tokenize("hi", { addSpecial: false });
  channel.lose(lost);
  await assert.rejects(waiting, lost);
  await assert.rejects(channel.generate(REQUEST, never()).next(), lost);
});

Deno.test("A channel whose other end answers what was not asked says so", async () => {
  const { channel, nonsense } = stage();
  const question = channel.detokenize([1]);
  channel.receive({ kind: "tokenized", id: 1, tokens: [] });
  await assert.rejects(question, { code: "runner_lost" });
  assert.deepEqual(nonsense, ["it answered with tokenized unasked"]);
});

const token = (id: number): SequenceEvent => ({
  kind: "tokens",
  tokens: [{ token: id, bytes: new Uint8Array([id]) }],
});

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
