import assert from "node:assert/strict";
import { appUnderTest } from "../../tests/harness/http_app.ts";
import type { HttpSettings } from "./settings.ts";

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
  const allowed = response.headers.get("access-control-allow-headers") ?? "";
  for (const name of ["Authorization", "Content-Type", "X-Stainless-Lang"]) {
    assert.ok(allowed.includes(name), name);
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

Deno.test("Guard does not treat the page's own origin as foreign", async () => {
  const response = await ask({ origin: "http://box.local:11434", host: "box.local:11434" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("access-control-allow-origin"), null);
});

for (
  const host of ["evil.example", "evil.example:11434", "8.8.8.8", "172.32.0.1", "[2001:db8::1]"]
) {
  Deno.test(`Guard refuses the foreign host ${host} on loopback (#11)`, async () => {
    const response = await ask({ host });
    assert.equal(response.status, 403);
    assert.equal(await response.text(), "");
  });
}

for (
  const host of [
    "box.local",
    "192.168.1.5",
    "192.168.1.5:11434",
    "10.0.0.1",
    "172.16.0.1",
    "localhost:1",
    "a.localhost",
    "vm.internal",
    "[::1]:11434",
    "[fd00::1]",
    "0.0.0.0",
    "MYBOX:11434",
  ]
) {
  Deno.test(`Guard admits the near host ${host} on loopback (#12)`, async () => {
    const response = await ask({ host }, { config: { ownHosts: ["mybox"] } });
    assert.equal(response.status, 200);
  });
}

Deno.test("Guard admits any host when the listener is not on loopback", async () => {
  const response = await ask({ host: "evil.example" }, { config: { bindAddress: "0.0.0.0" } });
  assert.equal(response.status, 200);
});
