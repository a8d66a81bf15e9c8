import assert from "node:assert/strict";
import { InvariantError } from "../base/mod.ts";
import type { Clock, Log } from "../ports/mod.ts";
import { PromMetrics, watchStalls } from "./mod.ts";
import { METRIC_TABLE } from "./metric_table.ts";

/** A clock whose time moves only when a test moves it. */
class HandClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<{ dueMs: number; callback: () => void }>();
  nowMs = () => this.#nowMs;
  monotonicMs = () => this.#nowMs;
  after = (delayMs: number, callback: () => void) => {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  };
  /** Moves time, then runs the timers that became due: late, as after a stall. */
  advance(byMs: number): void {
    this.#nowMs += byMs;
    for (const timer of [...this.#timers]) {
      if (timer.dueMs > this.#nowMs) continue;
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}

const NO_LOG: Log = { log() {} };

Deno.test("PromMetrics keeps the samples taken before the library is loaded", async () => {
  const metrics = new PromMetrics({ clock: new HandClock(), version: "1.2.3" });
  metrics.increment("odist_generated_tokens_total", { family: "ollama" }, 3);
  metrics.increment("odist_generated_tokens_total", { family: "ollama" }, 4);
  const { text, contentType } = await metrics.render();
  assert.match(text, /^odist_generated_tokens_total\{family="ollama"\} 7$/m);
  assert.match(contentType, /^text\/plain/);
});

Deno.test("PromMetrics renders every declared metric with its help", async () => {
  const { text } = await new PromMetrics({ clock: new HandClock(), version: "1.2.3" }).render();
  for (const [name, row] of Object.entries(METRIC_TABLE)) {
    assert.ok(text.includes(`# HELP ${name} ${row.help}`), name);
  }
  assert.match(text, /^odist_process_resident_bytes [1-9]/m);
  assert.match(text, /^odist_build\{version="1.2.3"\} 1$/m);
});

Deno.test("PromMetrics shows whose observation the last of a bucket was as OpenMetrics alone, and keeps the counters' names", async () => {
  const metrics = new PromMetrics({ clock: new HandClock(), version: "1.2.3" });
  metrics.increment("odist_joins_total", { outcome: "let_in" });
  const example = { requestId: "mine", traceId: "ab".repeat(16) };
  metrics.observe("odist_time_to_first_token_seconds", 0.02, { family: "ollama" }, example);
  metrics.observe("odist_model_load_seconds", 0.02);
  const [plain, open, again] = await Promise.all([
    metrics.render(),
    metrics.render("openmetrics"),
    metrics.render(),
  ]);
  const bucket = 'odist_time_to_first_token_seconds_bucket{le="0.025",family="ollama"} 1';
  const shown = ` # {request_id="mine",trace_id="${"ab".repeat(16)}"} 0.02 `;
  assert.ok(open.text.includes(bucket + shown));
  assert.match(open.text, /^# TYPE odist_joins counter\nodist_joins_total\{/m);
  assert.match(open.text, /\n# EOF\n$/);
  assert.match(open.contentType, /^application\/openmetrics-text; version=1/);
  for (const { text, contentType } of [plain, again]) {
    assert.match(text, /^# TYPE odist_joins_total counter\nodist_joins_total\{/m);
    assert.doesNotMatch(text, /request_id|EOF/);
    assert.match(contentType, /^text\/plain/);
  }
});

Deno.test("PromMetrics refuses a name or an operation that is not declared", () => {
  const metrics = new PromMetrics({ clock: new HandClock(), version: "1.2.3" });
  assert.throws(() => metrics.increment("odist_unheard_of"), InvariantError);
  assert.throws(() => metrics.set("odist_generated_tokens_total", 1), InvariantError);
});

Deno.test("PromMetrics sorts durations into the declared buckets", async () => {
  const metrics = new PromMetrics({ clock: new HandClock(), version: "1.2.3" });
  metrics.observe("odist_model_load_seconds", 0.02);
  const { text } = await metrics.render();
  assert.match(text, /^odist_model_load_seconds_bucket\{le="0.01"\} 0$/m);
  assert.match(text, /^odist_model_load_seconds_bucket\{le="0.025"\} 1$/m);
});

Deno.test("watchStalls() looks ten times less often once the process has rested for ten seconds, however busy others are", () => {
  let looks = 0;
  let cpuMs = 0;
  const hand = new HandClock();
  const clock = {
    nowMs: () => hand.nowMs(),
    monotonicMs: () => hand.monotonicMs(),
    after(delayMs: number, callback: () => void) {
      looks++;
      return hand.after(delayMs, callback);
    },
  };
  const metrics = new PromMetrics({ clock, version: "1.2.3" });
  const watch = watchStalls({ clock, metrics, log: NO_LOG, cpuMs: () => cpuMs });
  const looksIn = (spanMs: number) => {
    const before = looks;
    for (let atMs = 0; atMs < spanMs; atMs += 10) hand.advance(10);
    return looks - before;
  };
  assert.equal(looksIn(10_000), 200);
  assert.equal(looksIn(10_000), 20);
  // Its timers are late, as where others use the cores.
  for (let look = 0; look < 10; look++) hand.advance(620);
  assert.equal(looksIn(10_000), 20);
  cpuMs += 150;
  assert.equal(looksIn(10_500), 1 + 200, "the process is busy");
  watch.stop();
});

Deno.test("watchStalls() counts timers later than 50 ms and nothing else", async () => {
  const clock = new HandClock();
  const metrics = new PromMetrics({ clock, version: "1.2.3" });
  const watch = watchStalls({ clock, metrics, log: NO_LOG, cpuMs: () => 0 });
  clock.advance(51);
  clock.advance(80);
  clock.advance(350);
  watch.stop();
  clock.advance(10_000);
  const { text } = await metrics.render();
  assert.match(text, /^odist_event_loop_stall_seconds_count 1$/m);
  assert.match(text, /^odist_event_loop_stall_seconds_sum 0.3$/m);
});
