import assert from "node:assert/strict";
import { Random, UnavailableError } from "../../src/base/mod.ts";
import { NodeWorld, putSetting } from "../harness/node_world.ts";
import { checkLinearizable, type Operation } from "../sim/checkers/linearizability.ts";
import { type ClientInput, type ClientOutput, REGISTER } from "../sim/raft/clients.ts";

const SEEDS = Number(Deno.env.get("ODIST_GROUP_SEEDS") ?? 5);
const FIRST_SEED = Number(Deno.env.get("ODIST_GROUP_SEED") ?? 1);
const CLIENTS = 5;
const VIRTUAL_MS = 15_000;
const KEYS = ["a", "b", "c"];

type History = Operation<ClientInput, ClientOutput>[];

/** Asks one thing at a time of whichever node, and remembers what it was told. */
class Client {
  readonly history: History = [];
  /** Changes that were acknowledged as applied, by value: each must be applied once and never be lost. */
  readonly #seen = new Map<string, { readonly value: number; readonly revision: number }>();
  #serial = 0;

  constructor(
    readonly world: NodeWorld,
    readonly random: Random,
    readonly id: number,
    readonly now: () => number,
  ) {}

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const number = this.random.pick(this.world.running);
      if (number !== undefined) await this.#ask(number);
      await this.#pause(this.random.between(5, 150));
    }
  }

  async #ask(number: number): Promise<void> {
    const key = this.random.pick(KEYS) ?? "a";
    const seen = this.#seen.get(key) ?? { value: 0, revision: 0 };
    const value = this.id * 100_000 + ++this.#serial;
    const input = this.random.pick<ClientInput>([
      { kind: "get" },
      { kind: "put", value },
      { kind: "swap", expected: seen.value, value },
    ]) ?? { kind: "get" };
    const invokedAt = this.now();
    try {
      const output = await this.#carryOut(number, key, { input, expected: seen.revision });
      this.history.push({ key, input, invokedAt, outcome: { output, returnedAt: this.now() } });
    } catch (error) {
      assert.ok(error instanceof UnavailableError, String(error));
      // A read that failed changed nothing.
      if (input.kind !== "get") this.history.push({ key, input, invokedAt });
    }
  }

  async #carryOut(
    number: number,
    key: string,
    { input, expected }: { readonly input: ClientInput; readonly expected: number },
  ): Promise<ClientOutput> {
    const group = this.world.group(number);
    const timeoutMs = this.random.between(200, 4_000);
    if (input.kind === "get") {
      const row = await group.read((catalogue) => catalogue.findSetting(key), { timeoutMs });
      const value = Number(row?.value ?? 0);
      this.#seen.set(key, { value, revision: row?.revision ?? 0 });
      return value;
    }
    const condition = input.kind === "put" ? undefined : expected;
    const command = putSetting(key, `${input.value}`, condition);
    const outcome = await group.propose(command, { timeoutMs });
    if (outcome.kind === "applied") {
      this.#seen.set(key, { value: input.value, revision: outcome.revision });
      return true;
    }
    assert.ok(["revision_mismatch", "already_exists"].includes(outcome.reason), outcome.reason);
    return false;
  }

  #pause(durationMs: number): Promise<void> {
    return new Promise((resolve) => void this.world.network.clock.after(durationMs, resolve));
  }
}

/** Takes a voter's vote, or gives it back, through whoever believes to lead. */
function changeVoter(world: NodeWorld, number: number): void {
  const leader = world.running.find((it) => world.group(it).view().role === "leader");
  if (leader === undefined || leader === number) return;
  const node = world.machine(number).nodeId;
  const { voters } = world.group(leader).view().configuration;
  const isVoter = voters.includes(node);
  if (isVoter && voters.length <= 2) return;
  const steps = [{ action: isVoter ? "remove" : "add_voter", node }] as const;
  const change = {
    transition: "implicit",
    steps,
    context: new Uint8Array(),
    form: "batch",
  } as const;
  // Refused, lost or late: whatever became of it, the group must stay whole.
  world.group(leader).changeGroup(change, { timeoutMs: 2_000 }).catch(() => {});
}

/** Something bad, or the end of it. */
async function disturb(world: NodeWorld, random: Random): Promise<void> {
  const number = random.pick(world.numbers) ?? 1;
  const other = random.pick(world.numbers) ?? 1;
  const { running } = world;
  const isRunning = running.includes(number);
  switch (random.below(11)) {
    case 0:
    case 1:
      if (isRunning) world.crash(number, { power: random.chance(1, 2) });
      return;
    case 2:
    case 3:
      if (!isRunning) await world.boot(number);
      return;
    case 4:
      return world.isolate(number);
    case 5:
      if (number !== other) {
        world.network.cut(world.machine(number).nodeId, world.machine(other).nodeId);
      }
      return;
    case 6:
      for (const it of running) world.group(it).hintLeaderDown(world.machine(number).nodeId);
      return;
    case 7:
      if (isRunning) world.group(number).transferLeadership(world.machine(other).nodeId);
      return;
    case 8:
    case 9:
      return changeVoter(world, other);
    default:
      world.network.heal();
      world.network.shape({
        lossPercent: random.below(20),
        delayMs: 1 + random.below(30),
        jitterMs: random.below(50),
      });
  }
}

async function runSeed(
  seed: number,
): Promise<{ readonly answered: number; readonly unanswered: number }> {
  const random = new Random(seed);
  const timing = { snapshotEntries: 40, trailingEntries: 10 };
  await using world = await NodeWorld.start(random.pick([3, 5]) ?? 3, { seed, timing });
  const { clock } = world.network;
  const endMs = clock.monotonicMs() + VIRTUAL_MS;
  let moment = 0;
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => new Client(world, random.fork(), index + 1, () => ++moment),
  );
  let isOver = false;
  const runs = clients.map((client) => client.run(() => isOver));
  while (clock.monotonicMs() < endMs) {
    await world.advance(random.between(50, 800));
    await disturb(world, random);
  }
  isOver = true;
  world.network.heal();
  world.network.shape({ lossPercent: 0, delayMs: 1, jitterMs: 0 });
  for (const number of world.numbers) if (!world.running.includes(number)) await world.boot(number);
  await world.settle(Promise.all(runs));
  const everybody = world.numbers.length;
  await world.until("all vote", () => world.voters(1).length === everybody, 60_000);
  await world.propose(putSetting("end", "1"), await world.elected());
  await world.converged();
  assert.deepEqual(
    world.numbers.map((number) => world.group(number).fenced),
    world.numbers.map(() => undefined),
  );
  const history = clients.flatMap((client) => client.history);
  const verdict = checkLinearizable(history, REGISTER);
  assert.deepEqual(verdict, { kind: "linearizable" });
  const answered = history.filter(({ outcome }) => outcome !== undefined).length;
  return { answered, unanswered: history.length - answered };
}

Deno.test("Groups stay linearizable and converge through cuts, crashes, losses and rumours", async () => {
  let answered = 0;
  let unanswered = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      const run = await runSeed(seed);
      answered += run.answered;
      unanswered += run.unanswered;
    } catch (error) {
      throw new Error(`ODIST_GROUP_SEED=${seed} ODIST_GROUP_SEEDS=1: ${error}`, { cause: error });
    }
  }
  assert.ok(answered > SEEDS * 50, `only ${answered} operations were answered`);
  assert.ok(unanswered > 0, "nothing disturbed anybody");
});
