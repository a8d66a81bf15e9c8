import assert from "node:assert/strict";
import { appUnderTest, OWN_ADDRESS } from "../../../tests/harness/http_app.ts";
import type { HttpSettings } from "../settings.ts";

async function ask(
  headers: Record<string, string>,
  options: { config?: Partial<HttpSettings>; method?: string; path?: string } = {},
): Promise<Response> {
  const { app } = appUnderTest(options.config === undefined ? {} : { config: options.config });
  const request = new Request(`http://127.0.0.1:11434${options.path ?? "/api/tags"}`, {
    method: options.method ?? "GET",
    headers: { host: "127.0.0.1:11434", ...headers },
  });
  return await app.fetch(request);
}

for (
  const origin of [
    "http://localhost:3000",
    "https://localhost",
    "http://127.0.0.1:8080",
    "http://0.0.0.0:1",
    "app://obsidian.md",
    "vscode-webview://abc",
    "tauri://localhost",
    "file://",
  ]
) {
  Deno.test(`Guard echoes the allowed origin ${origin} (#7)`, async () => {
    const response = await ask({ origin });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("access-control-allow-origin"), origin);
    assert.equal(response.headers.get("vary"), "Origin");
  });
}

Deno.test("a page of another member may ask, and read who answered under which id", async () => {
  const member = "http://192.168.1.11:11434";
  const config = { isMemberOrigin: (origin: string) => origin === member };
  const answer = await ask({ origin: member }, { config });
  assert.equal(answer.headers.get("access-control-allow-origin"), member);
  assert.match(answer.headers.get("access-control-expose-headers") ?? "", /X-Odist-Node/);
  const preflight = await ask({ origin: member }, { config, method: "OPTIONS" });
  assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /X-Odist-Keep/);
  const stranger = await ask({ origin: "http://192.168.1.12:11434" }, { config });
  assert.equal(stranger.status, 403);
});

for (const origin of ["https://evil.example", "http://localhost.evil.example", "null"]) {
  Deno.test(`Guard refuses the origin ${origin} with an empty 403 (#8)`, async () => {
    const response = await ask({ origin });
    assert.equal(response.status, 403);
    assert.equal(await response.text(), "");
    assert.equal(response.headers.get("access-control-allow-origin"), null);
  });
}

Deno.test("Guard answers a preflight without asking the routes (#9)", async () => {
  const response = await ask(
    { origin: "http://127.0.0.1:8080", "access-control-request-method": "POST" },
    { method: "OPTIONS", path: "/api/chat" },
  );
  assert.equal(response.status, 204);
  assert.equal(response.headers.get("access-control-max-age"), "43200");
  assert.match(response.headers.get("access-control-allow-methods") ?? "", /POST.*DELETE/);
  assert.equal(response.headers.get("allow"), "POST");
  assert.equal(
    response.headers.get("vary"),
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
  );
  const allowed = response.headers.get("access-control-allow-headers") ?? "";
  for (const name of ["Authorization", "Content-Type", "X-Stainless-Lang"]) {
    assert.ok(allowed.includes(name), name);
  }
});

Deno.test("a preflight names what its path takes, and nothing where there is no such path", async () => {
  const headers = { origin: "http://127.0.0.1:8080", "access-control-request-method": "GET" };
  const paths = [
    ["/api/tags", "GET, HEAD"],
    [`/api/blobs/sha256:${"0".repeat(64)}`, "HEAD, POST"],
    ["/api/nope", null],
  ] as const;
  for (const [path, allow] of paths) {
    const response = await ask(headers, { method: "OPTIONS", path });
    assert.equal(response.headers.get("allow"), allow, path);
  }
});

Deno.test("Guard says * when every origin is allowed (#10)", async () => {
  const response = await ask({ origin: "https://any.example" }, {
    config: { extraOrigins: ["*"] },
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
});

Deno.test("Guard takes one wildcard anywhere in a configured origin", async () => {
  const config = { extraOrigins: ["https://*.example.org"] };
  assert.equal((await ask({ origin: "https://a.example.org" }, { config })).status, 200);
  assert.equal((await ask({ origin: "https://example.org" }, { config })).status, 403);
});

Deno.test("Guard lets a wildcard stand for no port that is none and no user name", async () => {
  const origins = [
    "http://localhost:evil.example",
    "http://localhost:80@evil.example",
    "http://127.0.0.1:8080.evil.example",
    "app://a/b",
  ];
  for (const origin of origins) assert.equal((await ask({ origin })).status, 403, origin);
  const config = { extraOrigins: ["http://ui:*"] };
  assert.equal((await ask({ origin: "http://ui:3000" }, { config })).status, 200);
  assert.equal((await ask({ origin: "http://ui:a.evil.example" }, { config })).status, 403);
});

Deno.test("Guard does not treat the page's own origin as foreign", async () => {
  const response = await ask({ origin: "http://mybox.local:11434", host: "mybox.local:11434" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("access-control-allow-origin"), null);
});

const BINDS = ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::", OWN_ADDRESS];

for (const bindAddress of BINDS) {
  Deno.test(`Guard refuses foreign hosts on ${bindAddress} (#11)`, async () => {
    const hosts = [
      "evil.example",
      "evil.example:11434",
      "evil.local",
      "evil.internal",
      "mybox.evil.example",
      "localhost.evil.example",
      "8.8.8.8",
      "172.32.0.1",
      "[2001:db8::1]",
      "2130706433",
      "0x7f000001",
      "127.1",
      "localhost.",
    ];
    for (const host of hosts) {
      // A rebound page asks its own origin, which so is none of the foreign ones.
      for (const headers of [{ host }, { host, origin: `http://${host}` }]) {
        const response = await ask(headers, { config: { bindAddress } });
        assert.equal(response.status, 403, host);
        assert.equal(await response.text(), "");
        assert.match(response.headers.get("x-odist-refused") ?? "", /--allowed-hosts/);
      }
    }
  });

  Deno.test(`Guard admits this machine's names and private addresses on ${bindAddress} (#12)`, async () => {
    const hosts = [
      "localhost:1",
      "a.localhost",
      "127.0.0.1",
      "127.5.5.5:80",
      "[::1]:11434",
      "[0:0:0:0:0:0:0:1]",
      "[::ffff:127.0.0.1]:11434",
      "0.0.0.0",
      "[::]",
      "MYBOX:11434",
      "mybox.local",
      "mybox.lan",
      "192.168.1.5",
      "192.168.1.5:11434",
      "10.0.0.1",
      "172.16.0.1",
      "169.254.3.4",
      "100.101.102.103",
      "[fd00::1]",
      "[fe80::1%eth0]",
      "host.docker.internal:11434",
      "host.containers.internal",
    ];
    for (const host of hosts) {
      assert.equal((await ask({ host }, { config: { bindAddress } })).status, 200, host);
    }
  });
}

Deno.test("Guard admits the names of services where other machines listen, but no page under them", async () => {
  for (const host of ["ollama:11434", "ollama.apps.svc", "ollama.apps.svc.cluster.local:80"]) {
    const open = { config: { bindAddress: "0.0.0.0" } };
    assert.equal((await ask({ host }, open)).status, 200, host);
    assert.equal((await ask({ host, origin: `http://${host}` }, open)).status, 403, host);
    assert.equal((await ask({ host })).status, 403, `${host} on loopback`);
  }
});

Deno.test("Guard admits configured names, whole or below a suffix, or all", async () => {
  const with_ = (...allowedHosts: string[]) => ({ config: { allowedHosts } });
  const names = with_("ai.example.com", "*.example.org", "203.0.113.5");
  for (const host of ["AI.example.com", "a.b.example.org:80", "203.0.113.5"]) {
    assert.equal((await ask({ host }, names)).status, 200, host);
  }
  for (const host of ["b.example.com", "example.org", "evilexample.org", "203.0.113.6"]) {
    assert.equal((await ask({ host }, names)).status, 403, host);
  }
  assert.equal((await ask({ host: "any.example" }, with_("*"))).status, 200);
});

Deno.test("Guard refuses what other sites make a browser fetch without an origin", async () => {
  const crossSite = { "sec-fetch-site": "cross-site" };
  assert.equal((await ask(crossSite)).status, 403);
  assert.equal((await ask({ ...crossSite, origin: "https://evil.example" })).status, 403);
  assert.equal((await ask({ ...crossSite, origin: "app://obsidian.md" })).status, 200);
  assert.equal((await ask(crossSite, { config: { extraOrigins: ["*"] } })).status, 200);
  for (const site of ["same-origin", "same-site", "none"]) {
    assert.equal((await ask({ "sec-fetch-site": site })).status, 200, site);
  }
});

Deno.test("every answer tells browsers not to guess, embed or keep it", async () => {
  for (const headers of [{}, { host: "evil.example" }, { origin: "http://localhost:3000" }]) {
    for (const path of ["/api/tags", "/health", "/none"]) {
      const response = await ask(headers, { path });
      assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      assert.equal(response.headers.get("cross-origin-resource-policy"), "same-origin");
      assert.equal(response.headers.get("cache-control"), "no-store");
    }
  }
});
