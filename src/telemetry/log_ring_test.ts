import assert from "node:assert/strict";
import type { Clock } from "../ports/mod.ts";
import { createLog, LogRing } from "./mod.ts";

const CLOCK: Clock = {
  nowMs: () => Date.UTC(2026, 0, 2),
  monotonicMs: () => 0,
  after: () => ({ cancel() {} }),
};

function ringUnderTest() {
  const printed: string[] = [];
  const next = createLog({
    level: "info",
    format: "json",
    clock: CLOCK,
    write: (line) => printed.push(line),
  });
  return { ring: new LogRing({ next, level: "info", clock: CLOCK }), printed };
}

async function readAll(ring: LogRing, lines: number) {
  const never = new AbortController().signal;
  return await Array.fromAsync(ring.read({ lines, follow: false }, never));
}

Deno.test("LogRing passes every line on and keeps the last ones as they are printed", async () => {
  const { ring, printed } = ringUnderTest();
  ring.log("debug", "quiet");
  ring.log("info", "first", { model: "tiny" });
  ring.log("warn", "second", { nested: { token: "t0p" } });
  assert.deepEqual(await readAll(ring, 100), printed.map((line) => JSON.parse(line)));
  assert.equal(printed.length, 2);
  assert.deepEqual(await readAll(ring, 1), [JSON.parse(printed[1] ?? "")]);
  assert.deepEqual(await readAll(ring, 0), []);
  assert.doesNotMatch(JSON.stringify(await readAll(ring, 100)), /t0p/);
});

Deno.test("LogRing keeps two thousand lines, and of a huge one only that it was there", async () => {
  const { ring } = ringUnderTest();
  for (let count = 0; count < 2_500; count++) ring.log("info", "line", { count });
  ring.log("error", "huge", { text: "x".repeat(100_000) });
  const kept = await readAll(ring, 10_000);
  assert.equal(kept.length, 2_000);
  assert.equal(kept[0]?.count, 501);
  const { shortened, text } = kept.at(-1) ?? {};
  assert.deepEqual([shortened, text], [true, undefined]);
});

Deno.test("LogRing goes on with new lines for those who follow, until they leave", async () => {
  const { ring } = ringUnderTest();
  ring.log("info", "before");
  const reader = new AbortController();
  const lines = ring.read({ lines: 5, follow: true }, reader.signal);
  assert.equal((await lines.next()).value?.event, "before");
  const waiting = lines.next();
  ring.log("info", "after");
  assert.equal((await waiting).value?.event, "after");
  const last = lines.next();
  reader.abort();
  assert.deepEqual(await last, { value: undefined, done: true });
});

Deno.test("LogRing tells a reader that was too slow how many lines it missed", async () => {
  const { ring } = ringUnderTest();
  const reader = new AbortController();
  const lines = ring.read({ lines: 0, follow: true }, reader.signal);
  const first = lines.next();
  ring.log("info", "line", { count: 0 });
  assert.equal((await first).value?.count, 0);
  for (let count = 1; count <= 2_100; count++) ring.log("info", "line", { count });
  assert.deepEqual((await lines.next()).value, { event: "log_lines_skipped", count: 100 });
  assert.equal((await lines.next()).value?.count, 101);
  reader.abort();
  await lines.return(undefined);
});
