import assert from "node:assert/strict";
import type { Clock } from "../ports/mod.ts";
import { createLog, type LogOptions, LogRing } from "./mod.ts";

const CLOCK: Clock = {
  nowMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  monotonicMs: () => 0,
  after: () => ({ cancel() {} }),
};

function logInto(lines: string[], options: Partial<LogOptions> = {}) {
  return createLog({
    level: "info",
    format: "json",
    clock: CLOCK,
    write: (line) => lines.push(line),
    ...options,
  });
}

Deno.test("createLog() writes one JSON object per line", () => {
  const lines: string[] = [];
  logInto(lines).log("warn", "model evicted", { model: "tiny", bytes: 5 });
  assert.equal(lines.length, 1);
  assert.ok(lines[0]?.endsWith("\n"));
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    time: "2026-01-02T03:04:05.006Z",
    level: "warn",
    event: "model evicted",
    model: "tiny",
    bytes: 5,
  });
});

Deno.test("createLog() drops lines below its level", () => {
  const lines: string[] = [];
  const log = logInto(lines, { level: "warn" });
  log.log("info", "quiet");
  log.log("error", "loud");
  assert.equal(lines.length, 1);
});

Deno.test("createLog() withholds prompts and secrets however deep they lie", () => {
  const lines: string[] = [];
  logInto(lines).log("info", "x", {
    prompt: "p1",
    inner: { Token: "t1", list: [{ secret: "s1" }] },
  });
  assert.ok(!/p1|t1|s1/.test(lines.join("")), lines.join(""));
});

Deno.test("createLog() text lines quote values that hold spaces", () => {
  const lines: string[] = [];
  logInto(lines, { format: "text" }).log("info", "model loaded", { model: "tiny", path: "a b" });
  assert.equal(lines[0], '2026-01-02T03:04:05.006Z INFO  model loaded model=tiny path="a b"\n');
});

Deno.test("createLog() prints errors and big integers instead of failing on them", () => {
  const lines: string[] = [];
  logInto(lines).log("error", "x", { error: new Error("broken"), count: 5n });
  assert.match(lines[0] ?? "", /broken/);
});

Deno.test("createLog() lets no value replace the event or the level", () => {
  const lines: string[] = [];
  logInto(lines).log("info", "true event", { event: "forged", level: "error" });
  assert.equal(JSON.parse(lines[0] ?? "").event, "true event");
});

Deno.test("createLog() writes nothing that a terminal would obey, in either format", () => {
  const lines: string[] = [];
  const values = { model: "x\x1b]0;pwned\x07\x9b2J\u202e", list: ["\x9b", { a: "\x07" }] };
  for (const format of ["json", "text"] as const) {
    logInto(lines, { format }).log("info", "pulled", values);
  }
  assert.equal(lines.length, 2);
  // deno-lint-ignore no-control-regex
  for (const line of lines) assert.doesNotMatch(line, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  assert.deepEqual(JSON.parse(lines[0] ?? "").list, values.list);
});

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
