import assert from "node:assert/strict";
import { RequestError, UnavailableError } from "../base/mod.ts";
import type { ClusterAdmin } from "../ports/mod.ts";
import { appUnderTest } from "../../tests/harness/http_app.ts";
import { A, B, EXPIRES_MS, scriptedAdmin } from "../../tests/harness/scripted_admin.ts";
import { parseLines } from "../../tests/harness/json_lines.ts";

const MEMBERS_ON_WIRE = [
  {
    node_id: A,
    name: "a",
    address: "10.0.0.1:11435",
    api: "http://10.0.0.1:11434",
    health: "alive",
    role: "leader",
    drained: false,
    yields: false,
    version: "1.2.3",
    cores: 8,
    disk_free_bytes: 512_000,
    match_index: 17,
    devices: [{
      name: "Vulkan0",
      description: "Some GPU",
      kind: "gpu",
      total_bytes: 2 ** 31,
      free_bytes: 2 ** 30,
      driver: "radv",
    }],
    load: {
      running_requests: 1,
      waiting_requests: 2,
      slots: 4,
      tokens_per_second: 12.5,
      available_bytes: 5_000,
      loaded_models: ["tiny:latest"],
      split_models: [{
        name: "tiny:latest",
        shards: [{ node: "b", first_layer: 0, layer_count: 6, memory_bytes: 7 }],
      }],
    },
  },
  {
    node_id: B,
    name: "b",
    address: "",
    health: "pending",
    role: "none",
    drained: true,
    yields: true,
    version: "",
    devices: [],
  },
];

function scripted(script: Partial<ClusterAdmin> = {}) {
  const { admin, asked } = scriptedAdmin(script);
  return { ...appUnderTest({ admin }), asked };
}

Deno.test("GET /api/cluster/status tells everything a node knows of its cluster", async () => {
  const { send } = scripted();
  assert.deepEqual(await (await send("GET", "/api/cluster/status")).json(), {
    cluster_id: "00000000000000cc",
    node_id: A,
    name: "a",
    version: "1.2.3",
    health: "degraded",
    answers: true,
    changes: {
      possible: false,
      reason: "1 of 2 voters is down",
      since: "2026-01-01T00:00:00.000Z",
    },
    leader: A,
    term: 3,
    committed_index: 17,
    applied_index: 16,
    state_hash: "ab".repeat(32),
    members: MEMBERS_ON_WIRE,
    warnings: ["mind the gap"],
  });
  const { members } = await (await send("GET", "/api/cluster/members")).json();
  assert.deepEqual(members, MEMBERS_ON_WIRE);
  const { connections } = await (await send("GET", "/api/cluster/connections")).json();
  assert.deepEqual(connections, [{
    node_id: B,
    remote_address: "10.0.0.2:5",
    direction: "dialed",
    wire: 1,
    open_streams: 1,
    queued_frames: 2,
    round_trip_ms: 1.5,
  }]);
});

Deno.test("POST /api/cluster/tokens makes a token for an hour and one use unless told otherwise", async () => {
  const { send, asked } = scripted();
  const made = await send("POST", "/api/cluster/tokens");
  assert.equal(made.status, 201);
  assert.deepEqual(await made.json(), {
    token: "secret",
    token_id: "t1",
    expires_at: "2026-01-01T00:00:00.000Z",
    uses_left: 1,
  });
  await send("POST", "/api/cluster/tokens", { ttl: "90m", uses: 5 });
  await send("POST", "/api/cluster/tokens", { ttl: 60 });
  assert.deepEqual(asked, [
    'token {"lifetimeMs":3600000,"uses":1}',
    'token {"lifetimeMs":5400000,"uses":5}',
    'token {"lifetimeMs":60000,"uses":1}',
  ]);
});

Deno.test("POST /api/cluster/tokens refuses spans and counts out of range", async () => {
  const { send, asked } = scripted();
  const wrong = [
    ...["500ms", "9000h", "soon", "-1h", 0, true].map((ttl) => ({ ttl })),
    ...[0, 1_001, 1.5].map((uses) => ({ uses })),
  ];
  for (const wish of wrong) {
    const answer = await send("POST", "/api/cluster/tokens", wish);
    assert.equal(answer.status, 400, JSON.stringify(wish));
    assert.match((await answer.json()).error, /ttl|uses/);
  }
  assert.deepEqual(asked, []);
});

Deno.test("GET /api/cluster/tokens never shows a secret", async () => {
  const { send } = scripted();
  const text = await (await send("GET", "/api/cluster/tokens")).text();
  assert.deepEqual(JSON.parse(text), {
    tokens: [{ token_id: "t1", expires_at: "2026-01-01T00:00:00.000Z", uses_left: 1 }],
  });
});

Deno.test("POST /api/cluster/keys makes a key for ever unless told otherwise, and lists never show it", async () => {
  const { send, asked } = scripted();
  const made = await send("POST", "/api/cluster/keys", { label: "laptop" });
  assert.equal(made.status, 201);
  assert.deepEqual(await made.json(), {
    key: "secret",
    key_id: "k1",
    label: "laptop",
    created_at: "1970-01-01T00:00:00.000Z",
    expires_at: null,
    scopes: ["use"],
    last_used_at: null,
    limits: { weight: 1, requests_per_minute: 0, tokens_per_day: 0, concurrent_requests: 0 },
  });
  await send("POST", "/api/cluster/keys", { ttl: "720h", scopes: "use, models" });
  await send("POST", "/api/cluster/keys");
  await send("POST", "/api/cluster/keys", " ");
  assert.deepEqual(asked, [
    'key {"label":"laptop","lifetimeMs":0,"scopes":["use"]}',
    'key {"label":"","lifetimeMs":2592000000,"scopes":["use","models"]}',
    'key {"label":"","lifetimeMs":0,"scopes":["use"]}',
    'key {"label":"","lifetimeMs":0,"scopes":["use"]}',
  ]);
  for (const wrong of [{ ttl: "500ms" }, { ttl: "90000h" }, { ttl: -1 }, { label: 7 }]) {
    const answer = await send("POST", "/api/cluster/keys", wrong);
    assert.equal(answer.status, 400, JSON.stringify(wrong));
  }
  const { keys } = await (await send("GET", "/api/cluster/keys")).json();
  assert.deepEqual(keys, [{
    key_id: "k1",
    label: "laptop",
    created_at: "1970-01-01T00:00:00.000Z",
    expires_at: "2026-01-01T00:00:00.000Z",
    scopes: ["use", "models"],
    last_used_at: "2026-01-01T00:00:00.000Z",
    limits: { weight: 1, requests_per_minute: 0, tokens_per_day: 0, concurrent_requests: 0 },
  }]);
});

Deno.test("PUT /api/cluster/keys/ID/limits limits a key, and GET /api/cluster/queue tells whose requests wait", async () => {
  const { send, asked } = scripted();
  const limits = { weight: 3, tokens_per_day: 1_000 };
  const answer = await send("PUT", "/api/cluster/keys/k1/limits", limits);
  assert.deepEqual(await answer.json(), {
    ...{ weight: 3, requests_per_minute: 0, tokens_per_day: 1_000, concurrent_requests: 0 },
  });
  assert.deepEqual(asked, [
    `limit_key {"keyId":"k1","limits":{"weight":3,"tokensPerDay":1000}}`,
  ]);
  const { queue } = await (await send("GET", "/api/cluster/queue")).json();
  assert.deepEqual(queue, [{ tenant: "key k1", weight: 2, waiting: 3, running: 1 }]);
});

Deno.test("GET /api/cluster/audit lists who changed what, at most as many as are wished for", async () => {
  const { send, asked } = scripted();
  const answer = await send("GET", "/api/cluster/audit?limit=5");
  assert.deepEqual(await answer.json(), {
    changes: [{
      index: 7,
      at: "1970-01-01T00:00:00.000Z",
      who: "key k1",
      from: "10.0.0.1",
      action: "put_setting",
      subject: "k",
    }],
  });
  await send("GET", "/api/cluster/audit");
  assert.deepEqual(asked, ["audit 5", "audit 100"]);
  for (const limit of ["-1", "x", "10001"]) {
    assert.equal((await send("GET", `/api/cluster/audit?limit=${limit}`)).status, 400, limit);
  }
});

Deno.test("GET /api/cluster/feed streams statuses, and /webtransport tells browsers where to ask for it", async () => {
  const { send } = scripted();
  const lines = parseLines(await (await send("GET", "/api/cluster/feed")).text());
  assert.deepEqual(lines, [await (await send("GET", "/api/cluster/status")).json()]);
  assert.deepEqual(await (await send("GET", "/api/cluster/webtransport")).json(), {
    port: 11435,
    path: "/odist/1",
    certificate_hash: "ab",
  });
});

Deno.test("changes of members, tokens and settings reach the cluster as named", async () => {
  const { send, asked } = scripted();
  const calls: readonly (readonly [string, string, unknown?])[] = [
    ["POST", "members/b/drain"],
    ["POST", "members/b/undrain"],
    ["POST", "members/b/pin", { model: "tiny" }],
    ["POST", "members/b/unpin", { model: "tiny" }],
    ["POST", "members/b%2Ec/revoke"],
    ["DELETE", "members/b"],
    ["POST", "leave"],
    ["POST", "leave", { force: true }],
    ["DELETE", "tokens/t1"],
    ["DELETE", "keys/k1"],
    ["PUT", "settings/k", { value: "v" }],
    ["DELETE", "settings/k"],
  ];
  for (const [method, path, body] of calls) {
    const answer = await send(method, `/api/cluster/${path}`, body);
    assert.equal(answer.status, 200, path);
    assert.equal(await answer.text(), "{}");
  }
  assert.deepEqual(asked, [
    'drain "b"',
    'undrain "b"',
    'pin {"node":"b","model":"tiny"}',
    'unpin {"node":"b","model":"tiny"}',
    'revoke "b.c"',
    'remove "b"',
    'leave {"force":false}',
    'leave {"force":true}',
    'revoke_token "t1"',
    'revoke_key "k1"',
    'put {"key":"k","value":"v"}',
    'delete "k"',
  ]);
  assert.equal((await send("PUT", "/api/cluster/settings/k", {})).status, 400);
  assert.equal((await send("PUT", "/api/cluster/tokens/t1")).status, 405);
});

Deno.test("a recovery says what it would do, does it when it is told to, and refuses with the reason", async () => {
  const { send, asked } = scripted();
  const plan = {
    possible: true,
    last_index: 17,
    committed_index: 16,
    models: 3,
    left_behind: [{ node_id: B, name: "b", alive: true, votes: false }],
  };
  assert.deepEqual(await (await send("GET", "/api/cluster/recovery")).json(), plan);
  assert.deepEqual(asked, []);
  assert.deepEqual(await (await send("POST", "/api/cluster/recover")).json(), plan);
  assert.deepEqual(asked, ["recover"]);
  const refusing = scripted({
    recover: () => Promise.reject(new RequestError("conflict", "cannot recover: it is alive")),
  });
  const refused = await refusing.send("POST", "/api/cluster/recover");
  assert.equal(refused.status, 409);
  assert.deepEqual(await refused.json(), { error: "cannot recover: it is alive" });
});

Deno.test("the cluster's refusals keep their status and their words", async () => {
  const { send } = scripted({
    drain: () => Promise.reject(new RequestError("member_not_found", 'no member is called "x"')),
    removeMember: () => Promise.reject(new RequestError("conflict", "it is the last voter")),
    listTokens: () => Promise.reject(new UnavailableError("no_quorum", "no quorum answers")),
  });
  const said = async (method: string, path: string) => {
    const answer = await send(method, `/api/cluster/${path}`);
    return [answer.status, (await answer.json()).error];
  };
  assert.deepEqual(await said("POST", "members/x/drain"), [404, 'no member is called "x"']);
  assert.deepEqual(await said("DELETE", "members/x"), [409, "it is the last voter"]);
  assert.deepEqual(await said("GET", "tokens"), [503, "no quorum answers"]);
});

Deno.test("GET /api/cluster/snapshot sends the bytes of the file", async () => {
  const { send } = scripted();
  const answer = await send("GET", "/api/cluster/snapshot");
  assert.equal(answer.headers.get("content-type"), "application/octet-stream");
  assert.deepEqual(await answer.bytes(), Uint8Array.of(1, 2, 3));
});

Deno.test("GET /api/cluster/incident sends what nodes recorded in so many seconds", async () => {
  const { send } = scripted();
  const answer = await send("GET", "/api/cluster/incident");
  assert.deepEqual([...await answer.bytes()], [600 % 256, 0]);
  const asked = await send("GET", "/api/cluster/incident?seconds=9&texts=true");
  assert.deepEqual([...await asked.bytes()], [9, 1]);
  assert.equal((await send("GET", "/api/cluster/incident?seconds=-1")).status, 400);
});

Deno.test("GET /api/cluster/logs streams lines and refuses absurd counts", async () => {
  const { send } = scripted();
  const lines = async (query: string) =>
    parseLines(await (await send("GET", `/api/cluster/logs${query}`)).text());
  assert.deepEqual(await lines(""), [{ event: "node_started", lines: 100, follow: false }]);
  assert.deepEqual(await lines("?lines=5&follow=true"), [
    { event: "node_started", lines: 5, follow: true },
  ]);
  assert.equal((await send("GET", "/api/cluster/logs?lines=-1")).status, 400);
  assert.equal((await send("GET", "/api/cluster/logs?lines=1000000")).status, 400);
});

Deno.test("a node without a cluster has no /api/cluster, and a foreign web page gets nothing of one", async () => {
  assert.equal((await appUnderTest().send("GET", "/api/cluster/status")).status, 404);
  const { app } = scripted();
  const ask = (headers: Record<string, string>) =>
    app.fetch(new Request("http://localhost/api/cluster/tokens", { method: "POST", headers }));
  assert.equal((await ask({ host: "localhost", origin: "https://evil.example" })).status, 403);
  assert.equal((await ask({ host: "evil.example" })).status, 403);
});

Deno.test("GET /api/cluster/explain/ID tells why a request went where it went", async () => {
  const { send } = scripted();
  const explained = async (id: string) =>
    await (await send("GET", `/api/cluster/explain/${id}`)).json();
  const { routes } = await explained("mine");
  assert.deepEqual(routes, [{
    at: new Date(EXPIRES_MS).toISOString(),
    model: "tiny",
    prompt_tokens: 12,
    standing: "resumed",
    outcome: "granted",
    chosen: {
      node_id: B,
      name: "b",
      rank: "sound",
      expected_ms: 63,
      wake_ms: 0,
      hop_ms: 3,
      queue_ms: 0,
      load_ms: 0,
      move_ms: 0,
      prefill_ms: 60,
      answer_ms: 9_000,
    },
    runners_up: [],
    exact: true,
    excluded: [{ node_id: A, name: "a", reason: "down" }],
    wake: { position: 2, took_ms: 12_345 },
    prompt_cache: {
      prompt_tokens: 12,
      matched_tokens: 9,
      reused_tokens: 8,
      source: "disk",
      end: "differs",
    },
    drafts: { drafted: 14, accepted: 11 },
  }]);
  assert.deepEqual(await explained("other"), { routes: [] });
});

Deno.test("An answer whose machine had to wake says so, how long that took and who was before", async () => {
  const { admin } = scriptedAdmin();
  const { app } = appUnderTest({
    admin,
    script: { generate: async () => ({ kind: "load", servedBy: "b" }) },
  });
  const ask = async (id: string) => {
    const response = await app.fetch(
      new Request("http://127.0.0.1/api/generate", {
        method: "POST",
        headers: { "x-request-id": id },
        body: JSON.stringify({ model: "tiny", prompt: "" }),
      }),
    );
    await response.text();
    return response.headers.get("x-odist-wake");
  };
  assert.equal(await ask("mine"), "b; took=12.3; position=2");
  assert.equal(await ask("other"), null);
});

Deno.test("GET /api/cluster/backends gives the files that a node has, and says which it hasn't", async () => {
  const { send } = scripted();
  assert.equal(await (await send("GET", "/api/cluster/backends/p/a.so")).text(), "library");
  for (const path of ["p/b.so", "q/a.so", "p/..%2F..%2Fsecret"]) {
    const answer = await send("GET", `/api/cluster/backends/${path}`);
    assert.equal(answer.status, 404, path);
    await answer.body?.cancel();
  }
});
