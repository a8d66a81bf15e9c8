import assert from "node:assert/strict";
import { UnavailableError } from "../base/mod.ts";
import { Catalogue, type Outcome } from "../core/catalogue/mod.ts";
import { type CatalogueCommand, encodeCommand } from "../protocol/mod.ts";
import { Proposals } from "./proposals.ts";

/** As in `src/core/catalogue/rows.ts`. */
const SESSIONS_MAX = 256;
const RESEND_TICKS = 20;

function put(key: string, value = "1"): CatalogueCommand {
  return { kind: "put_setting", key, value, expected: undefined };
}

function create(key: string): CatalogueCommand {
  return { kind: "put_setting", key, value: "1", expected: 0 };
}

/** A log of one machine under the proposals: what is sent lies there until it is applied. */
class Scene {
  catalogue = Catalogue.empty();
  /** Sent and not applied. */
  readonly sent: Uint8Array[] = [];
  accepts = true;
  nonces = 0;
  readonly proposals = new Proposals({
    send: (batch) => {
      if (this.accepts) this.sent.push(...batch);
      return this.accepts;
    },
    drawNonce: () => new Uint8Array(16).fill(++this.nonces),
  });
  #nowMs = 0;

  propose(command: CatalogueCommand, timeoutMs = 10_000): Promise<Outcome> {
    const deadlineMs = this.#nowMs + timeoutMs;
    const outcome = this.proposals.add(command, { deadlineMs, signal: undefined });
    // The one who asked may look later than the test lets it fail.
    outcome.catch(() => {});
    this.proposals.flush();
    return outcome;
  }

  /** Applies what was sent, here too. */
  apply(entries = this.sent.splice(0)): void {
    for (const bytes of entries) {
      this.proposals.onApplied(this.catalogue.apply(this.catalogue.appliedIndex + 1, bytes));
    }
    this.proposals.flush();
  }

  /** Applies what was sent without this node seeing it: it gets a snapshot. */
  applyUnseen(entries = this.sent.splice(0)): void {
    for (const bytes of entries) this.catalogue.apply(this.catalogue.appliedIndex + 1, bytes);
    this.proposals.onRestored();
    this.proposals.flush();
  }

  /** Others open so many sessions that this node's is dropped. */
  evict(): void {
    for (let other = 0; other < SESSIONS_MAX; other++) {
      const nonce = new Uint8Array(16).fill(255).fill(other, 0, 1);
      const bytes = encodeCommand({ command: { kind: "open_session", nonce }, request: undefined });
      this.catalogue.apply(this.catalogue.appliedIndex + 1, bytes);
    }
  }

  tick(count: number, options = { resends: true }): void {
    for (let tick = 0; tick < count; tick++) {
      this.#nowMs += 50;
      this.proposals.onTick(this.#nowMs, options);
      this.proposals.flush();
    }
  }

  /** With a session open already. */
  static open(): Scene {
    const scene = new Scene();
    void scene.propose(put("warm"));
    scene.apply();
    scene.apply();
    assert.equal(scene.proposals.count, 0);
    return scene;
  }
}

function failsWith(code: string, text: RegExp) {
  return (error: unknown) =>
    error instanceof UnavailableError && error.code === code && text.test(error.message);
}

Deno.test("Proposals open one session and send all that waits as one batch", async () => {
  const scene = new Scene();
  const outcomes = ["a", "b", "c"].map((key) => scene.propose(put(key)));
  assert.equal(scene.sent.length, 1, "only the session's opening");
  scene.apply();
  assert.equal(scene.sent.length, 3);
  scene.apply();
  const revisions = (await Promise.all(outcomes)).map((outcome) =>
    outcome.kind === "applied" && outcome.revision
  );
  assert.deepEqual(revisions, [2, 3, 4]);
});

Deno.test("A proposal that was lost is sent again; one that was not is applied once", async () => {
  const scene = Scene.open();
  const answer = scene.propose(create("a"));
  const [first] = scene.sent.splice(0);
  scene.tick(RESEND_TICKS - 1);
  assert.equal(scene.sent.length, 0);
  scene.tick(1);
  assert.deepEqual(scene.sent, [first], "under its old stamp");
  scene.apply([...scene.sent, ...scene.sent.splice(0)]);
  assert.equal((await answer).kind, "applied");
  assert.equal(scene.catalogue.findSetting("a")?.value, "1");
});

Deno.test("A leader does not send again what is in its own log", () => {
  const scene = Scene.open();
  void scene.propose(put("a"));
  scene.sent.splice(0);
  scene.tick(10 * RESEND_TICKS - 50, { resends: false });
  assert.equal(scene.sent.length, 0);
  scene.proposals.resendAll();
  scene.proposals.flush();
  assert.equal(scene.sent.length, 1, "but another leader may have cut it off");
});

Deno.test("What is dropped stays due", async () => {
  const scene = Scene.open();
  scene.accepts = false;
  const answer = scene.propose(put("a"));
  scene.tick(3);
  assert.equal(scene.sent.length, 0);
  scene.accepts = true;
  scene.tick(1);
  scene.apply();
  assert.equal((await answer).kind, "applied");
});

Deno.test("Under an evicted session a change goes under the next one, and is applied once", async () => {
  const scene = Scene.open();
  scene.evict();
  const answer = scene.propose(create("a"));
  const stale = scene.sent.slice();
  scene.apply();
  assert.equal(scene.catalogue.findSetting("a"), undefined);
  // A new session, then the change; and the old entry once more, as a leader before may have left it.
  scene.apply();
  scene.apply([...stale, ...scene.sent.splice(0), ...stale]);
  assert.equal((await answer).kind, "applied");
  assert.equal(scene.nonces, 2);
});

Deno.test("Where a snapshot may have hidden the outcome and the session is gone, it stays unknown", async () => {
  const scene = Scene.open();
  const answer = scene.propose(create("a"));
  scene.evict();
  scene.applyUnseen([]);
  scene.apply();
  await assert.rejects(answer, failsWith("no_quorum", /unknown/));
});

Deno.test("A snapshot that holds the outcome is asked for it, by the old stamp", async () => {
  const scene = Scene.open();
  const answer = scene.propose(create("a"));
  scene.applyUnseen();
  assert.equal(scene.sent.length, 1);
  scene.apply();
  const revision = scene.catalogue.findSetting("a")?.revision;
  assert.deepEqual(await answer, { kind: "applied", revision });
});

Deno.test("A proposal that nobody answers fails in time and says what is known", async () => {
  const scene = Scene.open();
  const sent = scene.propose(put("a"), 500);
  scene.accepts = false;
  const kept = scene.propose(put("b"), 500);
  scene.tick(11);
  await assert.rejects(sent, failsWith("no_quorum", /outcome is unknown/));
  await assert.rejects(kept, failsWith("no_quorum", /nothing was changed/));
  assert.equal(scene.proposals.count, 0);
});

Deno.test("No more requests are open in a session than the catalogue remembers", async () => {
  const scene = Scene.open();
  const answers = Array.from({ length: 600 }, (_, index) => scene.propose(create(`k${index}`)));
  assert.equal(scene.sent.length, 256);
  // The newest first: none of the outcomes before may be forgotten for it.
  scene.apply(scene.sent.splice(0).toReversed());
  while (scene.sent.length > 0) scene.apply();
  for (const answer of answers) assert.equal((await answer).kind, "applied");
});

Deno.test("Proposals are bounded, and a change that is too long is the caller's fault", async () => {
  const scene = Scene.open();
  const manifest = new Uint8Array(2_000_000);
  const name = { host: "h", namespace: "n", model: "m", tag: "t" };
  const long = scene.propose({ kind: "put_model", name, manifest, atMs: 0, expected: undefined });
  await assert.rejects(long, /at most/);
  scene.accepts = false;
  const answers = Array.from({ length: 4_096 }, () => scene.propose(put("a")));
  await assert.rejects(scene.propose(put("a")), failsWith("queue_full", /4096/));
  scene.proposals.failAll(() => new UnavailableError("stopping", "over"));
  for (const answer of answers) await assert.rejects(answer, failsWith("stopping", /over/));
});
