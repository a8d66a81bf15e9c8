import assert from "node:assert/strict";
import { askTiny, GREEDY, loadTiny, readAnswer } from "../integration/engine_harness.ts";

const SUBJECTS = ["fox", "bear", "cat", "dog", "bird", "fish", "horse", "mouse"];
const THINGS = ["ball", "house", "tree", "boat"];

Deno.test("32 answers at once are each what they are alone, in at least 95 of 100 cases", async () => {
  const requests = SUBJECTS.flatMap((subject) =>
    THINGS.map((thing, index) =>
      askTiny(`Tell me a story about a ${subject} and a ${thing}.`, {
        predictTokensMax: 64,
        sampler: index % 2 === 0 ? GREEDY : { ...GREEDY, temperature: 0.8, seed: index },
      })
    )
  );
  await using many = await loadTiny({ slots: 32, contextTokens: 256 });
  const together = await Promise.all(requests.map((request) => readAnswer(many, request)));
  await using one = await loadTiny({ contextTokens: 256 });
  let equal = 0;
  for (const [index, request] of requests.entries()) {
    const alone = await readAnswer(one, request);
    if (alone.text === together[index]?.text) equal++;
  }
  assert.ok(equal >= requests.length * 0.95, `${equal} of ${requests.length} are equal`);
});

Deno.test("more answers than slots wait for their turn and none is mixed up", async () => {
  await using model = await loadTiny({ slots: 2 });
  const messages = SUBJECTS.map((subject) => `Write the word ${subject}.`);
  const together = await Promise.all(messages.map((text) => readAnswer(model, askTiny(text))));
  for (const [index, message] of messages.entries()) {
    const alone = await readAnswer(model, askTiny(message));
    assert.equal(together[index]?.text, alone.text, message);
  }
});

Deno.test("a cancelled answer says so and gives its slot to the next one", async () => {
  await using model = await loadTiny();
  const abort = new AbortController();
  const events: string[] = [];
  let next: Promise<{ text: string }> | undefined;
  const request = askTiny("Tell me a long story.", {
    predictTokensMax: 10_000,
    // Never ends by itself.
    grammar: `root ::= [a-z] root\n`,
    sampler: { ...GREEDY, temperature: 1 },
  });
  for await (const event of model.generate(request, abort.signal)) {
    events.push(event.kind === "finished" ? event.reason : event.kind);
    if (event.kind !== "tokens" || abort.signal.aborted) continue;
    next = readAnswer(model, askTiny("Hello!"));
    abort.abort();
  }
  assert.equal(events[0], "started");
  assert.equal(events.at(-1), "cancelled");
  assert.notEqual((await next)?.text, "");
});

Deno.test("an answer cancelled while it waits for a slot ends without starting", async () => {
  await using model = await loadTiny();
  const running = readAnswer(model, askTiny("Tell me a long story."));
  const abort = new AbortController();
  const waiting = readAnswer(model, askTiny("Hello!"), { signal: abort.signal });
  abort.abort();
  assert.equal((await waiting).reason, "cancelled");
  assert.equal((await waiting).promptTokens.length, 0);
  assert.equal((await running).reason, "end");
});

Deno.test("a reader that leaves frees its slot", async () => {
  await using model = await loadTiny();
  await readAnswer(model, askTiny("Tell me a long story."), { stopAfter: 3 });
  assert.notEqual((await readAnswer(model, askTiny("Hello!"))).text, "");
});

Deno.test("a prompt that begins like an earlier one reuses its cache, with the same answer", async () => {
  await using model = await loadTiny({ slots: 2 });
  const long = `Here are my notes. ${"The fox and the bear walk home. ".repeat(20)} Who are you?`;
  const first = await readAnswer(model, askTiny(long));
  const again = await readAnswer(model, askTiny(long));
  assert.equal(first.cachedTokens, 0);
  assert.equal(again.cachedTokens, first.promptTokens.length - 1);
  assert.deepEqual([again.prefix?.source, again.prefix?.end], ["slot", "whole"]);
  assert.equal(again.text, first.text);
  const other = await readAnswer(model, askTiny(`${long} And what are you?`));
  assert.deepEqual(other.prefix, {
    matchedTokens: other.cachedTokens,
    source: "slot",
    end: "differs",
  });
});

Deno.test("a long prefix is copied from a busy slot, with the same answer", async () => {
  await using model = await loadTiny({ slots: 2 });
  const notes = `Here are my notes. ${"The fox and the bear walk home. ".repeat(20)}`;
  await using alone = await loadTiny();
  const wanted = await readAnswer(alone, askTiny(`${notes} Who are you?`));
  const busy = model.generate(
    askTiny(`${notes} Tell me a long story.`),
    new AbortController().signal,
  );
  let copied: Promise<{ cachedTokens: number; text: string }> | undefined;
  for await (const event of busy) {
    if (event.kind === "tokens") copied ??= readAnswer(model, askTiny(`${notes} Who are you?`));
  }
  const got = await copied;
  assert.ok((got?.cachedTokens ?? 0) > 100, `cached ${got?.cachedTokens}`);
  assert.equal(got?.text, wanted.text);
});
