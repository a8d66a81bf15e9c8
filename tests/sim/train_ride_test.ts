/**
 * Whole nodes, three of them, of which one is away for days with a life of its own: twenty models are made on it, twenty at
 * home, eight of them of the same name. After the reunion all agree, nothing is lost, and each conflict is told once.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mixSeed, Random } from "../../src/base/mod.ts";
import { IS_LONG } from "../harness/cluster.ts";
import { llamaFile } from "../harness/gguf_file.ts";
import { NodeWorld } from "../harness/node_world.ts";

const SEEDS = IS_LONG ? 2_000 : 3;
const FIRST_SEED = Number(Deno.env.get("ODIST_TEST_SEED") ?? 1);
const CHANGES = 20;
const CONFLICTS = 8;
const DAYS = 10;
const DAY_MS = 24 * 3_600_000;
/** Simulated milliseconds between two changes at most, and of each day. */
const PAUSE_MS_MAX = 400;
const DAY_LASTS_MS = 500;
const TRAVELLER = 3;

interface Made {
  readonly name: string;
  readonly system: string;
}

/** Makes a model, or copies the one made last under another name: a copy has the bytes of what it is of. */
async function make(world: NodeWorld, number: number, made: Made): Promise<void> {
  const { digest } = await world.machine(number).blobs.put(llamaFile());
  const lines = world.node(number).api.createModel({
    ...{ model: made.name, system: made.system, files: { "w.gguf": digest } },
    ...{ parameters: {}, license: [] },
  }, new AbortController().signal);
  const statuses = await world.settle(Array.fromAsync(lines, ({ status }) => status));
  assert.equal(statuses.at(-1), "success");
}

async function systems(world: NodeWorld, number: number): Promise<ReadonlyMap<string, string>> {
  const { api } = world.node(number);
  const models = await world.settle(api.listModels({ consistency: "stale" }));
  const shown = new Map<string, string>();
  for (const { name } of models) {
    const { system } = await world.settle(
      api.showModel({ model: name, verbose: false, options: {} }),
    );
    shown.set(name, system ?? "");
  }
  return shown;
}

async function ride(seed: number): Promise<void> {
  const random = new Random(mixSeed(seed, 17));
  const flags = { replicateAfterMs: "0s" } as const;
  await using world = await NodeWorld.start(3, { seed, flags });
  await world.advance(1_000);
  world.isolate(TRAVELLER);
  const away = Array.from({ length: CHANGES }, (_, at): Made => ({
    name: at < CONFLICTS ? `both${at}` : `away${at}`,
    system: `away ${at}`,
  }));
  const home = Array.from({ length: CHANGES }, (_, at): Made => ({
    name: at < CONFLICTS ? `both${at}` : `home${at}`,
    system: `home ${at}`,
  }));
  const acts = random.shuffle([
    ...random.shuffle(away).map((made) => ({ made, number: TRAVELLER })),
    ...random.shuffle(home).map((made) => ({ made, number: 1 + random.below(2) })),
    ...Array.from({ length: DAYS }, () => undefined),
  ]);
  for (const act of acts) {
    if (act === undefined) {
      for (const number of [1, 2, 3]) world.machine(number).wallAheadMs += DAY_MS;
      await world.advance(DAY_LASTS_MS);
    } else await make(world, act.number, act.made);
    await world.advance(random.below(PAUSE_MS_MAX));
    // It may be switched off on the way, and at home a node may die.
    if (random.chance(1, 30)) {
      await world.stop(TRAVELLER);
      await world.boot(TRAVELLER);
    }
  }
  world.network.heal();
  const isMerged = () => world.machine(TRAVELLER).told("local_model_kept").length >= CONFLICTS;
  await world.until("the traveller knows of all conflicts", isMerged, 60_000);
  await world.until("all agree", () => {
    const [hash, ...others] = world.running.map((it) => world.group(it).catalogue.stateHash());
    const count = world.group(1).catalogue.models().length;
    return count >= 2 * CHANGES - CONFLICTS && others.every((other) => other === hash);
  }, 60_000);
  await world.advance(5_000);

  const wanted = new Map<string, string>();
  for (const { name, system } of away) wanted.set(`${name}:latest`, system);
  for (const { name, system } of home) wanted.set(`${name}:latest`, system);
  const conflicts = away.slice(0, CONFLICTS)
    .map(({ name, system }) => [`${name}:latest@n${TRAVELLER}`, system] as const);
  const sorted = (entries: Iterable<readonly [string, string]>) => [...entries].sort();
  for (const number of world.running) {
    const expected = number === TRAVELLER ? [...wanted, ...conflicts] : [...wanted];
    assert.deepEqual(sorted(await systems(world, number)), sorted(expected), `n${number}`);
  }
  const told = world.machine(TRAVELLER).told("local_model_kept");
  assert.equal(told.length, CONFLICTS, `told ${told.length} times`);
  assert.equal(new Set(told).size, CONFLICTS);
}

Deno.test(`a node that was away for ${DAYS} days merges what it made: nothing is lost, each conflict is told once, ${SEEDS} seeds`, async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      await ride(seed);
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause });
    }
    if (IS_LONG && seed % 50 === 0) console.log(`${seed} seeds`);
  }
});
