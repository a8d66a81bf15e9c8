/**
 * Responses that are kept: by whole nodes on virtual time, and by real ones that are killed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest } from "../harness/cluster.ts";
import { Apps } from "../harness/node_apps.ts";
import { NodeWorld } from "../harness/node_world.ts";
import { SCRIPTED_ANSWER } from "../harness/scripted_engine.ts";

const ID = "resp_1";

async function threeNodes(): Promise<NodeWorld> {
  const world = await NodeWorld.start(3);
  await world.until(
    "all know all",
    () =>
      world.running.every((number) =>
        world.node(number).cluster.views.members().filter(({ standing }) => standing === "alive")
          .length === 2
      ),
  );
  return world;
}

function responsesOf(world: NodeWorld, number: number) {
  const { responses } = world.node(number);
  return {
    keep: (text: string, isFinal: boolean) =>
      world.settle(responses.keep(ID, { text }, { isFinal })),
    find: () => world.settle(responses.find(ID)),
    remove: () => world.settle(responses.remove(ID)),
  };
}

Deno.test("A response is on two nodes, found by a third one, and outlives the node that made it", async () => {
  await using world = await threeNodes();
  assert.equal(await responsesOf(world, 2).keep("kept", true), 2);
  for (const number of [1, 2, 3]) {
    assert.deepEqual(await responsesOf(world, number).find(), { record: { text: "kept" } });
  }
  world.crash(2);
  for (const number of [1, 3]) {
    assert.deepEqual(await responsesOf(world, number).find(), { record: { text: "kept" } });
  }
});

Deno.test("A response that is deleted is gone on all nodes, and found again on none after a restart", async () => {
  await using world = await threeNodes();
  await responsesOf(world, 2).keep("kept", true);
  assert.equal(await responsesOf(world, 1).remove(), true);
  world.crash(2);
  await world.boot(2);
  for (const number of [1, 2, 3]) assert.equal(await responsesOf(world, number).find(), undefined);
  assert.equal(await responsesOf(world, 3).remove(), false);
});

Deno.test("Who looks for a response that is not final hears whether its maker is still there", async () => {
  await using world = await threeNodes();
  await responsesOf(world, 2).keep("begun", false);
  const gone = async (number: number) => {
    const found = await responsesOf(world, number).find();
    assert.deepEqual(found?.record, { text: "begun" });
    return [found?.maker?.node, found?.maker?.isGone, found?.maker?.isSelf];
  };
  assert.deepEqual(await gone(1), ["n2", false, false]);
  assert.deepEqual(await gone(2), ["n2", false, true]);
  world.crash(2);
  await world.until(
    "they have noticed",
    () =>
      [1, 3].every((number) =>
        world.node(number).cluster.views.members().some(({ standing }) => standing === "down")
      ),
    60_000,
  );
  assert.deepEqual(await gone(1), ["n2", true, false]);
  await world.boot(2);
  await world.until(
    "it is back",
    () => world.node(1).cluster.views.members().every(({ standing }) => standing === "alive"),
    60_000,
  );
  assert.deepEqual(await gone(1), ["n2", true, false]);
  assert.deepEqual(await gone(2), ["n2", true, true]);
});

Deno.test("The last word on a response is found wherever an older one lies", async () => {
  await using world = await threeNodes();
  await responsesOf(world, 2).keep("begun", false);
  await responsesOf(world, 2).keep("done", true);
  for (const number of [1, 2, 3]) {
    assert.deepEqual(await responsesOf(world, number).find(), { record: { text: "done" } });
  }
});

Deno.test("Work for clients is ended from another node, by whoever may end it there", async () => {
  await using world = await threeNodes();
  const seen: unknown[] = [];
  world.node(2).elsewhere.attend({
    cancelRequest: (id, by) => {
      seen.push([id, by]);
      return 2;
    },
    cancelResponse: (id) => Promise.resolve(id === ID),
  });
  const { elsewhere } = world.node(1);
  const by = { asker: "key k1 10.0.0.1", isAdmin: false };
  assert.equal(await world.settle(elsewhere.cancelRequest("mine", by)), 2);
  assert.deepEqual(seen, [["mine", by]]);
  const { nodeId } = world.node(2).cluster.settings.self;
  assert.equal(await world.settle(elsewhere.cancelResponse(ID, nodeId)), true);
  assert.equal(await world.settle(elsewhere.cancelResponse("resp_2", nodeId)), false);
});

Deno.test("A response is followed on another node while it is made, and its node's death ends that", async () => {
  await using world = await threeNodes();
  const more = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  world.node(2).elsewhere.attend({
    followResponse: (id, signal) => {
      const left = new Promise((resolve) => signal.addEventListener("abort", resolve));
      left.then(() => gone.resolve());
      return id === ID ? told() : undefined;
      async function* told() {
        yield "1";
        await more.promise;
        yield "2";
        await left;
      }
    },
  });
  const { nodeId } = world.node(2).cluster.settings.self;
  const { elsewhere } = world.node(3);
  const follow = (id: string, signal = new AbortController().signal) =>
    elsewhere.followResponse(id, nodeId, signal)[Symbol.asyncIterator]();
  assert.equal((await world.settle(follow("resp_2").next())).done, true, "nobody makes it");
  const following = follow(ID);
  const leave = new AbortController();
  const leaving = follow(ID, leave.signal);
  assert.equal((await world.settle(following.next())).value, "1");
  assert.equal((await world.settle(leaving.next())).value, "1");
  // It says nothing for longer than a node may that is lost.
  const second = following.next();
  let isThere = false;
  second.then(() => isThere = true, () => isThere = true);
  await world.advance(20_000);
  assert.equal(isThere, false);
  more.resolve();
  assert.equal((await world.settle(second)).value, "2");
  assert.equal((await world.settle(leaving.next())).value, "2");
  const left = leaving.next();
  leave.abort(new DOMException("left", "AbortError"));
  await assert.rejects(world.settle(left));
  await world.settle(gone.promise);
  const last = following.next();
  last.catch(() => {});
  world.crash(2);
  await assert.rejects(world.settle(last), { code: "peer_lost" });
});

/** A response that is made in the background by node 2, of which something is computed. */
async function inBackground(apps: Apps): Promise<string> {
  const body = { model: "m", input: "hi", background: true };
  const begun = await apps.ask(2, { method: "POST", path: "/v1/responses", body });
  const { id, status } = JSON.parse((await apps.read(begun)).text);
  assert.equal(status, "queued");
  await apps.world.advance(200);
  return id;
}

async function responseAt(apps: Apps, number: number, id: string) {
  return JSON.parse(
    (await apps.read(await apps.ask(number, { path: `/v1/responses/${id}` }))).text,
  );
}

function takenOver({ world }: Apps, numbers: readonly number[]): number {
  return numbers.flatMap((number) => world.machine(number).telemetry.lines)
    .filter(({ event }) => event === "response_taken_over").length;
}

Deno.test("A response in the background whose node dies is made anew by the one that has the copy, though nobody asks for it", async () => {
  const apps = await Apps.start(3);
  await using world = apps.world;
  const id = await inBackground(apps);
  world.crash(2);
  await world.until("another node takes it over", () => takenOver(apps, [1, 3]) > 0);
  await world.advance(5_000);
  for (const number of [1, 3]) {
    const { status, output } = await responseAt(apps, number, id);
    assert.equal(status, "completed");
    assert.equal(output[0].content[0].text, SCRIPTED_ANSWER);
  }
  await world.boot(2);
  apps.boot(2);
  await world.advance(20_000);
  assert.equal((await responseAt(apps, 2, id)).status, "completed");
  assert.equal(takenOver(apps, [1, 2, 3]), 1, "it was made once");
});

Deno.test("A response in the background is made anew by its own node when that was started again before others missed it", async () => {
  const apps = await Apps.start(1);
  await using world = apps.world;
  const body = { model: "m", input: "hi", background: true };
  const begun = await apps.ask(1, { method: "POST", path: "/v1/responses", body });
  const { id } = JSON.parse((await apps.read(begun)).text);
  await world.advance(200);
  world.crash(1);
  await world.boot(1);
  apps.boot(1);
  await world.advance(10_000);
  assert.equal((await responseAt(apps, 1, id)).status, "completed");
  assert.equal(takenOver(apps, [1]), 1);
});

Deno.test("A response in the background whose node is dead can be cancelled, and nobody goes on with it", async () => {
  const apps = await Apps.start(3);
  await using world = apps.world;
  const id = await inBackground(apps);
  world.crash(2);
  await world.until("it is down", () => world.standing(1, 2) === "down");
  const cancelled = await apps.ask(1, { method: "POST", path: `/v1/responses/${id}/cancel` });
  assert.equal(JSON.parse((await apps.read(cancelled)).text).status, "cancelled");
  await world.advance(10_000);
  assert.equal((await responseAt(apps, 3, id)).status, "cancelled");
});

clusterTest(
  "A response is found after a kill of the node that made it",
  { nodes: 3 },
  async (cluster) => {
    const [first = "", maker = "", third = ""] = cluster.names;
    const told = async (name: string, id: string) => {
      const path = `/v1/responses/${id}?stream=true&starting_after=1`;
      return await (await fetch(cluster.client(name).origin + path)).text();
    };
    const ask = (name: string, method: string, path: string, body?: unknown) =>
      cluster.client(name).ask(method, path, body);
    const made = await ask(maker, "POST", "/v1/responses", {
      model: "tiny",
      input: "Hello!",
      temperature: 0,
    });
    const streamed = await told(maker, String(made["id"]));
    assert.match(streamed, /"sequence_number":2,/);
    assert.match(streamed, /response.completed/);
    await cluster.client(maker).kill();
    for (const name of [first, third]) {
      const found = await ask(name, "GET", `/v1/responses/${made["id"]}`);
      assert.deepEqual(found["output"], made["output"]);
      assert.equal(await told(name, String(made["id"])), streamed);
    }
    const next = await ask(third, "POST", "/v1/responses", {
      model: "tiny",
      input: "And now?",
      previous_response_id: made["id"],
    });
    assert.equal(next["status"], "completed");
  },
);
