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
  readonly parameters?: readonly { readonly name: string }[];
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
    if (path === "/openapi.json") continue;
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
