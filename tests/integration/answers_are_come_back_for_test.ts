/**
 * Answers that are read on from a byte, on whole nodes in virtual time: the node that was asked dies at every step.
 *
 * @module
 */
import assert from "node:assert/strict";
import { JOURNAL_BYTES_MAX } from "../../src/core/journals/mod.ts";
import { Apps } from "../harness/node_apps.ts";
import type { NodeWorld } from "../harness/node_world.ts";
import { SCRIPTED_ANSWER, SCRIPTED_TOKENS } from "../harness/scripted_engine.ts";

const CHAT = { model: "m", messages: [{ role: "user", content: "hi" }] };
const SHAPES: readonly (readonly [string, unknown, (text: string) => string])[] = [
  [
    "/api/generate",
    { model: "m", prompt: "hi" },
    (text) => lines(text).map((it) => it.response).join(""),
  ],
  ["/api/chat", CHAT, (text) => lines(text).map((it) => it.message.content).join("")],
  [
    "/v1/chat/completions",
    { ...CHAT, stream: true },
    (text) => events(text).map((it) => it.choices[0]?.delta?.content ?? "").join(""),
  ],
  [
    "/v1/messages",
    { ...CHAT, stream: true, max_tokens: 1_000 },
    (text) => events(text).map((it) => it.delta?.text ?? "").join(""),
  ],
  ["/v1/responses", { model: "m", input: "hi", stream: true }, responseText],
];

// deno-lint-ignore no-explicit-any
function lines(text: string): any[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

// deno-lint-ignore no-explicit-any
function events(text: string): any[] {
  return text.split("\n").filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)));
}

function responseText(text: string): string {
  return events(text).map((it) => it.type === "response.output_text.delta" ? it.delta : "").join(
    "",
  );
}

function idsOf(text: string): readonly string[] {
  return [
    ...new Set([...text.matchAll(/"id":"((?:chatcmpl|msg)[^"]+)"/g)].map(([, id = ""]) => id)),
  ];
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

async function answerId(response: Response): Promise<string> {
  return await Promise.resolve(response.headers.get("x-odist-answer") ?? "");
}

for (const [path, body, textOf] of SHAPES) {
  Deno.test(`${path} is read on at another node, whenever the one that was asked dies: no byte is lost, none comes twice`, async () => {
    const apps = await Apps.start(3);
    await using world = apps.world;
    let deaths = 0;
    for (let parts = 1; parts < 60; parts += 5) {
      const asked = await apps.ask(1, { method: "POST", path, body });
      assert.equal(asked.headers.get("x-odist-resume"), "copies=2");
      const id = await answerId(asked);
      const { text: before, isBroken } = await apps.read(asked, parts);
      assert.equal(isBroken, false);
      world.crash(1);
      deaths++;
      const rest = await apps.ask(3, { path: `/api/answers/${id}?offset=${bytesOf(before)}` });
      assert.equal(rest.status, 200);
      const { text: after } = await apps.read(rest);
      assert.equal(textOf(before + after), SCRIPTED_ANSWER, `dead after ${parts} parts`);
      assert.ok(idsOf(before + after).length <= 1, "it is one answer");
      const again = await apps.read(await apps.ask(2, { path: `/api/answers/${id}` }));
      assert.equal(again.text, before + after);
      await world.boot(1);
      await world.until(
        "all are there",
        () =>
          world.running.every((number) =>
            world.node(number).cluster.views.members().filter(({ standing }) =>
              standing === "alive"
            )
              .length === 2
          ),
        60_000,
      );
      apps.boot(1);
      await world.advance(3_000);
    }
    assert.equal(deaths, 12);
  });
}

const GENERATE = { method: "POST", path: "/api/generate", body: { model: "m", prompt: "hi" } };
const key = (name: string) => ({ authorization: `Bearer ${name}` });

function running(world: NodeWorld): number {
  return world.running.reduce((sum, number) => sum + world.node(number).driver.view().running, 0);
}

async function errorOf(apps: Apps, response: Response): Promise<readonly [number, string]> {
  const { text } = await apps.read(response);
  return [response.status, text];
}

Deno.test("an answer is told to whoever asked for it alone: with another key, from elsewhere or by a page it is not there", async () => {
  const apps = await Apps.start(2);
  await using _ = apps.world;
  const asked = await apps.ask(1, {
    ...GENERATE,
    headers: { ...key("use"), "idempotency-key": "guess" },
  });
  await apps.read(asked, 2);
  for (const number of [1, 2]) {
    const path = "/api/answers/guess";
    assert.equal((await apps.ask(number, { path, headers: key("use") })).status, 200);
    for (
      const headers of [key("use+models"), {}, key("nonsense"), { origin: "http://localhost:3000" }]
    ) {
      const [status, text] = await errorOf(apps, await apps.ask(number, { path, headers }));
      assert.equal(status, 404, text);
      assert.match(text, /no answer of yours with the id/);
    }
  }
  const [status, text] = await errorOf(
    apps,
    await apps.ask(2, { path: "/api/answers/guess?offset=99999" }),
  );
  assert.equal(status, 416);
  assert.match(text, /offset: the answer has \d+ bytes so far, got 99999/);
  for (const offset of ["-1", "x", "1.5"]) {
    const refused = await apps.ask(2, { path: `/api/answers/guess?offset=${offset}` });
    assert.equal(refused.status, 400, offset);
  }
});

Deno.test("the same request with the same key joins the answer that runs, on any node, and is computed once", async () => {
  const apps = await Apps.start(2);
  await using world = apps.world;
  const headers = { ...key("use"), "idempotency-key": "once" };
  const asked = await apps.ask(1, { ...GENERATE, headers });
  const first = await apps.read(asked, 2);
  const joined = [
    await apps.ask(1, { ...GENERATE, headers }),
    await apps.ask(2, { ...GENERATE, headers }),
  ];
  assert.equal(running(world), 1);
  const texts = await Promise.all(joined.map((one) => apps.read(one)));
  const rest = await apps.read(asked);
  for (const { text } of texts) assert.equal(text, first.text + rest.text);
  assert.equal(
    lines(texts[0]?.text ?? "").map(({ response }) => response).join(""),
    SCRIPTED_ANSWER,
  );
  const other = { ...GENERATE, body: { model: "m", prompt: "other" } };
  const [status, text] = await errorOf(apps, await apps.ask(2, { ...other, headers }));
  assert.equal(status, 422);
  assert.match(text, /idempotency-key: \\"once\\" was used for another request/);
  // A conversation asks for something else each time.
  const conversation = { ...key("use"), "x-conversation-id": "talk" };
  await apps.read(await apps.ask(1, { ...GENERATE, headers: conversation }));
  assert.equal((await apps.ask(2, { ...other, headers: conversation })).status, 200);
  const [bad] = await errorOf(
    apps,
    await apps.ask(1, { ...GENERATE, headers: { ...key("use"), "idempotency-key": "a b" } }),
  );
  assert.equal(bad, 400);
});

for (const name of ["x-request-id", "x-conversation-id"]) {
  for (const nodes of [[1, 1], [1, 2]]) {
    Deno.test(`requests at nodes ${nodes} whose ${name} is the same are answered each by itself`, async () => {
      const apps = await Apps.start(2);
      await using world = apps.world;
      const headers = { ...key("use"), [name]: "same" };
      const asked: Response[] = [];
      for (const [index, number] of nodes.entries()) {
        const body = { model: "m", prompt: `prompt ${index}` };
        asked.push(await apps.ask(number, { ...GENERATE, body, headers }));
      }
      assert.equal(running(world), 2);
      for (const one of asked) {
        const { text, isBroken } = await apps.read(one);
        assert.equal(isBroken, false);
        assert.equal(lines(text).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
      }
    });
  }
}

Deno.test("an answer whose client left is not computed any further, and goes on when the client comes back", async () => {
  const apps = await Apps.start(2);
  await using world = apps.world;
  const asked = await apps.ask(1, {
    ...GENERATE,
    headers: { ...key("use"), "idempotency-key": "back" },
  });
  const { text: before, leave } = await apps.read(asked, 10);
  // Nobody waits for more of it when he leaves.
  await world.advance(500);
  await world.settle(leave?.() ?? Promise.resolve());
  await world.until("its slot is free", () => running(world) === 0);
  await world.advance(5_000);
  assert.equal(running(world), 0);
  const path = `/api/answers/back?offset=${bytesOf(before)}`;
  // The same of whoever came back, here and by way of another node.
  for (const number of [1, 2]) {
    const again = await apps.read(await apps.ask(number, { path }), 5);
    await world.advance(500);
    assert.equal(running(world), 1);
    await world.settle(again.leave?.() ?? Promise.resolve());
    await world.until("its slot is free again", () => running(world) === 0);
    await world.until("nothing is open", () => apps.openRequests === 0);
  }
  const rest = await apps.read(await apps.ask(2, { path }));
  assert.equal(lines(before + rest.text).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
});

Deno.test("an answer that is to be kept is computed to its end after its client left, for as long as was asked", async () => {
  const apps = await Apps.start(2);
  await using world = apps.world;
  const ask = async (id: string, keep: string) => {
    const headers = { ...key("use"), "idempotency-key": id, "x-odist-keep": keep };
    const { leave } = await apps.read(await apps.ask(1, { ...GENERATE, headers }), 3);
    await world.settle(leave?.() ?? Promise.resolve());
  };
  await ask("long", "60s");
  assert.equal(running(world), 1);
  await world.until("it is made", () => running(world) === 0);
  world.crash(1);
  const { text } = await apps.read(await apps.ask(2, { path: "/api/answers/long" }));
  assert.equal(lines(text).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
  assert.equal(running(world), 0, "it was whole");
  const headers = { ...key("use"), "x-odist-keep": "2h" };
  const [status, refused] = await errorOf(apps, await apps.ask(2, { ...GENERATE, headers }));
  assert.equal(status, 400);
  assert.match(refused, /x-odist-keep: wants a duration of up to 10m as 60s, got \\"2h\\"/);
});

Deno.test("an answer that is told as a whole, and embeddings, are had at another node after the first one's death", async () => {
  const apps = await Apps.start(2);
  await using world = apps.world;
  const embed = { method: "POST", path: "/api/embed", body: { model: "m", input: ["one", "two"] } };
  const whole = { ...GENERATE, body: { ...GENERATE.body, stream: false } };
  for (const [id, asking] of Object.entries({ embed, whole })) {
    const headers = { ...key("use"), "idempotency-key": id };
    const pending = apps.ask(1, { ...asking, headers });
    pending.catch(() => {});
    const { journals } = world.node(2);
    let isKnown = false;
    for (let wait = 0; wait < 500 && !isKnown; wait++) {
      await world.advance(10);
      isKnown = await world.settle(journals.find({ id, owner: "key k-use" })) !== undefined;
    }
    assert.ok(isKnown);
    world.crash(1);
    const { text } = await apps.read(await apps.ask(2, { path: `/api/answers/${id}` }));
    const { response, embeddings } = JSON.parse(text);
    if (id === "embed") assert.deepEqual(embeddings, [[3, 0.5], [3, 0.5]]);
    else assert.equal(response, SCRIPTED_ANSWER, text);
    await world.boot(1);
    apps.boot(1);
    await world.advance(20_000);
  }
});

Deno.test("a node that stood still while another one went on with its answer says nothing more of it", async () => {
  const apps = await Apps.start(3);
  await using world = apps.world;
  const headers = { ...key("use"), "idempotency-key": "still" };
  const asked = await apps.ask(1, { ...GENERATE, headers });
  const { text: before } = await apps.read(asked, 5);
  world.suspend(1, "runs");
  const rest = await apps.ask(2, { path: `/api/answers/still?offset=${bytesOf(before)}` });
  const { text: after } = await apps.read(rest);
  assert.equal(lines(before + after).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
  world.resume(1);
  await world.advance(5_000);
  const old = await apps.read(asked);
  assert.equal(old.isBroken, true, old.text);
  assert.ok((before + after).startsWith(before + old.text));
});

Deno.test("a node that knows less of an answer than was read does not take it over", async () => {
  const apps = await Apps.start(2);
  await using world = apps.world;
  const headers = { ...key("use"), "idempotency-key": "more" };
  const asked = await apps.ask(1, { ...GENERATE, headers });
  const { text: before } = await apps.read(asked, 5);
  world.suspend(1, "runs");
  const [status] = await errorOf(
    apps,
    await apps.ask(2, { path: `/api/answers/more?offset=${bytesOf(before) + 5_000}` }),
  );
  assert.equal(status, 416);
  world.resume(1);
  const rest = await apps.read(asked);
  assert.equal(rest.isBroken, false);
  assert.equal(lines(before + rest.text).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
});

for (const store of [true, false]) {
  Deno.test(`a response (store: ${store}) is read on behind an event of its stream, at any node, whenever the one that was asked dies`, async () => {
    const apps = await Apps.start(3);
    await using world = apps.world;
    const body = { model: "m", input: "hi", stream: true, store };
    const asked = await apps.ask(1, { method: "POST", path: "/v1/responses", body });
    const { text: before } = await apps.read(asked, 12);
    const seen = events(before).at(-1).sequence_number;
    const { id } = events(before)[0].response;
    const path = `/v1/responses/${id}?stream=true`;
    for (const number of [1, 2, 3]) {
      const begun = await apps.ask(number, { path: `/v1/responses/${id}` });
      assert.equal(begun.status, store ? 200 : 404);
      if (!store) continue;
      const { text } = await apps.read(begun);
      assert.deepEqual([JSON.parse(text).id, JSON.parse(text).status], [id, "in_progress"]);
    }
    const other = await apps.ask(2, { path, headers: key("use+models") });
    assert.equal(other.status, 404, "another one asked for it");
    world.crash(1);
    const rest = await apps.ask(3, { path: `${path}&starting_after=${seen}` });
    assert.equal(rest.status, 200);
    const { text: after } = await apps.read(rest);
    assert.equal(responseText(before + after), SCRIPTED_ANSWER);
    const told = events(before + after);
    assert.deepEqual(told.map((it) => it.sequence_number), told.map((_, index) => index));
    assert.equal(told.at(-1).type, "response.completed");
    // As it was told the first time, for as long as it is kept.
    for (const number of [2, 3]) {
      assert.equal((await apps.read(await apps.ask(number, { path }))).text, before + after);
    }
  });
}

Deno.test("a response that is asked for twice under one key is computed once, and streamed after its node's death where it is stored", async () => {
  const apps = await Apps.start(2);
  await using world = apps.world;
  const headers = { ...key("use"), "idempotency-key": "once" };
  const asking = { method: "POST", path: "/v1/responses", body: { model: "m", input: "hi" } };
  const [first, second] = [
    await apps.ask(1, { ...asking, headers }),
    await apps.ask(2, { ...asking, headers }),
  ];
  const [whole, joined] = [await apps.read(first), await apps.read(second)];
  assert.equal(joined.text, whole.text, "it is computed once");
  const { id } = JSON.parse(whole.text);
  world.crash(1);
  const again = await apps.read(await apps.ask(2, { path: `/v1/responses/${id}?stream=true` }));
  assert.equal(responseText(again.text), SCRIPTED_ANSWER);
  const passing = { ...asking, body: { ...asking.body, store: false } };
  const { text } = await apps.read(await apps.ask(2, passing));
  const path = `/v1/responses/${JSON.parse(text).id}?stream=true`;
  assert.equal((await apps.ask(2, { path })).status, 404, "it was no stream");
});

/** With its request and its tokens it fills a journal but for some pieces of the answer. */
const FILLING_CHARS = Math.floor(JOURNAL_BYTES_MAX / 5) - 1_000;

Deno.test("an answer that outgrows its journal while it is told is told to its end, and said to be gone to whoever comes back for it", async () => {
  const apps = await Apps.start(3);
  await using world = apps.world;
  const headers = { ...key("use"), "idempotency-key": "long" };
  const body = { model: "m", prompt: "x".repeat(FILLING_CHARS) };
  const asking = { method: "POST", path: "/api/generate", body, headers };
  const asked = await apps.ask(1, asking);
  assert.equal(asked.headers.get("x-odist-resume"), "copies=2");
  const { text: before } = await apps.read(asked, 2);
  const path = "/api/answers/long";
  const known = await apps.ask(2, { path });
  assert.equal(known.status, 200, "so far it is kept");
  const { text: after, isBroken } = await apps.read(asked);
  assert.equal(isBroken, false);
  assert.equal(lines(before + after).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
  const everywhere = [1, 2, 3];
  for (const number of everywhere) {
    const [status, text] = await errorOf(apps, await apps.ask(number, { path }));
    assert.equal(status, 410, text);
    assert.match(text, /the answer is kept no longer: .* outgrew 8 MiB/);
  }
  // Another node knows it when the one that made it is gone.
  world.crash(1);
  assert.equal((await apps.ask(3, { path })).status, 410);
  const anew = await apps.ask(2, { ...asking, body: { model: "m", prompt: "hi" } });
  assert.equal(anew.status, 200, "its name is free");
});

Deno.test("the same request under the key of an answer that outgrew its journal is answered anew, beside the first one", async () => {
  const apps = await Apps.start(2);
  await using _ = apps.world;
  const headers = { ...key("use"), "idempotency-key": "long" };
  const body = { model: "m", prompt: "x".repeat(FILLING_CHARS) };
  const asking = { method: "POST", path: "/api/generate", body, headers };
  const first = await apps.ask(1, asking);
  const { text: before } = await apps.read(first, SCRIPTED_TOKENS / 2);
  assert.equal((await apps.ask(2, { path: "/api/answers/long" })).status, 410);
  const second = await apps.read(await apps.ask(1, asking));
  assert.equal(lines(second.text).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
  const { text: after, isBroken } = await apps.read(first);
  assert.equal(isBroken, false, "it lost its name, not its client");
  assert.equal(lines(before + after).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
});

Deno.test("an answer is not said to be nobody's while a node says nothing that may have it", async () => {
  const apps = await Apps.start(3);
  await using world = apps.world;
  const headers = { ...key("use"), "idempotency-key": "quiet" };
  const asked = await apps.ask(1, { ...GENERATE, headers });
  const { text: before } = await apps.read(asked, 5);
  const path = `/api/answers/quiet?offset=${bytesOf(before)}`;
  // The second one to have it is the next in the order of ids.
  const idOf = (number: number) => world.machine(number).nodeId;
  const ordered = [1, 2, 3].sort((a, b) => idOf(a) < idOf(b) ? -1 : 1);
  const at = ordered.indexOf(1);
  const [second = 0, other = 0] = [...ordered.slice(at + 1), ...ordered.slice(0, at)];
  const holders = [1, second];
  for (const number of holders) world.suspend(number, "runs");
  const [status, text] = await errorOf(apps, await apps.ask(other, { path }));
  assert.equal(status, 503, text);
  assert.match(text, /no node that answers has this answer, and 2 said nothing/);
  for (const number of holders) world.resume(number);
  const rest = await apps.read(await apps.ask(other, { path }));
  assert.equal(lines(before + rest.text).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
  for (const number of holders) world.crash(number);
  await world.advance(20_000);
  assert.equal((await apps.ask(other, { path })).status, 404, "they are known to be gone");
});

/** Of these nodes: how many wait for a slot, and how many have one. */
function standing({ world }: Apps, nodes = world.running): readonly [number, number] {
  const views = nodes.map((number) => world.node(number).driver.view());
  const sum = (counts: readonly number[]) => counts.reduce((all, one) => all + one, 0);
  return [sum(views.map((view) => view.waiting)), sum(views.map((view) => view.running))];
}

/** Answers on all slots of all nodes, which nobody reads: so they stay there. */
async function takeAllSlots(apps: Apps): Promise<readonly Response[]> {
  const taken: Response[] = [];
  for (const number of apps.world.running) {
    const others = apps.world.running.filter((other) => other !== number);
    for (const other of others) await apps.world.drain(other);
    taken.push(await apps.ask(number, GENERATE));
    for (const other of others) await apps.world.drain(other, false);
  }
  return taken;
}

Deno.test("a request that waits while its client goes from node to node waits once, and not at all once the client has left", async () => {
  const apps = await Apps.start(3);
  await using world = apps.world;
  await takeAllSlots(apps);
  const [, slots] = standing(apps);
  const clients = Array.from({ length: 3 }, () => new AbortController());
  const headers = { ...key("use"), "idempotency-key": "silent" };
  const path = "/api/answers/silent";
  for (const [index, gone] of clients.entries()) {
    const asking = index === 0 ? { ...GENERATE, headers } : { path };
    apps.ask(index + 1, asking, gone.signal).catch(() => {});
    await world.advance(1_500);
    assert.deepEqual(standing(apps), [1, slots], `asked at node ${index + 1}`);
    // It leaves what says nothing for the next one, which has it by then.
    if (index > 0) clients[index - 1]?.abort();
    await world.advance(200);
    assert.deepEqual(standing(apps), [1, slots], `left node ${index}`);
  }
  clients.at(-1)?.abort();
  await world.advance(200);
  assert.deepEqual(standing(apps), [0, slots]);
});

Deno.test("fifty clients that read on elsewhere read all of their answers, each byte once, when the node that they all asked dies", async () => {
  const apps = await Apps.start(3);
  await using world = apps.world;
  await world.drain(1);
  const asked = Array.from({ length: 50 }, async (_, index) => {
    const headers = { ...key("use"), "idempotency-key": `client ${index}`.replace(" ", "-") };
    return await apps.ask(1, { ...GENERATE, headers });
  });
  // Some have read something then, and most wait for a slot.
  const first = await Promise.any(asked);
  const before = (await apps.read(first, 5)).text;
  const reading = first.headers.get("x-odist-answer");
  world.crash(1);
  await Promise.all(asked.map((one) => one.catch(() => {})));
  const rests = asked.map(async (_, index) => {
    const id = `client-${index}`;
    const offset = id === reading ? bytesOf(before) : 0;
    const path = `/api/answers/${id}?offset=${offset}`;
    for (let number = 2;; number = 5 - number) {
      const rest = await apps.ask(number, { path });
      const { text, isBroken } = await apps.read(rest);
      if (rest.status === 503) continue;
      assert.deepEqual([rest.status, isBroken], [200, false], text);
      const all = offset === 0 ? text : before + text;
      assert.equal(lines(all).map(({ response }) => response).join(""), SCRIPTED_ANSWER);
      const again = await apps.read(await apps.ask(5 - number, { path: `/api/answers/${id}` }));
      assert.equal(again.text, all);
      return;
    }
  });
  assert.equal((await Promise.all(rests)).length, 50);
});
