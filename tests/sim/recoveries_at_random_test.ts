/**
 * Three whole nodes that die, come back, are cut off and go on alone wherever they may, at random: in the end every node is of
 * one living cluster, or says that it is not.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mixSeed, Random } from "../../src/base/mod.ts";
import { viewRecovery } from "../../src/operators/recovery.ts";
import { IS_LONG } from "../harness/cluster.ts";
import { NodeWorld } from "../harness/node_world.ts";

const SEEDS = IS_LONG ? 300 : 6;
const FIRST_SEED = Number(Deno.env.get("ODIST_TEST_SEED") ?? 1);
const COUNT = 3;
const EVENTS = 14;
/** Longer than a silence after which a quorum counts as lost, and than a round of telling. */
const SETTLE_MS = 70_000;
/** Simulated milliseconds after an event, at most. */
const PAUSE_MS_MAX = 9_000;

/** What became of each recovery, for the figure at the end. */
const seen = { recoveries: 0, over: 0, twoClusters: 0 };

class Scene {
  readonly #world: NodeWorld;
  readonly #random: Random;
  /** Keys that a node acknowledged since it founded its cluster anew, by that cluster. */
  readonly #acknowledged = new Map<string, string[]>();
  #serial = 0;

  constructor(world: NodeWorld, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  async event(): Promise<void> {
    const world = this.#world;
    const number = 1 + this.#random.below(COUNT);
    const isUp = world.running.includes(number);
    const draw = this.#random.below(10);
    if (draw < 3) {
      if (isUp) world.crash(number);
      else if (draw === 0) await world.boot(number);
    } else if (draw < 4) world.isolate(number);
    else if (draw < 5) world.network.heal();
    else if (draw < 8) await this.#recoverAny();
    else if (isUp) await this.#put(number);
    await world.advance(this.#random.below(PAUSE_MS_MAX));
  }

  async #recoverAny(): Promise<void> {
    for (const number of this.#random.shuffle([...this.#world.running])) {
      if (await this.#recover(number)) return;
    }
  }

  /** As the command does it: only where it is not refused. */
  async #recover(number: number): Promise<boolean> {
    const world = this.#world;
    const { cluster, machinery } = world.node(number);
    const view = viewRecovery({
      group: cluster.requests,
      self: cluster.settings.self,
      seen: (nodeId) => cluster.seen(nodeId),
      changes: () => cluster.changes(),
    });
    if (view.refusal !== undefined) return false;
    await world.settle(machinery.recovery.prepare());
    await world.stop(number);
    await world.boot(number);
    await world.until("it leads", () => world.group(number).view().role === "leader");
    seen.recoveries++;
    return true;
  }

  async #put(number: number): Promise<void> {
    const world = this.#world;
    const key = `k.${this.#serial++}`;
    const command = { kind: "put_setting", key, value: "1", expected: undefined } as const;
    const clusterId = this.#clusterOf(number);
    const answer = world.group(number).propose(command, { timeoutMs: 3_000 });
    const outcome = await world.settle(answer.catch(() => undefined));
    if (outcome?.kind !== "applied") return;
    this.#acknowledged.set(clusterId, [...this.#acknowledged.get(clusterId) ?? [], key]);
  }

  #clusterOf(number: number): string {
    return this.#world.node(number).cluster.settings.clusterId;
  }

  async end(): Promise<void> {
    const world = this.#world;
    world.network.heal();
    for (let number = 1; number <= COUNT; number++) {
      if (!world.running.includes(number)) await world.boot(number);
    }
    await world.advance(SETTLE_MS);
    const isOut = (number: number) => world.group(number).fenced !== undefined;
    const living = world.running.filter((number) => !isOut(number));
    const clusters = new Set(living.map((number) => this.#clusterOf(number)));
    assert.ok(living.length > 0, "somebody goes on");
    for (const number of world.running) {
      const warnings = world.node(number).machinery.recovery.warnings();
      if (isOut(number)) assert.ok(warnings.length > 0, `n${number} is out and does not say so`);
      if (isOut(number)) seen.over++;
      if (clusters.size > 1 && !isOut(number)) {
        assert.ok(warnings.length > 0, `n${number} says nothing of the other cluster`);
      }
    }
    if (clusters.size > 1) seen.twoClusters++;
    for (const clusterId of clusters) {
      const members = living.filter((number) => this.#clusterOf(number) === clusterId);
      await world.until(
        "it has a leader",
        () => members.some((number) => world.group(number).view().role === "leader"),
      );
      const leader = members.find((number) => world.group(number).view().role === "leader") ?? 0;
      const keys = world.group(leader).catalogue.settings().map(({ key }) => key);
      for (const key of this.#acknowledged.get(clusterId) ?? []) {
        assert.ok(keys.includes(key), `${key} was acknowledged in ${clusterId} and is lost`);
      }
    }
  }
}

Deno.test(`whoever goes on alone, at whatever time, nobody takes part unknowingly in what is over, ${SEEDS} seeds`, async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const random = new Random(mixSeed(seed, 29));
    await using world = await NodeWorld.start(COUNT, { seed });
    await world.advance(1_000);
    try {
      const scene = new Scene(world, random);
      for (let count = 0; count < EVENTS; count++) await scene.event();
      await scene.end();
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause });
    }
  }
  console.log(JSON.stringify(seen));
  assert.ok(seen.recoveries > 0 && seen.over > 0);
});
