import assert from "node:assert/strict";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import type { ClusterStatus } from "../ports/mod.ts";
import { feedStatus } from "./status_feed.ts";

function statusOf(term: number): ClusterStatus {
  return { term } as ClusterStatus; // The feed looks at nothing else than whether it changed.
}

Deno.test("The feed tells the status at once, after each change, and when it was silent for long", async () => {
  const clock = new HandClock();
  const abort = new AbortController();
  let term = 1;
  const feed = feedStatus(() => Promise.resolve(statusOf(term)), clock, abort.signal);
  assert.equal((await feed.next()).value?.term, 1);

  const second = feed.next();
  await clock.advance(1_000);
  term = 2;
  await clock.advance(250);
  assert.equal((await second).value?.term, 2);

  let heard = false;
  const third = feed.next().then((result) => {
    heard = true;
    return result;
  });
  await clock.advance(4_500);
  assert.equal(heard, false);
  await clock.advance(750);
  assert.equal((await third).value?.term, 2);

  const last = feed.next();
  abort.abort();
  assert.equal((await last).done, true);
});
