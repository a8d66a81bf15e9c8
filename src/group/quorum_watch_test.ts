import assert from "node:assert/strict";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { type NodeId, UnavailableError } from "../base/mod.ts";
import { Catalogue } from "../core/catalogue/mod.ts";
import { QuorumWatch } from "./quorum_watch.ts";

const CONFIGURATION = {
  voters: ["1".repeat(16) as NodeId],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** A quorum that answers, is silent until a question times out, or can't be asked. */
class Stage {
  readonly clock = new HandClock();
  readonly catalogue = Catalogue.empty();
  asked = 0;
  isHopeless = false;
  #state: "answers" | "silent" | "fenced" = "answers";
  readonly #open = new Set<() => void>();
  readonly watch: QuorumWatch;

  constructor() {
    this.watch = new QuorumWatch({
      catalogue: () => this.catalogue,
      configuration: () => CONFIGURATION,
      isThere: () => !this.isHopeless,
      clock: this.clock,
      read: (look, { timeoutMs }) => this.#read(look, timeoutMs),
    });
  }

  become(state: "answers" | "silent" | "fenced"): void {
    this.#state = state;
    if (state === "answers") { for (const answer of [...this.#open]) answer(); }
  }

  /** How a read went, and how long it took. */
  async read(waitMs = 250): Promise<[string, number]> {
    const startMs = this.clock.monotonicMs();
    const reading = this.watch.readOrStale(() => 1, { waitMs });
    let done: [string, number] | undefined;
    const end = reading.then(({ consistency }) => {
      done = [consistency, this.clock.monotonicMs() - startMs];
    });
    for (let step = 0; step < 400 && done === undefined; step++) await this.clock.advance(10);
    await end;
    assert.ok(done !== undefined);
    return done;
  }

  #read<T>(look: (catalogue: Catalogue) => T, timeoutMs: number): Promise<T> {
    this.asked++;
    if (this.#state === "answers") return Promise.resolve(look(this.catalogue));
    if (this.#state !== "silent") {
      return Promise.reject(new UnavailableError(this.#state, "can't be asked"));
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const answer = () => {
      this.#open.delete(answer);
      resolve(look(this.catalogue));
    };
    this.#open.add(answer);
    this.clock.after(timeoutMs, () => {
      this.#open.delete(answer);
      reject(new UnavailableError("no_quorum", "too late"));
    });
    return promise;
  }
}

Deno.test("QuorumWatch reads of a quorum that answers, and of what is here after a quarter of a second", async () => {
  const stage = new Stage();
  assert.equal((await stage.read())[0], "linearizable");
  stage.become("silent");
  const [consistency, tookMs] = await stage.read();
  assert.equal(consistency, "stale");
  assert.ok(tookMs >= 250 && tookMs <= 300, `${tookMs} ms`);
  stage.watch.close();
});

Deno.test("QuorumWatch lets only the first wait, and everybody again once the quorum is back", async () => {
  const stage = new Stage();
  stage.become("silent");
  await stage.read();
  for (let minute = 0; minute < 3; minute++) {
    const [consistency, tookMs] = await stage.read();
    assert.deepEqual([consistency, tookMs <= 10], ["stale", true], `${tookMs} ms`);
    await stage.clock.advance(60_000);
  }
  assert.ok(stage.asked < 200, `${stage.asked} questions in three minutes`);
  stage.become("answers");
  await stage.clock.advance(300);
  assert.equal((await stage.read())[0], "linearizable");
  stage.watch.close();
});

Deno.test("QuorumWatch says that the quorum is lost, and since when, but not during an election", async () => {
  const stage = new Stage();
  await stage.clock.advance(1_000);
  stage.become("silent");
  stage.watch.doubt();
  await stage.clock.advance(2_500);
  assert.equal(stage.watch.lostAtMs, undefined);
  await stage.clock.advance(1_000);
  assert.equal(stage.watch.lostAtMs, 1_000);
  // Who can wait longer than nobody has answered for is not made to.
  const [, tookMs] = await stage.read(2_000);
  assert.ok(tookMs <= 10, `${tookMs} ms`);
  stage.become("answers");
  await stage.clock.advance(300);
  assert.equal(stage.watch.lostAtMs, undefined);
  stage.watch.close();
});

Deno.test("QuorumWatch hopes on while a voter is heard that is taken to be gone", async () => {
  const stage = new Stage();
  const [voter] = CONFIGURATION.voters;
  assert.ok(voter !== undefined);
  stage.isHopeless = true;
  stage.become("silent");
  stage.watch.doubt();
  for (let heard = 0; heard < 8; heard++) {
    stage.watch.hear(voter);
    await stage.clock.advance(250);
    assert.equal(stage.watch.lostAtMs, undefined, `after ${heard} words`);
  }
  await stage.clock.advance(500);
  assert.notEqual(stage.watch.lostAtMs, undefined, "its last word was long ago");
  stage.watch.close();
});

Deno.test("QuorumWatch asks no more once the node is fenced or closed", async () => {
  for (const end of ["fenced", "closed"] as const) {
    const stage = new Stage();
    stage.become(end === "fenced" ? "fenced" : "silent");
    assert.equal((await stage.read())[0], "stale");
    if (end === "closed") stage.watch.close();
    await stage.clock.advance(3_000);
    const { asked } = stage;
    await stage.clock.advance(60_000);
    assert.equal(stage.asked, asked, end);
    assert.equal((await stage.read())[0], "stale", end);
  }
});

Deno.test("QuorumWatch hands on what the look itself throws", async () => {
  const stage = new Stage();
  const look = () => {
    throw new RangeError("mine");
  };
  await assert.rejects(stage.watch.readOrStale(look, { waitMs: 250 }), RangeError);
  assert.equal((await stage.read())[0], "linearizable");
});

Deno.test("QuorumWatch waits half a second where no election could be won, and for no answer that came", async () => {
  const stage = new Stage();
  stage.isHopeless = true;
  assert.equal((await stage.read())[0], "linearizable");
  assert.equal(stage.watch.lostAtMs, undefined);
  stage.become("silent");
  stage.watch.doubt();
  await stage.clock.advance(450);
  assert.equal(stage.watch.lostAtMs, undefined);
  await stage.clock.advance(100);
  assert.notEqual(stage.watch.lostAtMs, undefined);
  stage.isHopeless = false;
  assert.equal(stage.watch.lostAtMs, undefined, "the voters were only slow");
  stage.watch.close();
});

Deno.test("QuorumWatch has everybody wait again once somebody was elected, and no longer than before", async () => {
  const stage = new Stage();
  stage.become("silent");
  stage.watch.doubt();
  await stage.clock.advance(4_000);
  assert.notEqual(stage.watch.lostAtMs, undefined);
  assert.deepEqual(await stage.read(), ["stale", 0]);
  stage.watch.hope();
  assert.equal(stage.watch.lostAtMs, undefined);
  assert.deepEqual(await stage.read(), ["stale", 250]);
  await stage.clock.advance(4_000);
  assert.notEqual(stage.watch.lostAtMs, undefined, "it was elected, and is gone");
  stage.watch.close();
});
