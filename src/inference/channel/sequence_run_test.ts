import assert from "node:assert/strict";
import { UnavailableError } from "../../base/mod.ts";
import type { ModelCommand, SequenceEvent, SequenceRequest } from "../../protocol/mod.ts";
import { ModelChannel } from "./model_channel.ts";
import { UNREAD_TOKENS_MAX } from "./sequence_run.ts";

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
