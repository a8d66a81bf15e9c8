import assert from "node:assert/strict";
import { appUnderTest } from "../../../tests/harness/http_app.ts";
import { scriptedAdmin } from "../../../tests/harness/scripted_admin.ts";
import { RunningRequests } from "../running_requests.ts";
import { apiFamilies } from "../families.ts";

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly maxItems?: number;
}

interface Operation {
  readonly requestBody?: {
    readonly content: { readonly "application/json": { readonly schema: Schema } };
  };
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

async function document() {
  const { send, client } = appUnderTest({ admin: scriptedAdmin().admin });
  const answer = await send("GET", "/openapi.json");
  assert.equal(answer.status, 200);
  assert.deepEqual(client.calls, [], "nothing is asked of the ports to describe the endpoints");
  const { paths } = await answer.json() as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  };
  return paths;
}

const bodyOf = (operation: Operation | undefined) =>
  operation?.requestBody?.content["application/json"].schema;

Deno.test("openapi.json has every endpoint, under the method and path that it is routed by", async () => {
  const paths = await document();
  const { parts } = appUnderTest({ admin: scriptedAdmin().admin });
  const state = { admitting: () => true, running: new RunningRequests() };
  for (const { method, path } of apiFamilies(parts, state).flatMap(({ routes }) => routes)) {
    if (["/openapi.json", "/docs"].includes(path)) continue;
    const shown = path.replaceAll(/:(\w+)/g, "{$1}");
    assert.ok(paths[shown]?.[method.toLowerCase()] !== undefined, `${method} ${path}`);
  }
});

Deno.test("openapi.json tells of each body what its endpoint reads, and what must be there", async () => {
  const paths = await document();
  const chat = bodyOf(paths["/api/chat"]?.post);
  assert.deepEqual(chat?.required, ["model"]);
  assert.equal(chat?.properties?.stream?.type, "boolean");
  assert.equal(chat?.properties?.options?.properties?.num_ctx?.type, "integer");
  const message = chat?.properties?.messages?.items;
  assert.equal(message?.properties?.role?.type, "string");
  const call = message?.properties?.tool_calls?.items?.properties?.function;
  assert.equal(call?.properties?.arguments?.type, "object");
  const embedding = bodyOf(paths["/v1/embeddings"]?.post);
  assert.deepEqual(embedding?.required, ["input", "model"]);
  const anthropic = bodyOf(paths["/v1/messages"]?.post);
  assert.ok(anthropic?.required?.includes("max_tokens"));
  for (const path of ["/api/create", "/api/pull", "/api/push"]) {
    assert.equal(bodyOf(paths[path]?.post)?.properties?.stream?.type, "boolean", path);
  }
  assert.equal(bodyOf(paths["/api/tags"]?.get), undefined);
  assert.deepEqual(paths["/api/blobs/{digest}"]?.post?.parameters?.map(({ name }) => name), [
    "digest",
  ]);
});

Deno.test("openapi.json tells what is answered, whole, line by line and as events, and which queries are read", async () => {
  const paths = await document();
  const typesOf = (path: string, method: string, mediaType: string) => {
    const content = paths[path]?.[method]?.responses["2XX"]?.content?.[mediaType];
    return content?.schema.properties ?? {};
  };
  for (const mediaType of ["application/json", "application/x-ndjson"]) {
    const chat = typesOf("/api/chat", "post", mediaType);
    assert.equal(chat["eval_count"]?.type, "number", mediaType);
    const call = chat["message"]?.properties?.["tool_calls"]?.items?.properties?.["function"];
    assert.equal(call?.properties?.["arguments"]?.type, "object", mediaType);
  }
  const chunk = typesOf("/v1/chat/completions", "post", "text/event-stream");
  assert.equal(
    chunk["choices"]?.items?.properties?.["delta"]?.properties?.["content"]?.type,
    "string",
  );
  const response = typesOf("/v1/responses/{id}", "get", "application/json");
  assert.equal(response["output"]?.type, "array");
  assert.equal(typesOf("/api/show", "post", "application/json")["template"]?.type, "string");
  const queries = (path: string) =>
    paths[path]?.get?.parameters?.filter((parameter) => parameter.in === "query")
      .map(({ name }) => name);
  assert.deepEqual(queries("/v1/responses/{id}"), ["stream", "starting_after"]);
  assert.deepEqual(queries("/v1/responses/{id}/input_items"), ["limit", "order", "after"]);
  assert.deepEqual(queries("/api/tags"), ["consistency"]);
  const failed = paths["/v1/messages"]?.post?.responses["default"]?.content?.["application/json"];
  assert.deepEqual(Object.keys(failed?.schema.properties ?? {}), ["type", "error"]);
});

Deno.test("/docs shows every endpoint, with no script and nothing of another host", async () => {
  const paths = await document();
  const { send } = appUnderTest({ admin: scriptedAdmin().admin });
  const page = await send("GET", "/docs");
  const html = await page.text();
  for (const path of Object.keys(paths)) assert.ok(html.includes(`<code>${path}</code>`), path);
  assert.doesNotMatch(html, /<script|https?:|<img|<link|\son\w+=/i);
  const policy = page.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; style-src 'nonce-([a-z0-9]+)'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
});

Deno.test("a request that is refused for any of its fields asks nothing of the node", async () => {
  const { send, client } = appUnderTest();
  const body = { model: "m", prompt: "x", input: "x", messages: [{ role: "user", content: "x" }] };
  const paths = ["/api/generate", "/api/chat", "/api/create", "/api/pull", "/api/push"];
  for (const path of [...paths, "/v1/chat/completions", "/v1/completions"]) {
    const answer = await send("POST", path, { ...body, from: "m", stream: "yes" });
    assert.equal(answer.status, 400, path);
  }
  assert.deepEqual(client.calls, [], "what was started for it would be held for ever");
});
