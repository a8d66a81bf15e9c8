import assert from "node:assert/strict";
import { appUnderTest, httpRequest } from "../../../tests/harness/http_app.ts";
import { scriptedAdmin } from "../../../tests/harness/scripted_admin.ts";
import type { PageFiles } from "../../ports/mod.ts";

const BROWSER = { accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };

const PAGE: PageFiles = { read: (name) => Promise.resolve(new TextEncoder().encode(name)) };

function ask(
  path: string,
  options: { readonly page: PageFiles; readonly headers?: Readonly<Record<string, string>> },
) {
  const { app } = appUnderTest({ admin: scriptedAdmin().admin, page: options.page });
  const request = httpRequest("GET", path);
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    request.headers.set(name, value);
  }
  return app.fetch(request);
}

Deno.test("the root keeps Ollama's words, and sends on a browser that asks for something to show", async () => {
  for (const headers of [{}, { accept: "*/*" }, { accept: "application/json" }]) {
    const response = await ask("/", { page: PAGE, headers });
    assert.equal(await response.text(), "Ollama is running");
  }
  const sent = await ask("/", { page: PAGE, headers: BROWSER });
  assert.deepEqual([sent.status, sent.headers.get("location")], [302, "/ui"]);
});

Deno.test("the page runs scripts and styles of its own node alone, and asks nobody but the cluster's nodes", async () => {
  const files = [
    ["/ui", "index.html"],
    ["/ui/page.js", "page.js"],
    ["/ui/replayer.js", "replayer.js"],
  ] as const;
  for (const [path, file] of files) {
    const response = await ask(path, { page: PAGE });
    assert.equal(await response.text(), file);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(
      policy,
      /default-src 'none'; script-src 'self'; style-src 'self'; worker-src 'self';/,
    );
    assert.match(policy, /connect-src 'self' http:\/\/10\.0\.0\.1:11434;/);
    assert.doesNotMatch(policy, /unsafe|\*/);
  }
});

Deno.test("the document names the nodes that its policy allows, so that the page knows when there are others", async () => {
  const document = `<head><meta name="odist-nodes" content=""></head>`;
  const page = { read: () => Promise.resolve(new TextEncoder().encode(document)) };
  const response = await ask("/ui", { page });
  assert.equal(
    await response.text(),
    `<head><meta name="odist-nodes" content="http://10.0.0.1:11434"></head>`,
  );
});

Deno.test("a page that is not built says how it is", async () => {
  const response = await ask("/ui", { page: { read: () => Promise.resolve(undefined) } });
  assert.equal(response.status, 503);
  assert.match(await response.text(), /deno task ui/);
});
