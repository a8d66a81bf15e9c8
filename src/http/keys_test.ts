import assert from "node:assert/strict";
import { appUnderTest, httpRequest, scopedAccess } from "../../tests/harness/http_app.ts";
import { scriptedAdmin } from "../../tests/harness/scripted_admin.ts";
import { type Scope, SCOPES } from "../protocol/mod.ts";
import { apiFamilies } from "./families.ts";
import { type ApiFamily, Router } from "./routes.ts";
import { Resuming } from "./resuming/mod.ts";
import { RunningRequests } from "./running_requests.ts";
import type { Sender } from "./trust/mod.ts";

const OWN: Sender = { kind: "machine", address: "127.0.0.1", isOwn: true };
const NEIGHBOUR: Sender = { kind: "machine", address: "192.168.1.77", isOwn: false };
const STRANGER: Sender = { kind: "machine", address: "203.0.113.9", isOwn: false };

const AFAR: readonly Sender[] = [NEIGHBOUR, STRANGER];
const NEAR: readonly Sender[] = [OWN, NEIGHBOUR];

interface Asking {
  readonly sender?: Sender;
  /** What is open to private networks. */
  readonly open?: readonly Scope[];
  readonly headers?: Readonly<Record<string, string>>;
}

const { parts: PARTS } = appUnderTest({ admin: scriptedAdmin().admin });
/** `METHOD PATH` of every endpoint, with its scope. */
const ENDPOINTS = apiFamilies(PARTS, {
  admitting: () => true,
  running: new RunningRequests(),
})
  .flatMap(({ routes }) => routes)
  .map(({ method, path, scope }) => [`${method} ${path}`, scope] as const);

async function ask(line: string, options: Asking = {}): Promise<Response> {
  const [method = "GET", path = "/"] = line.replaceAll(/:[a-z]+/g, "x").split(" ");
  const { sender = OWN, open = [], headers = {} } = options;
  const { app } = appUnderTest({ access: scopedAccess(open), admin: scriptedAdmin().admin });
  // A key with the scope "admin" alone may make no key but its like.
  const body = method === "POST" || method === "PUT" ? { scopes: ["admin"] } : undefined;
  const request = httpRequest(method, path, body);
  for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
  const response = await app.fetch(request, { sender });
  const { status, headers: answered } = response;
  return new Response(await response.text() || null, { status, headers: answered });
}

const bearer = (...scopes: Scope[]) => ({ authorization: `Bearer ${scopes.join("+")}` });
const isRefused = ({ status }: Response) => status === 401 || status === 403;

for (const [line, scope] of ENDPOINTS) {
  Deno.test(`${line} wants ${scope}, over HTTP and over the port between nodes`, async () => {
    assert.ok(!isRefused(await ask(line)), "this machine's own clients may do everything");
    assert.equal((await ask(line, { sender: NEIGHBOUR })).status === 401, scope !== "open");
    const opened = await ask(line, { sender: NEIGHBOUR, open: ["use"] });
    assert.equal(opened.status === 401, scope !== "use" && scope !== "open", "--open use");
    assert.ok(!isRefused(await ask(line, { sender: NEIGHBOUR, open: SCOPES })), "--open all");
    assert.equal(
      (await ask(line, { sender: STRANGER, open: SCOPES })).status === 401,
      scope !== "open",
      "public addresses need a key whatever is open",
    );
    for (const held of SCOPES) {
      const mayDo = scope === "open" || scope === held;
      const headers = bearer(held);
      for (const afar of AFAR) {
        assert.equal(isRefused(await ask(line, { sender: afar, headers })), !mayDo, held);
      }
      const holder = { kind: "key_holder", address: "10.0.0.9", key: held } as const;
      const overPort = await ask(line, { sender: holder, open: SCOPES });
      assert.equal(overPort.status === 403, !mayDo, `${held} over the port between nodes`);
    }
  });
}

Deno.test("each endpoint has one row, and each row answers", async () => {
  const lines = ENDPOINTS.map(([line]) => line);
  assert.ok(lines.length > 40, `${lines.length} endpoints`);
  for (const line of lines) {
    const response = await ask(line);
    assert.doesNotMatch(
      await response.text(),
      /^(404 page not found|405 method not allowed)$/,
      line,
    );
  }
  const { parts } = appUnderTest();
  const failureAnswer = () => new Response();
  const route = { method: "GET", path: "/api/twice", scope: "use", handle: failureAnswer } as const;
  const family: ApiFamily = { name: "none", routes: [route, route], failureAnswer };
  const options = {
    admitting: () => true,
    running: new RunningRequests(),
    resuming: new Resuming(parts),
    failureAnswer,
  };
  assert.throws(() => new Router(parts, [family], options), { name: "InvariantError" });
});

Deno.test("whoever may only look at the cluster changes and opens nothing in it", () => {
  const looks = ["status", "members", "connections", "explain/:id", "feed", "webtransport"]
    // What anybody can have from where the package comes from.
    .concat("requests", "transfers", "placement", "backends/:package/:file");
  for (const [line, scope] of ENDPOINTS) {
    const [, path] = line.split(" /api/cluster/");
    if (path === undefined) continue;
    const isLook = line.startsWith("GET ") && looks.includes(path);
    const wanted = path.startsWith("tokens") ? "join" : isLook ? "use" : "admin";
    assert.equal(scope, wanted, line);
  }
  const open = ENDPOINTS.filter(([, scope]) => scope === "open").map(([line]) => line);
  assert.deepEqual(open, ["GET /health", "GET /ready"]);
  const models = ENDPOINTS.filter(([, scope]) => scope === "models").map(([line]) => line);
  assert.deepEqual(models.toSorted(), [
    "DELETE /api/delete",
    "HEAD /api/blobs/:digest",
    "POST /api/blobs/:digest",
    "POST /api/copy",
    "POST /api/create",
    "POST /api/pull",
    "POST /api/push",
  ]);
});

Deno.test("docs/CLUSTER.md describes each endpoint of the cluster, and no other", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/CLUSTER.md", import.meta.url));
  const described = page.matchAll(/`(GET|POST|PUT|DELETE) (\/api\/cluster\/[\w/]+)(?:\?[^`]*)?`/g);
  const shape = (line: string) => line.replaceAll(/\/(?::\w+|[A-Z]+)(?=\/|$)/g, "/*");
  const lines = [...described].map(([, method, path]) => shape(`${method} ${path}`));
  const mounted = ENDPOINTS.map(([line]) => line).filter((line) => line.includes("/api/cluster/"));
  assert.deepEqual([...new Set(lines)].sort(), mounted.map(shape).sort());
});

Deno.test("a refusal says how to get a key, in the words of each API family", async () => {
  const sender = NEIGHBOUR;
  const refused = await ask("DELETE /api/delete", { sender, open: ["use"] });
  assert.equal(refused.headers.get("www-authenticate"), "Bearer");
  assert.match((await refused.json()).error, /odist key create --scope models.*Bearer KEY/);
  const headers = { authorization: "Bearer wrong" };
  const native = await (await ask("GET /api/tags", { sender, headers })).json();
  assert.deepEqual(native, { error: 'unauthorized: "wrong" was revoked' });
  const openAi = await (await ask("GET /v1/models", { sender, headers })).json();
  assert.equal(openAi.error.message, 'unauthorized: "wrong" was revoked');
  const narrow = await ask("POST /api/pull", { sender, headers: bearer("use", "join") });
  assert.equal(narrow.status, 403);
  assert.match((await narrow.json()).error, /needs the scope "models".* has use, join/);
});

Deno.test("a key that nobody wants to see is no fault: clients of OpenAI's must send some", async () => {
  for (const authorization of ["Bearer ollama", "Basic eDp5"]) {
    const headers = { authorization };
    assert.equal((await ask("GET /v1/models", { headers })).status, 200);
    const asking: Asking = { sender: NEIGHBOUR, open: ["use"], headers };
    assert.equal((await ask("GET /v1/models", asking)).status, 200);
  }
  const spaced = { authorization: "bearer  use" };
  assert.equal((await ask("GET /v1/models", { sender: STRANGER, headers: spaced })).status, 200);
});

Deno.test("a page of an allowed origin may use and change models, and rules no cluster without a key", async () => {
  for (const origin of ["http://localhost:3000", "file://", "vscode-webview://x"]) {
    for (const [line, scope] of ENDPOINTS) {
      const isRuling = scope === "admin" || scope === "join";
      const asking = { headers: { origin }, open: SCOPES };
      assert.equal((await ask(line, asking)).status === 401, isRuling, `${line} from ${origin}`);
      const near: Asking = { ...asking, sender: NEIGHBOUR };
      assert.equal((await ask(line, near)).status === 401, isRuling, `${line}, --open all`);
      const withKey = { headers: { origin, ...bearer("admin", "join") } };
      assert.ok(!isRuling || !isRefused(await ask(line, withKey)), `${line} with a key`);
    }
  }
  const same = { headers: { origin: "http://localhost:11434", host: "localhost:11434" } };
  assert.equal((await ask("GET /api/cluster/keys", same)).status, 200, "its own pages");
});

Deno.test("strangers are not told which paths there are", async () => {
  for (const line of ["GET /none", "GET /api/tags/", "PUT /api/tags", "POST /api/chat/"]) {
    assert.equal((await ask(line, { sender: NEIGHBOUR })).status, 401, line);
    assert.equal((await ask(line, { sender: STRANGER })).status, 401, line);
  }
  assert.equal((await ask("GET /api/tags/")).status, 301);
  assert.equal((await ask("GET /api/tags/", { sender: NEIGHBOUR, open: ["use"] })).status, 301);
  assert.equal((await ask("GET /none", { sender: STRANGER, headers: bearer("use") })).status, 404);
});

Deno.test("a proxy, a tunnel or a port of a container on this machine gives its clients no rights", async () => {
  for (
    const headers of [
      { "x-forwarded-for": "203.0.113.9" },
      { forwarded: "for=203.0.113.9" },
      { "x-real-ip": "10.0.0.7" },
      { "cf-connecting-ip": "203.0.113.9" },
      { via: "1.1 proxy" },
      // A port of a container or an SSH tunnel says nothing, but is asked under the address of the machine around it.
      { host: "192.168.1.99:11434" },
      { host: "host.docker.internal:11434" },
    ]
  ) {
    for (const line of ["GET /api/cluster/keys", "POST /api/cluster/tokens", "POST /api/pull"]) {
      const response = await ask(line, { headers, open: ["use"] });
      assert.equal(response.status, 401, `${line} ${JSON.stringify(headers)}`);
    }
    const isPublic = !("x-real-ip" in headers || "host" in headers);
    const used = await ask("GET /api/tags", { headers, open: ["use"] });
    assert.equal(used.status, isPublic ? 401 : 200, JSON.stringify(headers));
  }
});

Deno.test("a rebound page gets nothing on any address, whether or not there are keys", async () => {
  const host = "evil.example:11434";
  for (const headers of [{ host }, { host, origin: `http://${host}` }]) {
    for (const near of NEAR) {
      const { app } = appUnderTest({
        access: scopedAccess(["use"]),
        admin: scriptedAdmin().admin,
        config: { bindAddress: "0.0.0.0" },
      });
      const request = httpRequest("POST", "/api/cluster/tokens", {});
      for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
      assert.equal((await app.fetch(request, { sender: near })).status, 403);
    }
  }
});

Deno.test("a container of a private network can chat where others can reach the API, under its service's name", async () => {
  const { app } = appUnderTest({
    access: scopedAccess(["use"]),
    config: { bindAddress: "0.0.0.0" },
  });
  const sender: Sender = { kind: "machine", address: "172.18.0.3", isOwn: false };
  for (const host of ["ollama:11434", "192.168.1.10:11434", "host.docker.internal:11434"]) {
    const body = { model: "m", messages: [{ role: "user", content: "hi" }], stream: false };
    const request = httpRequest("POST", "/api/chat", body);
    request.headers.set("host", host);
    assert.equal((await app.fetch(request, { sender })).status, 200, host);
  }
});

Deno.test("a key makes no key that may do more than itself", async () => {
  const headers = bearer("admin", "use");
  const asking = { sender: NEIGHBOUR, headers };
  const { app } = appUnderTest({ access: scopedAccess([]), admin: scriptedAdmin().admin });
  const make = async (scopes: readonly string[], sender: Sender) => {
    const request = httpRequest("POST", "/api/cluster/keys", { scopes });
    request.headers.set("authorization", asking.headers.authorization);
    return (await app.fetch(request, { sender })).status;
  };
  assert.equal(await make(["use"], NEIGHBOUR), 201);
  assert.equal(await make(["admin", "join"], NEIGHBOUR), 403);
  assert.equal(await make(["admin", "join"], OWN), 201);
  assert.equal(await make(["root"], OWN), 400);
  assert.equal(await make([], OWN), 400);
});

Deno.test("a change is told as made by the key, or by this machine, and from where", async () => {
  const made: string[] = [];
  const { app } = appUnderTest({
    access: scopedAccess(["use"]),
    admin: scriptedAdmin().admin,
    attribute: ({ who, from }, act) => {
      made.push(`${who}, ${from}`);
      return act();
    },
  });
  const change = (sender: Sender, headers: Record<string, string> = {}) => {
    const request = httpRequest("DELETE", "/api/cluster/settings/a.b");
    for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
    return app.fetch(request, { sender });
  };
  await change(OWN);
  await change(NEIGHBOUR, bearer("admin"));
  await change(OWN, { ...bearer("admin"), "x-forwarded-for": "203.0.113.9" });
  await change({ kind: "key_holder", address: "10.0.0.9", key: "admin" });
  const copy = httpRequest("POST", "/api/copy", { source: "a", destination: "b" });
  copy.headers.set("origin", "http://localhost:3000");
  await app.fetch(copy, { sender: OWN });
  assert.deepEqual(made, [
    "this machine, 127.0.0.1",
    "key k-admin laptop, 192.168.1.77",
    "key k-admin laptop, 203.0.113.9 through 127.0.0.1",
    "key k-admin laptop, 10.0.0.9",
    "a page, this machine, 127.0.0.1",
  ]);
});
