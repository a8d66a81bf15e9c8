import assert from "node:assert/strict";
import pureCore from "./pure_core.ts";
import printable from "./printable.ts";
import sizes from "./sizes.ts";
import usedOnce from "./used_once.ts";

function lint(plugin: Deno.lint.Plugin, file: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, file, source).map((finding) => finding.message);
}

Deno.test("the rule pure-core finds clocks, randomness, timers and I/O in pure folders only", () => {
  for (
    const source of [
      "Date.now();",
      "Math.random();",
      "setTimeout(f, 1);",
      "Deno.readTextFile('x');",
      "console.log(1);",
      "crypto.randomUUID();",
      "fetch('x');",
      "async () => { await f(); };",
      "a.localeCompare(b);",
    ]
  ) {
    assert.equal(lint(pureCore, "/r/src/core/raft/a.ts", source).length, 1, source);
    assert.equal(lint(pureCore, "/r/src/base/a.ts", source).length, 1, source);
    assert.deepEqual(lint(pureCore, "/r/src/node/a.ts", source), [], source);
  }
  assert.deepEqual(lint(pureCore, "/r/src/core/raft/a.ts", "x.Date; ({ process: 1 });"), []);
});

Deno.test("the size rules find a long function", () => {
  const body = (lines: number) => `function f() {\n${"g();\n".repeat(lines - 2)}}`;
  assert.deepEqual(lint(sizes, "/r/src/http/a.ts", body(70)), []);
  assert.deepEqual(lint(sizes, "/r/src/http/a.ts", body(71)), [
    "Function `f` has 71 lines, at most 70 are allowed",
  ]);
  assert.deepEqual(lint(sizes, "/r/src/http/a_test.ts", body(71)), []);
});

Deno.test("the size rules find deep nesting once, and keeps else-if level", () => {
  const nested = (depth: number) =>
    `function f() { ${"if (a) { ".repeat(depth)}g();${" }".repeat(depth)} }`;
  assert.deepEqual(lint(sizes, "/r/src/http/a.ts", nested(3)), []);
  assert.equal(lint(sizes, "/r/src/http/a.ts", nested(4)).length, 1);
  assert.equal(lint(sizes, "/r/src/http/a.ts", nested(6)).length, 1);
  const ladder = "function f() { if (a) b(); else if (c) d(); else if (e) g(); else if (h) i(); }";
  assert.deepEqual(lint(sizes, "/r/src/http/a.ts", ladder), []);
  const guard = "function f() { if (a) { if (b) { if (c) { if (d) return; } } } }";
  assert.deepEqual(lint(sizes, "/r/src/http/a.ts", guard), []);
  const callback = "function f() { if (a) { if (b) { if (c) { d(() => { if (e) g(); }); } } } }";
  assert.deepEqual(lint(sizes, "/r/src/http/a.ts", callback), []);
});

Deno.test("the rule printable finds what the command line would show as it came", () => {
  const raw = [
    'out.write(rawTextOf(answer, "name"));',
    "out.write(errorMessage(error));",
    "const text = `Error: ${errorMessage(error)}`;",
    "out.write(JSON.stringify(line));",
    "out.write(await response.text());",
    "const body = await response.json();",
  ];
  for (const source of raw) {
    assert.equal(lint(printable, "/r/src/cli/commands/a.ts", source).length, 1, source);
    assert.deepEqual(lint(printable, "/r/src/cli/client/a.ts", source), [], source);
    assert.deepEqual(lint(printable, "/r/src/cli/commands/a_test.ts", source), [], source);
    assert.deepEqual(lint(printable, "/r/src/http/a.ts", source), [], source);
  }
  const safe = [
    'out.write(textOf(answer, "name"));',
    "out.write(printableText(errorMessage(error)));",
    "out.write(printableJson(line));",
    "terminal.input.text(1);",
  ];
  for (const source of safe) {
    assert.deepEqual(lint(printable, "/r/src/cli/commands/a.ts", source), [], source);
  }
});

Deno.test("the rule used-once finds what `using` declares and only one place uses", () => {
  const once = [
    "function f() { using a = open(); return a.port; }",
    "async function f() { using a = await open(); await a.sync(); }",
    "async function f() { await using a = open();\n  return await a.read(); }",
  ];
  for (const source of once) assert.equal(lint(usedOnce, "src/a.ts", source).length, 1, source);
  const sound = [
    "function f() { using a = open(); a.read(); return a.port; }",
    "function f() { using a = open(); write(a, b); }",
    "function f() { using a = open(); }",
    "function f() { const a = open(); return a.port; }",
  ];
  for (const source of sound) assert.deepEqual(lint(usedOnce, "src/a.ts", source), [], source);
  assert.deepEqual(lint(usedOnce, "src/a_test.ts", once[0] ?? ""), []);
});
