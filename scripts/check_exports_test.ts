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

Deno.test("checkExports() finds a value that only tests use, unless its own file uses it too", () => {
  const sources = {
    "src/x/mod.ts": `export { bound, f, g } from "./a.ts";`,
    "src/x/a.ts": "export const bound = 1;\nexport const f = () => bound;\nexport const g = 2;\n",
    "src/x/a_test.ts": `import { bound, g } from "./mod.ts"; import { bound as b } from "./a.ts";`,
    "main.ts": `import { f } from "./src/x/mod.ts";`,
  };
  assert.deepEqual(findings(sources), [
    'src/x/mod.ts: only tests use "bound"',
    'src/x/mod.ts: only tests use "g"',
  ]);
  const alone = { ...sources, "src/x/mod.ts": `export { f } from "./a.ts";` };
  const deep = { ...alone, "src/x/a_test.ts": `import { bound, g } from "./a.ts";` };
  assert.deepEqual(findings(deep), ['src/x/a.ts: only tests use "g"']);
});

Deno.test("checkExports() counts dynamic and renamed imports as use", () => {
  const sources = {
    "src/a.ts": "export function a() {}\nexport const twice = a;\n",
    "src/b.ts": "export function b() {}\n",
    "src/c.ts": "export function c() {}\n",
    "src/a_test.ts": `import { a as renamed } from "./a.ts";`,
    "main.ts":
      `await import("./src/b.ts");\nimport * as all from "./src/c.ts";\nimport { twice as t } from "./src/a.ts";`,
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

Deno.test("checkExports() asks for each name behind a star", () => {
  const sources = {
    "src/x/mod.ts": `export * from "./y/mod.ts";\n`,
    "src/x/y/mod.ts": `export { f, lost, type T } from "./a.ts";`,
    "src/x/y/a.ts": "export type T = 1;\nexport const f = (): T => 1;\nexport const lost = 2;\n",
    "main.ts": `import { f } from "./src/x/mod.ts";`,
  };
  assert.deepEqual(findings(sources), ['src/x/mod.ts: nobody imports "lost"']);
});

Deno.test("checkExports() does not count a comment as use", () => {
  const sources = {
    "src/a.ts": "export const a = 1;\n",
    "main.ts": `// import { a } from "./src/a.ts";\n/* import { a } from "./src/a.ts"; */`,
  };
  assert.equal(findings(sources).length, 1);
});
