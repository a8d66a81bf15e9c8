/**
 * Whole nodes, two or three of them, that are stopped in order, killed and started in every order: who stops leaves its
 * vote where it is needed, nobody ever leads beside another, and no acknowledged change is lost.
 *
 * @module
 */
import assert from "node:assert/strict";
import { IS_LONG } from "../harness/cluster.ts";
import { NodeWorld } from "../harness/node_world.ts";

type Act = "stop" | "kill" | "start";
interface Event {
  readonly act: Act;
  readonly number: number;
}

/** Longer than an election, and than gossip takes to notice a death. */
const BETWEEN_MS = 6_000;
/** Within it changes work again after a stop in order. */
const STOPPED_MS_MAX = 2_000;

/** All that can happen in a row to nodes that all run. */
function sequences(count: number, length: number): readonly (readonly Event[])[] {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  let all: { readonly events: readonly Event[]; readonly up: readonly number[] }[] = [
    { events: [], up: numbers },
  ];
  for (let step = 0; step < length; step++) {
    all = all.flatMap(({ events, up }) =>
      numbers.flatMap((number) =>
        up.includes(number)
          ? (["stop", "kill"] as const).map((act) => ({
            events: [...events, { act, number }],
            up: up.filter((other) => other !== number),
          }))
          : [{ events: [...events, { act: "start" as const, number }], up: [...up, number] }]
      )
    );
  }
  return all.map(({ events }) => events);
}

class Scene {
  readonly #world: NodeWorld;
  readonly #acknowledged: string[] = [];

  constructor(world: NodeWorld) {
    this.#world = world;
  }

  async happen({ act, number }: Event): Promise<void> {
    const world = this.#world;
    const couldChange = await this.#changes();
    if (act === "start") await world.boot(number);
    if (act === "kill") world.crash(number);
    if (act === "stop") await world.stop(number);
    this.#checkLeaders();
    if (act === "stop" && couldChange && world.running.length > 0) {
      await world.until("changes work again", () => world.leader() !== undefined, STOPPED_MS_MAX);
      assert.ok(await this.#changes(), "a stop in order took the quorum with it");
    }
    await world.advance(BETWEEN_MS);
    this.#checkLeaders();
  }

  /** Everyone is back: changes work, the right number votes, and all that was acknowledged is known. */
  async end(count: number): Promise<void> {
    const world = this.#world;
    for (let number = 1; number <= count; number++) {
      if (!world.running.includes(number)) await world.boot(number);
    }
    await world.until("there is a leader", () => world.leader() !== undefined);
    await world.advance(BETWEEN_MS);
    assert.ok(await this.#changes());
    await world.advance(1_000);
    for (const number of world.running) {
      const keys = world.group(number).catalogue.settings().map(({ key }) => key);
      for (const key of this.#acknowledged) assert.ok(keys.includes(key), `n${number} lost ${key}`);
      assert.deepEqual(keys.filter((key) => key.startsWith("handover.")), [], "a wish stays");
      assert.equal(world.voters(number).length, count - 1 + count % 2);
    }
  }

  /** Whether any node that runs gets a change through; what is acknowledged is kept in mind. */
  async #changes(): Promise<boolean> {
    const world = this.#world;
    const [number] = world.running;
    if (number === undefined) return false;
    const key = `change.${this.#acknowledged.length}`;
    const command = { kind: "put_setting", key, value: "1", expected: undefined } as const;
    const answer = world.group(number).propose(command, { timeoutMs: 3_000 });
    const outcome = await world.settle(answer.catch(() => undefined));
    if (outcome?.kind !== "applied") return false;
    this.#acknowledged.push(key);
    return true;
  }

  /** Of those that lead, no two could have their quorums at once. */
  #checkLeaders(): void {
    const world = this.#world;
    const leading = world.running.filter((number) => world.group(number).view().role === "leader");
    const able = leading.filter((number) => {
      const { voters, votersOutgoing } = world.group(number).view().configuration;
      return [voters, votersOutgoing].every((some) =>
        some.filter((voter) => world.running.some((one) => world.machine(one).nodeId === voter))
                .length * 2 > some.length || some.length === 0
      );
    });
    const terms = able.map((number) => world.group(number).view().term);
    assert.equal(new Set(terms).size, terms.length, "two lead in one term");
    assert.ok(able.length <= 1, `${able.join(" and ")} lead at once, each with a quorum`);
  }
}

function explore(count: number, length: number): void {
  Deno.test(`${count} nodes are stopped, killed and started in every order, ${length} in a row`, async () => {
    for (const events of sequences(count, length)) {
      const told = events.map(({ act, number }) => `${act} ${number}`).join(", ");
      await using world = await NodeWorld.start(count);
      try {
        await world.until(
          "the votes are settled",
          () => world.running.every((one) => world.voters(one).length === count - 1 + count % 2),
        );
        await world.advance(1_000);
        const scene = new Scene(world);
        for (const event of events) await scene.happen(event);
        await scene.end(count);
      } catch (cause) {
        throw new Error(`after ${told}`, { cause });
      }
    }
  });
}

explore(2, IS_LONG ? 5 : 2);
explore(3, IS_LONG ? 4 : 2);
