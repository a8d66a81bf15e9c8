import assert from "node:assert/strict";
import { appUnderTest, httpRequest, scopedAccess } from "../../../tests/harness/http_app.ts";
import { linkedWork } from "../../../tests/harness/kept_responses.ts";
import { ROUTE, scriptedAdmin } from "../../../tests/harness/scripted_admin.ts";
import { SCRIPTED_METRICS } from "../../../tests/harness/scripted_client.ts";
import type { QueuePlace, RouteExplanation, ServedLease } from "../../ports/mod.ts";
import type { HttpApp } from "../app.ts";

const CHAT = { model: "tiny", messages: [{ role: "user", content: "hi" }] };

interface Row {
  readonly id: string;
  readonly state: string;
  readonly entry: string;
  readonly node?: string;
  readonly tokens?: number;
  readonly [other: string]: unknown;
}

async function rowsOf(app: HttpApp, key?: string): Promise<readonly Row[]> {
  const request = httpRequest("GET", "/api/cluster/requests");
  if (key !== undefined) request.headers.set("authorization", `Bearer ${key}`);
  const sender = { kind: "machine", address: "192.168.1.20", isOwn: key === undefined } as const;
  const response = await app.fetch(request, { sender });
  const { requests } = await response.json();
  return requests;
}

async function chat(app: HttpApp, id: string, key?: string): Promise<Response> {
  const request = httpRequest("POST", "/api/chat", CHAT);
  request.headers.set("x-request-id", id);
  if (key !== undefined) request.headers.set("authorization", `Bearer ${key}`);
  const sender = { kind: "machine", address: "192.168.1.20", isOwn: key === undefined } as const;
  return await app.fetch(request, { sender });
}

Deno.test("a request is told while it runs and after, with the node that computes it", async () => {
  const begun = Promise.withResolvers<void>();
  const { app } = appUnderTest({
    admin: scriptedAdmin().admin,
    script: {
      chat: async () => ({
        kind: "stream",
        chunks: (async function* () {
          yield { kind: "text", content: "Hel" } as const;
          await begun.promise;
          yield {
            kind: "done",
            doneReason: "stop",
            metrics: SCRIPTED_METRICS,
            context: [],
          } as const;
        })(),
      }),
    },
  });
  const response = await chat(app, "mine");
  const [running] = await rowsOf(app);
  assert.deepEqual(
    [running?.id, running?.state, running?.entry, running?.node, running?.tokens],
    ["mine", "running", "ada", "b", undefined],
  );
  begun.resolve();
  await response.text();
  const [over] = await rowsOf(app);
  assert.deepEqual([over?.state, over?.status, over?.tokens], ["answered", 200, 3]);
});

Deno.test("an answer that lost its node has none until another one goes on with it", async () => {
  const route = (name: string, outcome: string) =>
    ({ ...ROUTE, chosen: { ...ROUTE.chosen, name }, outcome }) as RouteExplanation;
  const routes = [route("b", "granted")];
  const { app } = appUnderTest({
    admin: scriptedAdmin({ explain: () => routes }).admin,
    script: {
      chat: async () => ({
        kind: "stream",
        chunks: (async function* () {
          yield { kind: "text", content: "Hel" } as const;
          await new Promise(() => {});
        })(),
      }),
    },
  });
  const response = await chat(app, "mine");
  const told = async () => (await rowsOf(app)).map(({ node, moves }) => [node, moves]);
  assert.deepEqual(await told(), [["b", 0]]);
  routes.push(route("c", "pending"));
  assert.deepEqual(await told(), [[undefined, 1]]);
  routes[1] = route("c", "granted");
  assert.deepEqual(await told(), [["c", 1]]);
  await response.body?.cancel();
});

Deno.test("an answer whose client left is canceled, and one that broke off has failed", async () => {
  const { app } = appUnderTest({
    script: {
      chat: async ({ label }, signal) => ({
        kind: "stream",
        chunks: (async function* () {
          yield { kind: "text", content: "Hel" } as const;
          if (label === "broken") throw new Error("the runner is gone");
          await new Promise((_, reject) => signal.addEventListener("abort", reject));
        })(),
      }),
    },
  });
  await (await chat(app, "broken")).text();
  await (await chat(app, "left")).body?.cancel();
  const states = (await rowsOf(app)).map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(states.sort(), ["broken failed", "left canceled"]);
});

Deno.test("who asks is told of its own requests on all nodes, and only an administrator of everyone's", async () => {
  const [here, there] = linkedWork();
  const access = scopedAccess([]);
  const apps = [here, there].map((elsewhere) => appUnderTest({ access, elsewhere }).app);
  const [one, other] = apps;
  if (one === undefined || other === undefined) throw new Error("two apps");
  await (await chat(one, "first", "use")).text();
  await (await chat(other, "second", "use")).text();
  await (await chat(other, "third", "use+models")).text();
  const told = async (key: string) => (await rowsOf(one, key)).map(({ id }) => id).sort();
  assert.deepEqual(await told("use"), ["first", "second"]);
  assert.deepEqual(await told("use+models"), ["third"]);
  assert.deepEqual(await told("use+admin"), ["first", "second", "third"]);
});

Deno.test("many pages that look at once have the other nodes asked once", async () => {
  const [here] = linkedWork();
  let asked = 0;
  const elsewhere = Object.assign(here, {
    listRequests: () => {
      asked++;
      return Promise.resolve([]);
    },
  });
  const { app } = appUnderTest({ elsewhere });
  await Promise.all(Array.from({ length: 5 }, () => rowsOf(app)));
  assert.equal(asked, 1);
});

Deno.test("a request that waits is told with where it stands, until it waits no more", async () => {
  const { app, client } = appUnderTest({ admin: scriptedAdmin().admin });
  const answer = client.chat.bind(client);
  const seen: unknown[] = [];
  client.chat = async (request, signal) => {
    let place: QueuePlace | undefined = { position: 3, etaMs: 12_300 };
    request.account?.onQueued?.({ told: place, place: () => place, waitedMs: () => 0 });
    seen.push((await rowsOf(app))[0]?.["queued"]);
    place = undefined;
    seen.push((await rowsOf(app))[0]?.["queued"]);
    return await answer(request, signal);
  };
  await (await chat(app, "r1")).text();
  assert.deepEqual(seen, [{ position: 3, eta_ms: 12_300 }, undefined]);
});

Deno.test("the logs of all nodes are told in order of time, and a request's way by its id alone", async () => {
  const [here, there] = linkedWork();
  const linesOf = (...lines: readonly object[]) =>
    async function* () {
      yield* lines as Record<string, unknown>[];
    };
  const line = (time: number, event: string, more: object = {}) => ({
    time: new Date(time).toISOString(),
    event,
    ...more,
  });
  const served = { id: "mine", atMs: 2_500, askedBy: "a", model: "tiny", standing: "fresh" };
  appUnderTest({
    elsewhere: there,
    admin: scriptedAdmin({
      logs: linesOf(line(2_000, "second", { requestId: "mine" }), line(4_000, "fourth")),
      explain: () => [],
      served: (id) => id === "mine" ? [served as ServedLease] : [],
    }).admin,
  });
  const { app } = appUnderTest({
    elsewhere: here,
    admin: scriptedAdmin({
      logs: linesOf(line(1_000, "first"), line(3_000, "third", { traceId: "mine" })),
      explain: () => [],
    }).admin,
  });
  const events = async (path: string) => {
    const { lines } = await (await app.fetch(httpRequest("GET", path))).json();
    return lines.map(({ event }: { readonly event: string }) => event);
  };
  assert.deepEqual(await events("/api/cluster/logs/all"), ["first", "second", "third", "fourth"]);
  assert.deepEqual(await events("/api/cluster/logs/all?lines=2"), ["third", "fourth"]);
  assert.deepEqual(await events("/api/cluster/trace/mine"), ["second", "slot_asked", "third"]);
  assert.deepEqual(await events("/api/cluster/trace/other"), []);
  const refused = await app.fetch(httpRequest("GET", "/api/cluster/logs/all?lines=2001"));
  assert.equal(refused.status, 400);
});
