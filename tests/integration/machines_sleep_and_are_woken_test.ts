import assert from "node:assert/strict";
import type { OptionName } from "../../src/config/mod.ts";
import { sleepKey, writeSleep } from "../../src/core/sleeping/mod.ts";
import type { Answer, GenerateRequest } from "../../src/ports/mod.ts";
import { NodeWorld } from "../harness/node_world.ts";
import { SCRIPTED_ANSWER } from "../harness/scripted_engine.ts";

const REQUEST: GenerateRequest = {
  model: "m",
  options: {},
  truncate: true,
  shift: true,
  topLogprobs: -1,
  debugRenderOnly: false,
  prompt: "hi",
  suffix: "",
  raw: false,
  images: [],
};
/** What a machine takes from the packet until it runs. */
const BOOT_MS = 9_000;

interface Slumber extends AsyncDisposable {
  readonly world: NodeWorld;
  /** Packets sent, as `sender>mac`. */
  readonly packets: string[];
  readonly asleep: Set<number>;
}

/** Machines on one network, or on two, that can sleep; the model is on these nodes. */
async function slumber(
  count: number,
  options: {
    readonly holders: readonly number[];
    readonly flags?: Partial<Record<OptionName, string>>;
    readonly segmentOf?: (number: number) => number;
  },
): Promise<Slumber> {
  const { holders, flags = {}, segmentOf = () => 1 } = options;
  const world = new NodeWorld({ flags: { replicas: `${holders.length}`, ...flags } });
  const packets: string[] = [];
  const asleep = new Set<number>();
  for (let number = 1; number <= count; number++) {
    const machine = await world.prepare(number);
    const cards = [{
      mac: `02:00:00:00:00:0${number}`,
      broadcast: `10.0.${segmentOf(number)}.255`,
    }];
    machine.power = {
      ...machine.power,
      cards: () => cards,
      async suspend() {
        asleep.add(number);
        world.suspend(number);
      },
      async broadcast(packet, address) {
        const mac = packet.slice(6, 12).toHex().match(/../g)?.join(":") ?? "";
        packets.push(`${number}>${mac}`);
        for (const sleeper of [...asleep]) {
          const [card] = world.machine(sleeper).power.cards();
          if (card?.mac !== mac || card.broadcast !== address) continue;
          asleep.delete(sleeper);
          world.network.clock.after(BOOT_MS, () => world.resume(sleeper));
        }
      },
    };
  }
  await world.grow(count);
  await world.createModel(...holders);
  await world.until(
    "all know each other's cards",
    () =>
      world.running.every((at) =>
        world.group(at).catalogue.settings().filter(({ key }) => key.startsWith("hardware."))
          .length === count
      ),
  );
  return { world, packets, asleep, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

/** Tells a node to sleep, as an operator does. */
async function tellToSleep({ world }: Slumber, number: number): Promise<void> {
  const key = sleepKey(world.machine(number).nodeId);
  const value = writeSleep({ state: "wished", reason: "", holds: [] });
  const [through = 1] = world.running.filter((other) => other !== number);
  await world.settle(
    world.group(through).propose({ kind: "put_setting", key, value, expected: undefined }),
  );
}

async function fallAsleep(scene: Slumber, number: number): Promise<void> {
  await tellToSleep(scene, number);
  await scene.world.until(`node ${number} sleeps`, () => scene.asleep.has(number), 60_000);
}

async function textOf(answer: Answer): Promise<string> {
  assert.ok(answer.kind === "stream");
  let text = "";
  for await (const chunk of answer.chunks) if (chunk.kind === "text") text += chunk.content;
  return text;
}

Deno.test("a voter that sleeps hands its vote over, is shown asleep, and its copies count", async () => {
  await using scene = await slumber(4, { holders: [1, 2] });
  const { world } = scene;
  await fallAsleep(scene, 2);
  const { nodeId } = world.machine(2);
  await world.until("the vote is another's", () => !world.voters(1).includes(2));
  assert.deepEqual(world.voters(1), [1, 3, 4]);
  await world.advance(180_000);
  for (const at of [1, 3, 4]) {
    const { cluster, sharing } = world.node(at);
    assert.equal(cluster.seen(nodeId)?.isAsleep, true);
    assert.equal(sharing.copies.held().length, at === 1 ? 1 : 0, "nothing was copied elsewhere");
  }
});

Deno.test("a request whose only holder that is left sleeps wakes it, and is told how long that took", async () => {
  await using scene = await slumber(4, { holders: [1, 2] });
  const { world, packets } = scene;
  await fallAsleep(scene, 2);
  await world.stop(1);
  const { api, serving } = world.node(3);
  const answer = api.generate({ ...REQUEST, label: "mine" }, new AbortController().signal);
  const text = await world.settle(answer.then(textOf), 120_000);
  assert.equal(text, SCRIPTED_ANSWER);
  assert.equal(packets[0], "3>02:00:00:00:00:02");
  const [route] = serving.journal.explain("mine").filter(({ outcome }) => outcome === "granted");
  const tookMs = route?.wake?.tookMs ?? 0;
  assert.ok(tookMs >= BOOT_MS && tookMs <= BOOT_MS + 4_000, `${tookMs}`);
  const { samples } = world.machine(3).telemetry;
  const wakes = samples.filter(({ name }) => /^odist_wake/.test(name));
  assert.deepEqual(wakes.map(({ name, value }) => [name, value]), [[
    "odist_wake_seconds",
    tookMs / 1_000,
  ]]);
  const { nodeId } = world.machine(2);
  await world.until(
    "its row is gone",
    () => world.group(3).catalogue.findSetting(sleepKey(nodeId)) === undefined,
  );
  assert.equal(world.node(3).cluster.seen(nodeId)?.standing, "alive");
});

Deno.test("a machine tells of its own sleep: that it sleeps, how long it slept, and that it did not", async () => {
  await using scene = await slumber(4, { holders: [1, 2] });
  const { world, asleep } = scene;
  const { telemetry, power } = world.machine(2);
  const told = (name: string) =>
    telemetry.samples.filter((sample) => sample.name === name).map(({ value }) => value);
  await fallAsleep(scene, 2);
  assert.deepEqual(told("odist_sleeping"), [1]);
  assert.deepEqual(told("odist_sleep_seconds"), []);
  await world.advance(600_000);
  asleep.delete(2);
  world.resume(2);
  await world.until("it is awake", () => told("odist_sleeping").length === 2);
  assert.deepEqual(told("odist_sleeping"), [1, 0]);
  const [seconds = 0, ...others] = told("odist_sleep_seconds");
  assert.deepEqual(others, []);
  assert.ok(seconds >= 600 && seconds < 602, `${seconds}`);
  assert.deepEqual(told("odist_sleeps_failed_total"), []);
  // As a machine that is told to sleep and stays awake.
  power.suspend = async () => {};
  await tellToSleep(scene, 2);
  await world.until("that is given up", () => told("odist_sleeping").length === 4, 120_000);
  assert.deepEqual(told("odist_sleeping"), [1, 0, 1, 0]);
  assert.deepEqual(told("odist_sleeps_failed_total"), [1]);
  assert.equal(told("odist_sleep_seconds").length, 1);
});

Deno.test("those who wait for one machine see their place, and a holder that is sooner is used meanwhile", async () => {
  await using scene = await slumber(4, { holders: [1, 2] });
  const { world } = scene;
  const { api, serving } = world.node(3);
  const ask = (label: string) =>
    api.generate({ ...REQUEST, label }, new AbortController().signal).then(textOf);
  // What the model is, is known from here on.
  await world.settle(ask("first"));
  await fallAsleep(scene, 2);
  await world.stop(1);
  const both = [ask("a"), ask("b")];
  await world.advance(1_000);
  const seen = ["a", "b"].map((label) => serving.journal.explain(label)[0]);
  assert.deepEqual(seen.map((route) => [route?.outcome, route?.wake?.position]), [
    ["pending", 1],
    ["pending", 2],
  ]);
  assert.ok((seen[0]?.chosen?.wakeMs ?? 0) > 0);
  await world.boot(1);
  assert.deepEqual(await world.settle(Promise.all(both)), [SCRIPTED_ANSWER, SCRIPTED_ANSWER]);
  for (const label of ["a", "b"]) {
    const routes = serving.journal.explain(label);
    assert.deepEqual(routes.map(({ outcome }) => outcome), ["overtaken", "granted"]);
    assert.equal(routes[1]?.chosen?.name, "n1");
  }
});

Deno.test("a machine on another network is woken by its neighbour, at the word of whoever needs it", async () => {
  await using scene = await slumber(4, {
    holders: [1, 2],
    segmentOf: (number) => number === 2 || number === 4 ? 2 : 1,
  });
  const { world, packets } = scene;
  await fallAsleep(scene, 2);
  const { nodeId } = world.machine(2);
  const tookMs = await world.settle(world.node(3).waking.wake(nodeId), 60_000);
  assert.equal(packets[0], "4>02:00:00:00:00:02");
  assert.ok(tookMs >= BOOT_MS, `${tookMs}`);
});

Deno.test("an awake holder is asked rather than one that sleeps", async () => {
  await using scene = await slumber(4, { holders: [1, 2] });
  const { world, packets } = scene;
  await fallAsleep(scene, 2);
  const answer = world.node(3).api.generate(REQUEST, new AbortController().signal);
  assert.equal(await world.settle(answer.then(textOf), 60_000), SCRIPTED_ANSWER);
  assert.deepEqual(packets, []);
});

Deno.test("a machine stays awake with the only copy, beside none that could wake it, and says why", async () => {
  await using scene = await slumber(3, { holders: [1], segmentOf: (number) => number });
  const { world } = scene;
  const reasons: string[] = [];
  for (const number of [1, 2]) {
    await tellToSleep(scene, number);
    const key = sleepKey(world.machine(number).nodeId);
    await world.until(
      "it is refused",
      () => world.group(3).catalogue.findSetting(key)?.value.includes("refused") === true,
    );
    reasons.push(JSON.parse(world.group(3).catalogue.findSetting(key)?.value ?? "{}").reason);
  }
  assert.deepEqual(reasons, [
    "no other member holds m:latest",
    "no other member that stays awake could wake it",
  ]);
});

Deno.test("idle machines sleep by themselves but for the last, which none could wake", async () => {
  await using scene = await slumber(4, { holders: [1, 2], flags: { sleepAfterMs: "2m" } });
  const { world, asleep } = scene;
  await world.until("all others sleep", () => asleep.size === 3, 1_800_000);
  await world.advance(300_000);
  assert.equal(asleep.size, 3);
  const [awake = 0] = world.running.filter((number) => !asleep.has(number));
  assert.deepEqual(world.voters(awake), [awake]);
  const answer = world.node(awake).api.generate(REQUEST, new AbortController().signal);
  assert.equal(await world.settle(answer.then(textOf), 120_000), SCRIPTED_ANSWER);
});
