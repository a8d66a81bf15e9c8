/**
 * How long a reader waits when a node dies, on whole nodes in virtual time: what computing takes comes on top of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DOUBT_MS } from "../../src/core/answers/limits.ts";
import { Apps } from "../harness/node_apps.ts";
import { SCRIPTED_ANSWER } from "../harness/scripted_engine.ts";

/** Nobody but others computes what this one is asked. */
const ENTRY = 1;
const OTHERS = [2, 3];
/** Deaths of each kind, each at another moment of the heartbeats and of the answer. */
const DEATHS = 6;
const ASK = { method: "POST", path: "/api/generate", body: { model: "m", prompt: "hi" } };

async function begin(): Promise<Apps> {
  const apps = await Apps.start(3);
  await apps.world.drain(ENTRY);
  return apps;
}

/** The others have the model loaded, and nobody doubts anybody. */
async function warm(apps: Apps): Promise<void> {
  const { world } = apps;
  const isCalm = () => world.running.every((at) => OTHERS.every((it) => isAlive(world, at, it)));
  await world.until("all are there", isCalm);
  // Who was lost is asked last for a while.
  await world.advance(DOUBT_MS);
  for (const number of OTHERS) {
    const other = OTHERS.find((it) => it !== number) ?? 0;
    await world.drain(other);
    const answer = await apps.ask(ENTRY, { ...ASK, body: { ...ASK.body, stream: false } });
    await apps.read(answer);
    assert.equal(computedBy(answer), number);
    await world.drain(other, false);
  }
}

function isAlive(world: Apps["world"], observer: number, subject: number): boolean {
  return observer === subject || world.standing(observer, subject) === "alive";
}

function computedBy(answer: Response): number {
  return Number(answer.headers.get("x-odist-node")?.slice(1));
}

function textOf(ndjson: string): string {
  return ndjson.trimEnd().split("\n").map((line) => JSON.parse(line).response).join("");
}

/** An answer of which something was read, `round` moments later. */
async function inTheMiddle(apps: Apps, round: number) {
  await warm(apps);
  await apps.world.advance(round * 61);
  const answer = await apps.ask(ENTRY, ASK);
  const { text } = await apps.read(answer, 5 + round * 3);
  return { answer, text };
}

async function backAgain(apps: Apps, number: number): Promise<void> {
  await apps.world.boot(number);
  apps.boot(number);
}

Deno.test("A reader waits 600 ms at most when the node that computes for him is killed, whoever keeps the copy of his answer", async () => {
  const apps = await begin();
  await using world = apps.world;
  const { clock } = world.network;
  for (let round = 0; round < DEATHS; round++) {
    const { answer, text } = await inTheMiddle(apps, round);
    const dead = computedBy(answer);
    const killedMs = clock.monotonicMs();
    world.crash(dead);
    const next = await apps.read(answer, 1);
    const pauseMs = clock.monotonicMs() - killedMs;
    assert.ok(pauseMs > 200, "it was felt");
    assert.ok(pauseMs <= 600, `it took ${pauseMs} ms`);
    const rest = await apps.read(answer);
    assert.equal(textOf(text + next.text + rest.text), SCRIPTED_ANSWER);
    await backAgain(apps, dead);
  }
});

Deno.test("A reader waits 500 ms at most for another node when the one that he asked is killed, even if its dead lease holds the only slot", async () => {
  const apps = await begin();
  await using world = apps.world;
  const { clock } = world.network;
  let tookOverItsOwn = 0;
  for (let round = 0; round < DEATHS; round++) {
    const { answer, text } = await inTheMiddle(apps, round);
    const id = answer.headers.get("x-odist-answer");
    const by = computedBy(answer);
    const killedMs = clock.monotonicMs();
    world.crash(ENTRY);
    const offset = new TextEncoder().encode(text).length;
    const resumed = await apps.ask(2, { path: `/api/answers/${id}?offset=${offset}` });
    const next = await apps.read(resumed, 1);
    const pauseMs = clock.monotonicMs() - killedMs;
    assert.ok(pauseMs <= 500, `it took ${pauseMs} ms`);
    const rest = await apps.read(resumed);
    assert.equal(textOf(text + next.text + rest.text), SCRIPTED_ANSWER);
    const { lines } = world.machine(by).telemetry;
    if (lines.some(({ event, values }) => event === "answer_taken_over" && values?.answer === id)) {
      tookOverItsOwn++;
    }
    await backAgain(apps, ENTRY);
  }
  assert.ok(tookOverItsOwn > 0, "who computed it went on with it");
});

Deno.test("A reader waits 550 ms at most when the second node that keeps his answer is killed", async () => {
  const apps = await begin();
  await using world = apps.world;
  const { clock } = world.network;
  let felt = 0;
  for (let round = 0; round < DEATHS; round++) {
    const { answer, text } = await inTheMiddle(apps, round);
    const dead = OTHERS.find((number) => number !== computedBy(answer)) ?? 0;
    world.crash(dead);
    let [all, lastMs] = [text, clock.monotonicMs()];
    for (;;) {
      const part = await apps.read(answer, 1);
      const pauseMs = clock.monotonicMs() - lastMs;
      lastMs += pauseMs;
      all += part.text;
      assert.ok(pauseMs <= 550, `it took ${pauseMs} ms`);
      if (pauseMs > 100) felt++;
      if (part.text === "") break;
    }
    assert.equal(textOf(all), SCRIPTED_ANSWER);
    await backAgain(apps, dead);
  }
  assert.ok(felt > 0, "it was felt");
});
