// The script that compares with a live Ollama (`deno task test:differential:ollama --against URL`), against the contract.
import assert from "node:assert/strict";
import { compareWithOllama } from "../differential/ollama/compare.ts";
import { differencesOf } from "../differential/ollama/shape.ts";
import { nodeForFile, nodeTest } from "../harness/node.ts";

// Whether several tokens are computed at once, and told of, depends on what the machine has measured.
const node = nodeForFile({ args: ["--speculate", "off"] });

nodeTest("no answer differs from the contract but where that is meant", async () => {
  const run = await compareWithOllama(node().origin, { model: "tiny" });
  const { requests, unexplained } = run;
  assert.deepEqual(unexplained, []);
  // A row that explains nothing any more would hide what comes.
  assert.deepEqual([...run.explained].filter(([, count]) => count === 0), []);
  assert.ok(requests >= 540, `${requests} requests`);
});

Deno.test("a difference is found in each field: status, type, error, and every place of the body", () => {
  const one = {
    status: 200,
    type: "application/json",
    error: "a",
    shape: { kept: "string", gone: "number", list: [{ inner: "string" }] },
  } as const;
  assert.deepEqual(differencesOf(one, one).map(({ field }) => field), []);
  const other = {
    status: 200,
    type: "text/plain",
    error: "b",
    shape: { kept: "number", list: [{ inner: "string", more: "null" }], new: "boolean" },
  } as const;
  assert.deepEqual(differencesOf(one, other).map(({ field }) => field), [
    "type",
    "error",
    "body.kept",
    "body.gone",
    "body.list[].more",
    "body.new",
  ]);
  const said = { status: 200, headers: { allow: "GET" }, values: { "a.0.b": 1 } } as const;
  assert.deepEqual(differencesOf(said, said), []);
  assert.deepEqual(
    differencesOf(said, { status: 200, headers: { allow: null }, values: {} }).map((one) =>
      one.field
    ),
    ["headers.allow", "values.a.0.b"],
  );
  const free = { status: 200, shape: { "free?": "string" } } as const;
  assert.deepEqual(differencesOf(free, { status: 200, shape: {} }), []);
  assert.deepEqual(differencesOf(free, { status: 200, shape: { free: "null" } }), [
    { field: "body.free", wanted: '"string"', got: '"null"' },
  ]);
  assert.deepEqual(differencesOf({ status: 200 }, { status: 404 }).map(({ field }) => field), [
    "status",
  ]);
});
