import assert from "node:assert/strict";
import { appUnderTest, httpRequest, scopedAccess } from "../../tests/harness/http_app.ts";
import type { KeyLimits, RequestAccount } from "../ports/mod.ts";

const NEIGHBOUR = { kind: "machine", address: "192.168.1.77", isOwn: false } as const;

/** An app whose keys all have these limits, and what its client was asked on whose account. */
function scene(limits: Partial<KeyLimits> = {}) {
  const under = appUnderTest({ access: scopedAccess(["use"], limits) });
  const accounts: (RequestAccount | undefined)[] = [];
  const { client } = under;
  const chat = client.chat.bind(client);
  client.chat = (request, signal) => {
    const { onQueued: _, ...account } = request.account ?? {};
    accounts.push(account as RequestAccount);
    return chat(request, signal);
  };
  const send = async (
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly answer: Response; readonly body: string }> => {
    const messages = [{ role: "user", content: "hi" }];
    const body = { model: "tiny", messages, stream: false, max_tokens: 5 };
    const request = httpRequest("POST", path, body);
    for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
    const answer = await under.app.fetch(request, { sender: NEIGHBOUR });
    return { answer, body: await answer.text() };
  };
  return { ...under, accounts, send };
}

const KEY = { authorization: "Bearer use" };

Deno.test("a request goes on its key's account, else on its machine's, with the priority and deadline of its headers", async () => {
  const { accounts, send, parts } = scene();
  await send("/api/chat");
  await send("/api/chat", { ...KEY, "x-odist-priority": "low", "x-odist-deadline": "2.5" });
  await send("/api/chat", { "x-api-key": "use", "x-odist-deadline": "2001-01-01T00:00:00Z" });
  const nowMs = parts.clock.nowMs();
  assert.deepEqual(accounts[0], {
    ...{ tenant: "at 192.168.1.77", priority: "normal", deadlineAtMs: Infinity },
  });
  const { deadlineAtMs, ...keyed } = accounts[1] ?? { deadlineAtMs: 0 };
  assert.deepEqual(keyed, { tenant: "key k-use", priority: "low" });
  assert.ok(Math.abs(deadlineAtMs - nowMs - 2_500) < 2_000, `${deadlineAtMs - nowMs}`);
  assert.equal(accounts[2]?.deadlineAtMs, Date.UTC(2001, 0, 1));
});

Deno.test("headers that say no priority and no deadline are refused with what they may say", async () => {
  const { accounts, send } = scene();
  for (const priority of ["urgent", "", "1"]) {
    const { answer, body } = await send("/api/chat", { "x-odist-priority": priority });
    assert.equal(answer.status, 400);
    assert.match(body, /high, normal, low/);
  }
  for (const deadline of ["soon", "-1", "99999999", "1e3"]) {
    const { answer, body } = await send("/api/chat", { "x-odist-deadline": deadline });
    assert.equal(answer.status, 400, deadline);
    assert.match(body, /seconds from now/);
  }
  assert.deepEqual(accounts, []);
});

Deno.test("a key past its limit is told so before its request is read", async () => {
  const { app, accounts, send } = scene({ requestsPerMinute: 1 });
  await send("/api/chat", KEY);
  let isRead = false;
  const body = (async function* () {
    isRead = true;
    yield new Uint8Array(1_000);
  })();
  const request = httpRequest("POST", "/api/chat", {});
  request.headers.set("authorization", KEY.authorization);
  const answer = await app.fetch(request, { sender: NEIGHBOUR, body });
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get("x-ratelimit-remaining-requests"), "0");
  assert.ok(Number(answer.headers.get("retry-after")) > 0);
  assert.equal(accounts.length, 1);
  assert.equal(isRead, false);
});

for (const path of ["/api/chat", "/v1/chat/completions", "/v1/messages"]) {
  Deno.test(`${path} tells a key what it has left, and refuses it with 429 past that, alone`, async () => {
    const { send } = scene({ requestsPerMinute: 2, tokensPerDay: 1_000 });
    const first = (await send(path, KEY)).answer;
    assert.equal(first.status, 200);
    assert.equal(first.headers.get("x-ratelimit-limit-requests"), "2");
    assert.equal(first.headers.get("x-ratelimit-remaining-requests"), "1");
    assert.equal(first.headers.get("x-ratelimit-limit-tokens"), "1000");
    await send(path, KEY);
    const { answer, body } = await send(path, KEY);
    assert.equal(answer.status, 429);
    const retryAfter = Number(answer.headers.get("retry-after"));
    assert.ok(retryAfter >= 1 && retryAfter <= 30, `${retryAfter}`);
    assert.equal(answer.headers.get("x-ratelimit-remaining-requests"), "0");
    assert.match(body, /k-use.*2 requests a minute/);
    assert.equal((await send(path)).answer.status, 200);
  });
}

Deno.test("the tokens of prompts and answers count for a key's day", async () => {
  const { send } = scene({ tokensPerDay: 1 });
  assert.equal((await send("/api/chat", KEY)).answer.status, 200);
  const { answer, body } = await send("/api/chat", KEY);
  assert.equal(answer.status, 429);
  assert.match(body, /1 tokens a day/);
  assert.equal(answer.headers.get("x-ratelimit-remaining-tokens"), "0");
});

Deno.test("a key has so many requests at once, and a place again when one ends", async () => {
  const { send, client } = scene({ concurrentRequests: 1 });
  const chat = client.chat.bind(client);
  const held = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  client.chat = async (request, signal) => {
    begun.resolve();
    await held.promise;
    return await chat(request, signal);
  };
  const first = send("/api/chat", KEY);
  await begun.promise;
  assert.equal((await send("/api/chat", KEY)).answer.status, 429);
  held.resolve();
  assert.equal((await first).answer.status, 200);
  assert.equal((await send("/api/chat", KEY)).answer.status, 200);
});

Deno.test("an answer that waited tells where its request stood, what it was told and how long it took", async () => {
  const { send, client } = scene();
  const chat = client.chat.bind(client);
  const told = [{ position: 3, etaMs: 12_300 }, { position: 1, etaMs: undefined }];
  client.chat = async (request, signal) => {
    const [place] = told;
    assert.ok(place !== undefined);
    request.account?.onQueued?.({ told: place, place: () => told[0], waitedMs: () => 11_940 });
    told.shift();
    return await chat(request, signal);
  };
  const heads = [];
  for (let at = 0; at < 2; at++) {
    heads.push((await send("/api/chat")).answer.headers.get("x-odist-queue"));
  }
  assert.deepEqual(heads, ["position=3; eta=12.3; waited=11.9", "position=1; waited=11.9"]);
});
