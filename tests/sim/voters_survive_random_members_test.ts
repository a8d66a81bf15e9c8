/**
 * Whole nodes join, die, return and leave at random, on virtual time: as long as fate leaves a quorum, the log goes on, and in the end the right number votes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { NodeWorld } from "../harness/node_world.ts";

/** Each takes about two seconds of an idle machine; 1 to 44 passed when this was written. */
const SEEDS = [1, 6, 8];
const STEPS = 30;
const NODES_MAX = 9;
/** Longer than a dead voter is waited for. */
const SETTLE_MS = 90_000;

class RandomFate {
  readonly world: NodeWorld;
  readonly #random: Random;
  readonly #up = new Set([1, 2, 3]);
  readonly #down = new Set<number>();
  #made = 3;

  constructor(world: NodeWorld, seed: number) {
    this.world = world;
    this.#random = new Random(seed);
  }

  /** One thing happens after a while. */
  async befall(): Promise<void> {
    await this.world.advance(this.#random.between(500, 40_000));
    switch (this.#random.below(6)) {
      case 0:
        return await this.#join();
      case 1:
      case 2:
        return this.#crash();
      case 3:
      case 4:
        return await this.#boot(this.#random.pick([...this.#down]));
      case 5:
        return await this.#leave();
    }
  }

  /** Everyone returns; then the log must go on and the right ones vote. */
  async settle(): Promise<void> {
    for (const number of [...this.#down]) await this.#boot(number);
    await this.world.advance(SETTLE_MS);
    await this.world.propose({
      kind: "put_setting",
      key: "end",
      value: "1",
      expected: undefined,
    });
    const leader = this.world.leader();
    assert.ok(leader !== undefined);
    const voters = this.world.voters(leader);
    assert.equal(voters.length, Math.min(5, this.#up.size - 1 + this.#up.size % 2));
    assert.ok(voters.every((voter) => this.#up.has(voter)));
  }

  async #join(): Promise<void> {
    if (this.#made >= NODES_MAX) return;
    const number = ++this.#made;
    await this.world.join(number);
    this.#up.add(number);
  }

  #crash(): void {
    const number = this.#random.pick([...this.#up]) ?? 1;
    // By every living node's own belief: none of them may be the one that is right.
    const canSpare = [...this.#up].every((believer) => {
      const voters = this.world.voters(believer);
      const left = voters.filter((voter) => voter !== number && this.#up.has(voter));
      return left.length > voters.length / 2;
    });
    if (!canSpare) return;
    this.world.crash(number);
    this.#up.delete(number);
    this.#down.add(number);
  }

  async #boot(number: number | undefined): Promise<void> {
    if (number === undefined) return;
    await this.world.boot(number);
    this.#down.delete(number);
    this.#up.add(number);
  }

  /** As `odist leave`: the vote first, then the row, then the process. */
  async #leave(): Promise<void> {
    const number = this.#random.pick([...this.#up]) ?? 1;
    if (this.#up.size <= 2) return;
    await this.world.leave(number);
    const isFree = () => !this.world.voters(number).includes(number);
    await this.world.until(`node ${number} does not vote any more`, isFree, 30_000);
    await this.world.propose({ kind: "remove_member", nodeId: this.world.machine(number).nodeId });
    this.world.crash(number);
    this.#up.delete(number);
  }
}

for (const seed of SEEDS) {
  Deno.test(`Voters follow members that come and go at random, seed ${seed}`, async () => {
    await using world = await NodeWorld.start(3, { seed });
    const fate = new RandomFate(world, seed);
    for (let step = 0; step < STEPS; step++) await fate.befall();
    await fate.settle();
  });
}
