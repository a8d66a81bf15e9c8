import assert from "node:assert/strict";
import fc from "fast-check";
import { FairQueue, type Priority, remainingMs, SlotTimes, type Waiter, waitMs } from "./mod.ts";

/** Puts requests into a queue, and serves them one after the other. */
class Stage {
  readonly queue = new FairQueue<Waiter>();
  #count = 0;
  add(tenant: string, wish: Partial<Waiter> = {}): string {
    const requestId = `${tenant}/${++this.#count}`;
    this.queue.add({
      ...{ requestId, tenant, line: "m", weight: 1, priority: "normal" as Priority },
      ...{ isResumed: false, costMs: 100, arrival: this.#count },
      ...wish,
    });
    return requestId;
  }
  /** Serves so many, each taking what it was expected to; whose they were. */
  serve(count: number, tookMs: (waiter: Waiter) => number = ({ costMs }) => costMs): string[] {
    return Array.from({ length: count }, () => {
      const waiter = this.queue.head("m");
      assert.ok(waiter !== undefined);
      this.queue.serve(waiter.requestId);
      this.queue.end(waiter.requestId, tookMs(waiter));
      return waiter.tenant;
    });
  }
}

Deno.test("one key with a hundred requests delays another's first one by no more than the one that runs", () => {
  const stage = new Stage();
  for (let at = 0; at < 100; at++) stage.add("a");
  stage.serve(7);
  const running = stage.queue.head("m");
  assert.ok(running !== undefined);
  stage.queue.serve(running.requestId);
  const first = stage.add("b");
  assert.equal(stage.queue.head("m")?.requestId, first);
});

Deno.test("keys get slot time by their weights, whatever their requests take and were expected to", () => {
  const stage = new Stage();
  const weights = { a: 1, b: 2, c: 5 };
  const took = { a: 350, b: 40, c: 100 };
  const got = { a: 0, b: 0, c: 0 };
  for (let at = 0; at < 4_000; at++) {
    for (const tenant of ["a", "b", "c"] as const) stage.add(tenant, { weight: weights[tenant] });
  }
  for (let at = 0; at < 2_000; at++) {
    const [tenant = ""] = stage.serve(1, (waiter) => took[waiter.tenant as "a"]);
    got[tenant as "a"] += took[tenant as "a"];
  }
  const shares = [got.a, got.b / 2, got.c / 5];
  assert.ok(Math.max(...shares) / Math.min(...shares) < 1.02, shares.join(" "));
});

Deno.test("a key is owed nothing for the time in which it asked for nothing", () => {
  const stage = new Stage();
  stage.add("b");
  for (let at = 0; at < 100; at++) stage.add("a");
  stage.serve(50);
  for (let at = 0; at < 40; at++) stage.add("b");
  const served = stage.serve(20);
  assert.equal(served.filter((tenant) => tenant === "b").length, 10);
});

Deno.test("a priority says which of its own requests a key has first, and nothing about those of others", () => {
  const stage = new Stage();
  const low = stage.add("a", { priority: "low" });
  const normal = stage.add("a");
  const other = stage.add("b", { priority: "low" });
  const high = stage.add("a", { priority: "high" });
  const order = Array.from({ length: 4 }, () => {
    const id = stage.queue.head("m")?.requestId ?? "";
    stage.serve(1);
    return id;
  });
  assert.deepEqual(order, [high, other, normal, low]);
});

Deno.test("what lost its slot comes before all others", () => {
  const stage = new Stage();
  for (let at = 0; at < 5; at++) stage.add("a");
  stage.serve(1);
  const resumed = stage.add("b", { isResumed: true });
  assert.equal(stage.queue.head("m")?.requestId, resumed);
});

Deno.test("what is said to come before a request is what is served before it", () => {
  const request = fc.record({
    tenant: fc.constantFrom("a", "b", "c"),
    priority: fc.constantFrom<Priority>("high", "normal", "low"),
  });
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 40 }), fc.nat(), (requests, pick) => {
      const stage = new Stage();
      for (const { tenant, priority } of requests) {
        stage.add(tenant, { priority, weight: tenant === "c" ? 2 : 1 });
      }
      const all = [...stage.queue.waiters("m")];
      const waiter = all[pick % all.length];
      assert.ok(waiter !== undefined);
      const { costMs, count } = stage.queue.ahead(waiter);
      let served = 0;
      while (stage.queue.head("m")?.requestId !== waiter.requestId) served += stage.serve(1).length;
      // Whose turn it is among equals is decided turn by turn: one of each other key.
      assert.ok(Math.abs(count - served) <= 2, `${count} of ${served}`);
      assert.ok(Math.abs(costMs - served * 100) <= 200, `${costMs} of ${served}`);
    }),
    { numRuns: 300 },
  );
});

Deno.test("a queue of 16,384 costs no more for each that comes and goes than a short one", () => {
  const stage = new Stage();
  for (let at = 0; at < 16_384; at++) stage.add(`t${at % 64}`);
  const spanMs = (act: () => void) => {
    const begun = performance.now();
    act();
    return performance.now() - begun;
  };
  const ms = spanMs(() => {
    for (let at = 0; at < 1_000; at++) {
      const waiter = stage.queue.find(stage.add(`t${at % 64}`));
      assert.ok(waiter !== undefined);
      stage.serve(1);
    }
  });
  assert.ok(ms < 1_000, `${ms} ms for 1,000 of them`);
});

Deno.test("waitMs() shares what is ahead among the slots as they come free", () => {
  assert.equal(waitMs([300], 0), 300);
  assert.equal(waitMs([300], 200), 500);
  assert.equal(waitMs([100, 300], 0), 100);
  assert.equal(waitMs([100, 300], 200), 300);
  assert.equal(waitMs([100, 300], 600), 500);
  assert.equal(remainingMs(800, 300), 500);
  assert.equal(remainingMs(800, 5_000), 100);
});

Deno.test("SlotTimes tells what a request of its kind takes, longer prompts longer, from what was measured", () => {
  const times = new SlotTimes();
  const size = { line: "m", promptTokens: 0, answerTokensMax: 100 };
  assert.equal(times.measured(size), undefined);
  for (let at = 0; at < 60; at++) {
    const promptTokens = (at % 10) * 100;
    times.note({ ...size, promptTokens }, 500 + promptTokens * 2);
    times.note({ ...size, answerTokensMax: 5 }, 50);
  }
  const told = times.measured({ ...size, promptTokens: 2_000 }) ?? 0;
  assert.ok(Math.abs(told - 4_500) < 10, `${told}`);
  assert.equal(Math.round(times.measured({ ...size, answerTokensMax: 5 }) ?? 0), 50);
  assert.equal(times.measured({ ...size, line: "other" }), undefined);
});

/** What so many requests taking these times tell. */
function timesOf(tookMs: readonly number[], size = { line: "m", answerTokensMax: Infinity }) {
  const times = new SlotTimes();
  for (const ms of tookMs) times.note({ ...size, promptTokens: 0 }, ms);
  return times;
}

const UNBOUNDED = { line: "m", promptTokens: 0, answerTokensMax: Infinity };

Deno.test("SlotTimes tells keys apart that bound no answer and get longer ones than others", () => {
  const times = new SlotTimes();
  for (let at = 0; at < 40; at++) {
    times.note({ ...UNBOUNDED, tenant: "agents" }, 100);
    times.note({ ...UNBOUNDED, tenant: "chats" }, 3_000);
  }
  assert.equal(Math.round(times.measured({ ...UNBOUNDED, tenant: "agents" }) ?? 0), 100);
  assert.equal(Math.round(times.measured({ ...UNBOUNDED, tenant: "chats" }) ?? 0), 3_000);
  const nobodys = times.measured(UNBOUNDED) ?? 0;
  assert.ok(nobodys > 1_000 && nobodys < 2_200, `${nobodys} of one that was never seen`);
});

Deno.test("SlotTimes tells in what time most are through, and never less than what they take on average", () => {
  const times = timesOf(Array.from({ length: 60 }, (_, at) => at % 5 === 4 ? 6_000 : 1_000));
  const meanMs = times.measured(UNBOUNDED) ?? 0;
  assert.ok(Math.abs(meanMs - 2_000) < 300, `mean ${meanMs}`);
  assert.ok((times.within(UNBOUNDED, 0.9) ?? 0) > 4_500, "the long ones count");
  assert.equal(times.within(UNBOUNDED, 0.5), meanMs);
  assert.equal(timesOf([]).within(UNBOUNDED, 0.9), undefined);
});

Deno.test("SlotTimes expects of one that runs longer than most what those take that do", () => {
  const times = timesOf(Array.from({ length: 60 }, (_, at) => at % 5 === 4 ? 6_000 : 1_000));
  const [begunMs = 0, longMs = 0] = [0, 2_000].map((ms) => times.remaining(UNBOUNDED, ms));
  assert.ok(Math.abs(begunMs - 2_000) < 400, `${begunMs} of one that began`);
  assert.ok(Math.abs(longMs - 4_000) < 700, `${longMs} of one that is none of the short ones`);
  const beyondMs = times.remaining(UNBOUNDED, 60_000) ?? 0;
  assert.ok(beyondMs > 0 && beyondMs < 1_000, `${beyondMs} of one that is longer than all`);
});

Deno.test("SlotTimes follows a machine that gets slower within a few requests, and no chance of single ones", () => {
  const steady = Array.from({ length: 60 }, (_, at) => 1_000 + (at % 3) * 20);
  const slower = timesOf([...steady, ...steady.slice(0, 8).map((ms) => 2 * ms)]);
  const toldMs = slower.measured(UNBOUNDED) ?? 0;
  assert.ok(toldMs > 1_800, `${toldMs} after eight that took twice as long`);
  // The same eight among times that differ as much anyway say little.
  const wild = Array.from({ length: 60 }, (_, at) => at % 2 === 0 ? 100 : 1_940);
  const before = timesOf(wild).measured(UNBOUNDED) ?? 0;
  const after = timesOf([...wild, 100, 1_940, 1_940, 100, 1_940, 1_940, 100, 1_940])
    .measured(UNBOUNDED) ?? 0;
  assert.ok(Math.abs(after / before - 1) < 0.15, `${before} and then ${after}`);
});
