import assert from "node:assert/strict";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import type { NodeId } from "../base/mod.ts";
import { Catalogue } from "../core/catalogue/mod.ts";
import type { CatalogueCommand } from "../protocol/mod.ts";
import { type HandoverGroup, VoteHandover, type VoteHandoverParts } from "./vote_handover.ts";

const SELF = "1".repeat(16) as NodeId;
const OTHER = "2".repeat(16) as NodeId;
type Standing = ReturnType<VoteHandoverParts["others"]>[number]["standing"];

/** The one voter of two nodes, and a leader that gives its vote to the other as soon as it is wished for. */
class Stage {
  readonly clock = new HandClock();
  readonly told: string[] = [];
  readonly proposed: string[] = [];
  standing: Standing = "alive";
  #voters: readonly NodeId[] = [SELF];
  readonly handover: VoteHandover;

  constructor() {
    const group: HandoverGroup = {
      catalogue: Catalogue.empty(),
      view: () => ({
        role: "leader",
        leader: SELF,
        configuration: {
          voters: this.#voters,
          votersOutgoing: [],
          learners: [],
          learnersNext: [],
          autoLeave: false,
        },
      }),
      propose: (command: CatalogueCommand) => {
        this.proposed.push(command.kind);
        this.#voters = [OTHER];
        return Promise.resolve({ kind: "applied", revision: 2 });
      },
      onChanged: () => () => {},
    };
    this.handover = new VoteHandover({
      nodeId: SELF,
      group,
      others: () => [{ nodeId: OTHER, standing: this.standing }],
      clock: this.clock,
      log: {
        log: (_, event, values) => void this.told.push(`${event} ${values?.["reason"] ?? ""}`),
      },
    });
  }

  /** How long a release takes, at most `limitMs`. */
  async release(limitMs = 10_000): Promise<number> {
    const startMs = this.clock.monotonicMs();
    let isDone = false;
    const released = this.handover.release().then(() => void (isDone = true));
    while (!isDone && this.clock.monotonicMs() - startMs < limitMs) await this.clock.advance(10);
    await released;
    return this.clock.monotonicMs() - startMs;
  }
}

Deno.test("VoteHandover leaves its vote to who is alive, and to nobody who is gone", async () => {
  const stage = new Stage();
  await stage.release();
  assert.deepEqual(stage.told, ["vote_handed_over "]);
  const alone = new Stage();
  alone.standing = "gone";
  assert.ok(await alone.release() <= 50);
  assert.deepEqual(alone.told, ["stop_loses_quorum no other member is up"]);
  assert.deepEqual(alone.proposed, []);
});

Deno.test("VoteHandover waits for a suspect to turn out alive, but not for long", async () => {
  const stage = new Stage();
  stage.standing = "suspect";
  stage.clock.after(400, () => void (stage.standing = "alive"));
  await stage.release();
  assert.deepEqual(stage.told, ["vote_handed_over "]);
  const dying = new Stage();
  dying.standing = "suspect";
  const tookMs = await dying.release();
  assert.ok(tookMs >= 1_500 && tookMs < 1_700, `${tookMs} ms`);
  assert.deepEqual(dying.told, ["stop_loses_quorum no other member is up"]);
});
