import assert from "node:assert/strict";
import type { Clock } from "../ports/mod.ts";
import { createLog, type LogOptions } from "./mod.ts";

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
