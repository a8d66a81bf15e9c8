/**
 * Nodes at several sites, with round trips of 300 to 400 ms: what the network of that name is made for. How the real ones do
 * there is a row of the acceptance table; here nothing depends on how busy the machine is.
 *
 * @module
 */
import assert from "node:assert/strict";
import { NodeWorld, putSetting } from "../harness/node_world.ts";

const NODES = 3;
const DELAY_MS = 150;
const JITTER_MS = 50;
const LOOKED_AT_MS = 20;
const LOOKS = 2_000;
const CHANGE_MS_MAX = 2_500;

for (const network of ["lan", "wan"] as const) {
  Deno.test(`Far nodes of a ${network} keep their leader and make every change`, async () => {
    await using world = await NodeWorld.start(NODES, { flags: { network } });
    const { clock } = world.network;
    const before = world.group(1).view();
    world.network.shape({ delayMs: DELAY_MS, jitterMs: JITTER_MS });
    const tookMs: number[] = [];
    const refused: string[] = [];
    let isOver = false;
    const changing = (async () => {
      for (let number = 0; !isOver; number++) {
        const startMs = clock.monotonicMs();
        const change = putSetting(`far.${number % 20}`, String(number));
        await world.node(1 + number % NODES).cluster.requests.propose(change, {
          timeoutMs: CHANGE_MS_MAX,
        })
          .then(
            () => tookMs.push(clock.monotonicMs() - startMs),
            (error) => refused.push(String(error)),
          );
      }
    })();
    let doubts = 0;
    for (let look = 0; look < LOOKS; look++) {
      isOver = look + 2 * CHANGE_MS_MAX / LOOKED_AT_MS > LOOKS;
      await world.advance(LOOKED_AT_MS);
      const pairs = world.running.flatMap((one) => world.running.map((other) => [one, other]));
      doubts += pairs.filter(([one = 0, other = 0]) =>
        one !== other && world.standing(one, other) !== "alive"
      ).length;
    }
    await changing;
    assert.deepEqual(refused, []);
    assert.ok(tookMs.length > 30, `${tookMs.length} changes`);
    assert.ok(Math.max(...tookMs) > 2 * DELAY_MS, "they were far");
    for (const number of world.running) {
      const { term, leader } = world.group(number).view();
      assert.deepEqual({ term, leader }, { term: before.term, leader: before.leader });
    }
    // That network's probes are made for the distance; those of one site doubt, and believe what they hear then.
    assert.equal(doubts > 0, network === "lan", `${doubts} doubts`);
  });
}
