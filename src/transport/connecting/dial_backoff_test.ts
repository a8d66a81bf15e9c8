import assert from "node:assert/strict";
import { Random } from "../../base/mod.ts";
import { DialBackoff } from "./dial_backoff.ts";

function pauseOf(backoff: DialBackoff): number {
  let ms = 0;
  while (!backoff.allows(ms)) ms++;
  return ms;
}

Deno.test("DialBackoff doubles its pause up to the limit, and draws half of it", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const backoff = new DialBackoff({ first: 50, max: 400 }, new Random(seed));
    assert.equal(pauseOf(backoff), 0);
    for (const longest of [50, 100, 200, 400, 400, 400]) {
      backoff.noteFailed(0);
      const pause = pauseOf(backoff);
      assert.ok(pause >= longest / 2 && pause <= longest, `${pause} of ${longest}`);
    }
  }
});

Deno.test("DialBackoff starts again after a connection that lasted", () => {
  const backoff = new DialBackoff({ first: 50, max: 400 }, new Random(1));
  for (let count = 0; count < 8; count++) backoff.noteFailed(0);
  backoff.noteLost(1_000, 400);
  assert.ok(backoff.allows(1_000));
  backoff.noteFailed(0);
  assert.ok(pauseOf(backoff) <= 50);
});

Deno.test("DialBackoff slows down for a peer that hangs up again and again", () => {
  const backoff = new DialBackoff({ first: 50, max: 400 }, new Random(1));
  for (let count = 0; count < 2; count++) {
    backoff.noteLost(0, 5);
    assert.equal(pauseOf(backoff), 0);
  }
  // One that lasts makes good for those before.
  backoff.noteLost(0, 400);
  for (let count = 0; count < 2; count++) {
    backoff.noteLost(0, 5);
    assert.equal(pauseOf(backoff), 0);
  }
  const pauses = Array.from({ length: 6 }, () => (backoff.noteLost(0, 5), pauseOf(backoff)));
  assert.ok(pauses.every((pause) => pause >= 25 && pause <= 400), String(pauses));
  assert.ok((pauses.at(-1) ?? 0) >= 200);
});
