import assert from "node:assert/strict";
import { appUnderTest, httpRequest } from "../../tests/harness/http_app.ts";
import type { KeyAccess } from "../ports/mod.ts";

const ACCESS: KeyAccess = {
  isWanted: () => true,
  refusalOf: (key) => Promise.resolve(key === "right" ? undefined : `"${key}" was revoked`),
};

async function ask(
  path: string,
  options: { readonly access?: KeyAccess; readonly fromAfar: boolean; readonly header?: string },
): Promise<Response> {
  const { app } = appUnderTest(options.access === undefined ? {} : { access: options.access });
  const request = httpRequest("GET", path);
  if (options.header !== undefined) request.headers.set("authorization", options.header);
  const address = options.fromAfar ? "192.168.1.77" : "127.0.0.1";
  return await app.fetch(request, {
    sender: { kind: "machine", address, isOwn: !options.fromAfar },
  });
}

Deno.test("from another machine nothing is answered without a key once there is one", async () => {
  const fromAfar = { access: ACCESS, fromAfar: true };
  for (const path of ["/api/tags", "/api/version", "/v1/models", "/metrics"]) {
    const refused = await ask(path, fromAfar);
    assert.equal(refused.status, 401, path);
    assert.equal(refused.headers.get("www-authenticate"), "Bearer");
    await refused.body?.cancel();
    assert.equal((await ask(path, { ...fromAfar, header: "Bearer right" })).status, 200, path);
    assert.equal((await ask(path, { ...fromAfar, header: "bearer  right" })).status, 200, path);
  }
});

Deno.test("each API family words the refusal of a key as its clients expect", async () => {
  const wrong = { access: ACCESS, fromAfar: true, header: "Bearer wrong" };
  const native = await (await ask("/api/tags", wrong)).json();
  assert.deepEqual(native, { error: 'unauthorized: "wrong" was revoked' });
  const openAi = await (await ask("/v1/models", wrong)).json();
  assert.equal(openAi.error.message, 'unauthorized: "wrong" was revoked');
  const without = await (await ask("/api/tags", { access: ACCESS, fromAfar: true })).json();
  assert.match(without.error, /a key is needed: Authorization: Bearer KEY/);
});

Deno.test("this machine's own clients need no key, whatever they send", async () => {
  // Clients of OpenAI's must send one, and most send "ollama".
  for (const header of ["Bearer ollama", "Basic eDp5"]) {
    assert.equal(
      (await ask("/v1/models", { access: ACCESS, fromAfar: false, header })).status,
      200,
    );
  }
});

Deno.test("without any key the API is open, and whether a node lives is always told", async () => {
  const none: KeyAccess = { ...ACCESS, isWanted: () => false };
  assert.equal((await ask("/api/tags", { access: none, fromAfar: true })).status, 200);
  assert.equal((await ask("/api/tags", { fromAfar: true })).status, 200);
  for (const path of ["/health", "/ready"]) {
    assert.equal((await ask(path, { access: ACCESS, fromAfar: true })).status, 200);
  }
});

Deno.test("a proxy, a tunnel or a port of a container on this machine gives its clients no rights", async () => {
  const { app } = appUnderTest({ access: ACCESS });
  for (
    const headers of [
      { "x-forwarded-for": "203.0.113.9" },
      { forwarded: "for=203.0.113.9" },
      { "x-real-ip": "10.0.0.7" },
      { "cf-connecting-ip": "203.0.113.9" },
      { via: "1.1 proxy" },
      // A port of a container or an SSH tunnel says nothing, but is asked under the address of the machine around it.
      { host: "192.168.1.99:11434" },
    ]
  ) {
    const request = httpRequest("GET", "/api/tags");
    for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
    const response = await app.fetch(request);
    assert.equal(response.status, 401, JSON.stringify(headers));
  }
});
