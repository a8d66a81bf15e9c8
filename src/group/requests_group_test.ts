import assert from "node:assert/strict";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { isEdgeError } from "../base/mod.ts";
import { Catalogue, type Outcome } from "../core/catalogue/mod.ts";
import type { ProposeOptions } from "./proposals.ts";
import { RequestsGroup, type RequestsGroupBase } from "./requests_group.ts";

const COMMAND = { kind: "put_setting", key: "k", value: "v", expected: undefined } as const;

/** A group whose changes wait until they are aborted or let go. */
class Stage {
  readonly clock = new HandClock();
  quorumLostAtMs: number | undefined;
  asked = 0;
  #letGo: (outcome: Outcome) => void = () => {};

  requests(): RequestsGroup {
    const base = {
      catalogue: Catalogue.empty(),
      propose: (_: unknown, options: ProposeOptions = {}) => {
        const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
        this.#letGo = resolve;
        options.signal?.addEventListener("abort", () => reject(options.signal?.reason));
        return promise;
      },
      readOrStale: () => {
        this.asked++;
        return Promise.resolve({ value: undefined, consistency: "stale" });
      },
    };
    Object.defineProperty(base, "quorumLostAtMs", { get: () => this.quorumLostAtMs });
    return new RequestsGroup(base as unknown as RequestsGroupBase, {
      whyLost: () => "n1 is down",
      clock: this.clock,
    });
  }

  apply(): void {
    this.#letGo({ kind: "applied", revision: 2 });
  }
}

Deno.test("RequestsGroup ends a change that waits as soon as the quorum is found to be lost, and says why", async () => {
  const stage = new Stage();
  const change = stage.requests().propose(COMMAND);
  const errors: unknown[] = [];
  change.catch((error) => errors.push(error));
  await stage.clock.advance(1_000);
  assert.ok(stage.asked > 0, "somebody has to ask");
  assert.equal(errors.length, 0);
  stage.quorumLostAtMs = 7;
  await stage.clock.advance(200);
  const [ended] = errors;
  assert.ok(isEdgeError(ended) && ended.code === "no_quorum");
  assert.match(ended.message, /n1 is down; the change may still be made/);
  const { asked } = stage;
  await stage.clock.advance(1_000);
  assert.equal(stage.asked, asked);
});

Deno.test("RequestsGroup asks nothing for a change that does not wait, and lets none begin without a quorum", async () => {
  const stage = new Stage();
  const requests = stage.requests();
  const change = requests.propose(COMMAND);
  stage.apply();
  assert.equal((await change).kind, "applied");
  await stage.clock.advance(1_000);
  assert.equal(stage.asked, 0);
  stage.quorumLostAtMs = 7;
  await assert.rejects(requests.propose(COMMAND), /there is no quorum: n1 is down$/);
});
