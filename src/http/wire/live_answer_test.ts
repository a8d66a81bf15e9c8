import assert from "node:assert/strict";
import { HandClock } from "../../../tests/harness/hand_clock.ts";
import { UnavailableError } from "../../base/mod.ts";
import type { OwnJournal } from "../../ports/mod.ts";
import type { AnswerEntry } from "../../protocol/mod.ts";
import { LiveAnswer } from "./live_answer.ts";

const WORDS = Array.from({ length: 30 }, (_, index) => `word ${index};`);
const encoder = new TextEncoder();

/** A journal where entries may be seen once the test says so, or at once. */
class Journal implements OwnJournal {
  readonly told: (() => void)[] = [];
  states: string[] = [];
  isSlow = false;
  isLost = false;
  open() {}
  drop = () => void this.states.push("dropped");
  notKept = () => undefined;
  copies = () => Promise.resolve(2);
  stand = (state: string) => Promise.resolve(void this.states.push(state));
  async tell(): Promise<void> {
    if (this.isLost) throw new UnavailableError("peer_lost", "another node goes on with it");
    if (this.isSlow) await new Promise<void>((resolve) => this.told.push(resolve));
  }
}

function answer(journal = new Journal(), { keepMs = 0, clock = new HandClock() } = {}) {
  const left: string[] = [];
  const live = new LiveAnswer({
    ...{ journal, clock, keepMs, entries: [] },
    onOver: () => {},
  });
  live.attend({
    deserted: () => void left.push("deserted"),
    over: () => void left.push("over"),
  });
  let made = 0;
  const next = async (): Promise<AnswerEntry | undefined> => {
    await Promise.resolve();
    const word = WORDS[made++];
    return word === undefined ? undefined : { bytes: encoder.encode(word), facts: "[]" };
  };
  const feed = () => live.feed({ next, failure: () => encoder.encode("failed") });
  return { live, journal, clock, left, feed, made: () => made };
}

async function microtasks(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

/** Rejects when nothing comes any more. */
async function orStuck<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  for (let turn = 0; turn < 200 && !settled; turn++) await new Promise((done) => setTimeout(done));
  assert.ok(settled, "it is stuck");
  return await promise;
}

async function readAll(live: LiveAnswer, offset = 0, pause = 0): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of live.read(offset, live.enter())) {
    text += decoder.decode(bytes, { stream: true });
    await microtasks(pause);
  }
  return text;
}

Deno.test("LiveAnswer goes on at whatever moment its reader wants more", async () => {
  for (let pause = 0; pause < 40; pause++) {
    const { live, feed } = answer();
    feed();
    assert.equal(await orStuck(readAll(live, 0, pause)), WORDS.join(""), `pause ${pause}`);
  }
});

Deno.test("LiveAnswer tells each reader the bytes from where it wants them, also those that come late", async () => {
  const { live, feed, left, journal } = answer();
  feed();
  const whole = WORDS.join("");
  const reads = [0, 1, 9, 100, whole.length].map((offset) => readAll(live, offset));
  const texts = await orStuck(Promise.all(reads));
  assert.deepEqual(texts, [0, 1, 9, 100, whole.length].map((offset) => whole.slice(offset)));
  assert.equal(await orStuck(readAll(live)), whole);
  assert.deepEqual([left, journal.states], [["over"], ["ended"]]);
});

Deno.test("LiveAnswer shows nothing that the journal has not let go, and makes so much ahead and no more", async () => {
  const journal = new Journal();
  journal.isSlow = true;
  const { live, feed } = answer(journal);
  feed();
  let seen = 0;
  const reading = (async () => {
    for await (const _ of live.read(0, live.enter())) seen++;
  })();
  for (let turn = 0; turn < 20; turn++) await new Promise((done) => setTimeout(done));
  assert.equal(seen, 0);
  assert.equal(journal.told.length, WORDS.length);
  journal.told.splice(0, 7).forEach((release) => release());
  for (let turn = 0; turn < 5; turn++) await new Promise((done) => setTimeout(done));
  assert.equal(seen, 7);
  journal.told.splice(0).forEach((release) => release());
  await orStuck(reading);
  assert.equal(seen, WORDS.length);
});

Deno.test("LiveAnswer makes no more than its fastest reader takes, and nothing once all have left", async () => {
  const { live, feed, made, left, journal } = answer();
  feed();
  const leave = live.enter();
  const reader = live.read(0, leave);
  await reader.next();
  await microtasks(50);
  const before = made();
  assert.ok(before < 4, String(before));
  leave();
  await microtasks(50);
  assert.equal(made(), before);
  assert.ok(left.includes("deserted"));
  assert.deepEqual(journal.states, ["idle"]);
});

Deno.test("LiveAnswer breaks off for its readers when another node goes on with it", async () => {
  const journal = new Journal();
  const { live, feed, left } = answer(journal);
  feed();
  const reader = live.read(0, live.enter());
  await reader.next();
  journal.isLost = true;
  await assert.rejects(
    orStuck((async () => {
      for (;;) if ((await reader.next()).done === true) return;
    })()),
    { code: "peer_lost" },
  );
  assert.ok(left.includes("deserted"));
});
