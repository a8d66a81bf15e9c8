import assert from "node:assert/strict";
import { Pulse, PULSE_EVERY_MS, SILENT_PULSES_MAX } from "./pulse.ts";

/** One timer at most, fired by hand. */
class HandTimer {
  #run: (() => void) | undefined;
  after(delayMs: number, run: () => void) {
    assert.equal(delayMs, PULSE_EVERY_MS);
    this.#run = run;
    return { cancel: () => this.#run = undefined };
  }
  fire(): void {
    const run = this.#run;
    this.#run = undefined;
    run?.();
  }
  get isSet(): boolean {
    return this.#run !== undefined;
  }
}

function stage() {
  const timer = new HandTimer();
  const seen = { asked: 0, silent: 0 };
  const pulse = new Pulse({
    clock: timer,
    ask: () => void seen.asked++,
    onSilent: () => void seen.silent++,
  });
  return { timer, seen, pulse };
}

Deno.test("Pulse reports a runner that answers none of its questions, once", () => {
  const { timer, seen, pulse } = stage();
  pulse.start();
  for (let beat = 0; beat < SILENT_PULSES_MAX + 5; beat++) timer.fire();
  assert.deepEqual(seen, { asked: SILENT_PULSES_MAX, silent: 1 });
});

Deno.test("Pulse lets a runner live that says anything at all", () => {
  const { timer, seen, pulse } = stage();
  pulse.start();
  for (let beat = 0; beat < 50; beat++) {
    timer.fire();
    if (beat % SILENT_PULSES_MAX === 0) pulse.heard();
  }
  assert.equal(seen.silent, 0);
});

Deno.test("Pulse asks nothing while nobody waits", () => {
  const { timer, seen, pulse } = stage();
  pulse.start();
  timer.fire();
  pulse.stop();
  assert.equal(timer.isSet, false);
  pulse.start();
  for (let beat = 0; beat < SILENT_PULSES_MAX; beat++) timer.fire();
  assert.equal(seen.silent, 0, "what went unanswered before counts no more");
});
