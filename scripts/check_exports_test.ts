import assert from "node:assert/strict";
import { checkExports } from "./check_exports.ts";

function findings(sources: Readonly<Record<string, string>>): string[] {
  return checkExports(new Map(Object.entries(sources)));
}

Deno.test("checkExports() finds a value that nobody imports", () => {
  const sources = {
    "src/a.ts": "export function used() {}\nexport const lost = 1;\nexport class Lost {}\n",
    "main.ts": `import { used } from "./src/a.ts";`,
  };
  assert.deepEqual(findings(sources), [
    'src/a.ts: nobody imports "lost"',
    'src/a.ts: nobody imports "Lost"',
  ]);
});

Deno.test("checkExports() counts tests, dynamic imports and renamed imports as use", () => {
  const sources = {
    "src/a.ts": "export function a() {}\n",
    "src/b.ts": "export function b() {}\n",
    "src/c.ts": "export function c() {}\n",
    "src/a_test.ts": `import { a as renamed } from "./a.ts";`,
    "main.ts": `await import("./src/b.ts");\nimport * as all from "./src/c.ts";`,
  };
  assert.deepEqual(findings(sources), []);
});

Deno.test("checkExports() lets a type serve its own file, and finds one that serves nothing", () => {
  const sources = {
    "src/a.ts":
      "export interface Options {}\nexport function a(_: Options) {}\nexport type Lost = 1;",
    "main.ts": `import { a } from "./src/a.ts";`,
  };
  assert.deepEqual(findings(sources), ['src/a.ts: nobody imports "Lost"']);
});

Deno.test("checkExports() follows mod.ts: a value must leave it, a type may stand there", () => {
  const sources = {
    "src/x/mod.ts": `export { type T, v, w } from "./a.ts";`,
    "src/x/a.ts": "export const v = 1;\nexport const w = 2;\nexport type T = 1;",
    "main.ts": `import { w } from "./src/x/mod.ts";`,
  };
  assert.deepEqual(findings(sources), ['src/x/mod.ts: nobody imports "v"']);
});

Deno.test("checkExports() does not count a comment as use", () => {
  const sources = {
    "src/a.ts": "export const a = 1;\n",
    "main.ts": `// import { a } from "./src/a.ts";\n/* import { a } from "./src/a.ts"; */`,
  };
  assert.equal(findings(sources).length, 1);
});
