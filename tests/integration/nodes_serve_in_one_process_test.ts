/**
 * The shipped wiring of whole nodes, from the founding of a cluster to an answer, on virtual time.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { GenerateRequest } from "../../src/ports/mod.ts";
import { NodeWorld } from "../harness/node_world.ts";
import { SCRIPTED_ANSWER } from "../harness/scripted_engine.ts";

const REQUEST: GenerateRequest = {
  model: "m",
  prompt: "hi",
  suffix: "",
  raw: false,
  images: [],
  options: {},
  truncate: true,
  shift: true,
  topLogprobs: -1,
  debugRenderOnly: false,
};

/** The whole answer of a client at a node, and the name of the node that gave it. */
async function ask(world: NodeWorld, at: number): Promise<{ text: string; by: string }> {
  const asking = async () => {
    const answer = await world.node(at).api.generate(REQUEST, new AbortController().signal);
    assert.ok(answer.kind === "stream");
    let text = "";
    for await (const chunk of answer.chunks) if (chunk.kind === "text") text += chunk.content;
    return { text, by: answer.servedBy?.() ?? "" };
  };
  return await world.settle(asking());
}

async function threeNodes(seed = 1): Promise<NodeWorld> {
  const world = await NodeWorld.start(3, { seed });
  await world.until(
    "all vote",
    () => world.running.every((node) => world.voters(node).length === 3),
  );
  return world;
}

Deno.test("Three nodes form a cluster by tokens, and one that has no model answers through one that has", async () => {
  await using world = await threeNodes();
  assert.equal(world.leader(), 1);
  await world.createModel(2);
  await world.until("gossip tells who holds it", () => {
    const [model] = world.group(3).catalogue.models();
    const holders = model && world.node(3).cluster.views.holders(model.manifestDigest);
    return holders?.map(({ name }) => name).join() === "n2";
  });
  assert.deepEqual(await ask(world, 3), { text: SCRIPTED_ANSWER, by: "n2" });
  const listed = await world.settle(world.node(1).api.listModels());
  assert.deepEqual(listed.map(({ name }) => name), ["m:latest"]);
  const loaded = await world.settle(world.node(1).api.listLoaded());
  assert.deepEqual(loaded.map(({ name, node }) => [name, node]), [["m:latest", "n2"]]);
});

Deno.test("A model gets its second copy, so its first holder and leader may die, and come back", async () => {
  await using world = await threeNodes();
  await world.createModel(1);
  const holders = () =>
    world.running.filter((number) => world.node(number).sharing.copies.held().length === 1);
  await world.until("two hold it", () => holders().length === 2, 60_000);
  const [second = 0] = holders().filter((number) => number !== 1);
  const [asked = 0] = world.running.filter((number) => !holders().includes(number));
  world.crash(1);
  await world.until("another leads", () => ![undefined, 1].includes(world.leader()));
  assert.deepEqual(await ask(world, asked), { text: SCRIPTED_ANSWER, by: `n${second}` });
  await world.propose({ kind: "put_setting", key: "a", value: "1", expected: undefined });
  await world.boot(1);
  await world.until(
    "it has caught up",
    () => world.group(1).catalogue.stateHash() === world.group(second).catalogue.stateHash(),
  );
  // It holds the model, and the other one has it loaded.
  assert.deepEqual(await ask(world, 1), { text: SCRIPTED_ANSWER, by: `n${second}` });
  assert.ok(holders().includes(1));
});

Deno.test("A node cut off from the others changes nothing, and hears of their changes once it is back", async () => {
  await using world = await threeNodes();
  world.isolate(3);
  const change = { kind: "put_setting", key: "a", value: "1", expected: undefined } as const;
  const refused = world.group(3).propose({ ...change, value: "3" }, { timeoutMs: 2_000 });
  await assert.rejects(world.settle(refused), { code: "no_quorum" });
  await world.propose(change);
  assert.equal(world.group(3).catalogue.findSetting("a"), undefined);
  world.network.heal();
  await world.until("it knows", () => world.group(3).catalogue.findSetting("a")?.value === "1");
});

Deno.test("A revoked member is shut out, and stays out when it starts again", async () => {
  await using world = await threeNodes();
  const { nodeId } = world.machine(3);
  const change = { kind: "put_setting", key: "a", value: "1", expected: undefined } as const;
  const isShutOut = () =>
    [1, 2].every((number) => {
      const { transport } = world.node(number).machinery;
      return transport.connections().every(({ peer }) => peer !== nodeId);
    });
  assert.ok(!isShutOut());
  await world.propose({ kind: "revoke_member", nodeId, atMs: 0 });
  await world.until("nobody talks to it", isShutOut, 2_000);
  await world.propose(change);
  world.crash(3);
  await world.boot(3);
  for (let seconds = 0; seconds < 20; seconds++) {
    await world.advance(1_000);
    assert.ok(isShutOut(), `let in after ${seconds} s`);
  }
  assert.equal(world.group(3).catalogue.findSetting("a"), undefined);
});

Deno.test("One seed is one course of events", async () => {
  const course = async (seed: number) => {
    await using world = await threeNodes(seed);
    world.network.shape({ lossPercent: 10, jitterMs: 30 });
    world.crash(1);
    await world.until("another leads", () => ![undefined, 1].includes(world.leader()));
    await world.createModel(2);
    await ask(world, 3);
    const logs = [1, 2, 3].map((number) => world.machine(number).telemetry.lines);
    return JSON.stringify([world.network.clock.monotonicMs(), logs]);
  };
  assert.equal(await course(5), await course(5));
  assert.notEqual(await course(5), await course(6));
});
