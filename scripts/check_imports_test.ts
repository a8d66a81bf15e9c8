import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { checkImports, findProduct } from "./check_imports.ts";
import { IMPORT_RULES, type ImportRules } from "./checks/import_rules.ts";
import { readGraph } from "./checks/module_graph.ts";

/** A small repository in which everything is allowed that the table allows. */
const GOOD: Readonly<Record<string, string>> = {
  "deno.json": `{ "imports": { "hono": "npm:hono@4.13.19" } }`,
  "main.ts": `import "./deno.json" with { type: "json" }; await import("./src/cli/mod.ts");`,
  "src/cli/mod.ts": `import "../node/mod.ts";`,
  "src/node/mod.ts": `import "../http/mod.ts"; import type { Id } from "../base/mod.ts";`,
  "src/http/mod.ts": `import { type Id } from "../base/mod.ts"; import "hono"; import "./a.ts";`,
  "src/http/a.ts": `export {};`,
  "src/http/a_test.ts": `import "../node/mod.ts";`,
  "src/base/mod.ts": `export type Id = string;`,
};

const because = "the small repository has it";

/** Just what the small repository uses. */
const RULES: ImportRules = {
  arrows: [
    { from: "main.ts", to: "src/cli", because },
    { from: "main.ts", to: "deno.json", because },
    { from: "src/cli", to: "src/node", because },
    { from: "src/node", to: "src/http", because },
    { from: "src/node", to: "src/base", because },
    { from: "src/http", to: "src/base", because },
  ],
  inside: [],
  packages: [{ name: "hono", folders: ["src/http"], because }],
  unreached: [],
};

async function findingsWith(
  changes: Readonly<Record<string, string>>,
  rules: ImportRules = RULES,
): Promise<string[]> {
  const root = await Deno.makeTempDir({ prefix: "odist-imports-" });
  try {
    for (const [path, source] of Object.entries({ ...GOOD, ...changes })) {
      await Deno.mkdir(dirname(join(root, path)), { recursive: true });
      await Deno.writeTextFile(join(root, path), source);
    }
    return checkImports(await readGraph(root, await findProduct(root)), rules);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function assertOne(findings: readonly string[], pattern: RegExp): void {
  assert.equal(findings.length, 1, findings.join("\n"));
  assert.match(findings[0] ?? "", pattern);
}

Deno.test("checkImports() finds nothing in a sound layout", async () => {
  assert.deepEqual(await findingsWith({}), []);
});

Deno.test("checkImports() finds an arrow that points up", async () => {
  const findings = await findingsWith({
    "src/http/a.ts": `import type { X } from "../telemetry/mod.ts";`,
    "src/telemetry/mod.ts": `export type X = 1;`,
  });
  assertOne(findings, /^src\/http\/a\.ts: src\/http must not import src\/telemetry/);
});

Deno.test("checkImports() finds an import behind a mod.ts", async () => {
  const findings = await findingsWith({
    "src/node/mod.ts": `import "../http/a.ts";
    import "../http/mod.ts"; import "../base/mod.ts";`,
  });
  assertOne(findings, /must be imported through its mod\.ts, not src\/http\/a\.ts/);
});

Deno.test("checkImports() finds code behind an arrow for types", async () => {
  const rules: ImportRules = {
    ...RULES,
    arrows: [
      ...RULES.arrows,
      { from: "src/node", to: "src/core/*", because },
      { from: "src/core/scheduler", to: "src/core/catalogue", because, typesOnly: true },
    ],
  };
  const findings = await findingsWith({
    "src/node/mod.ts": `import "../core/scheduler/mod.ts"; import "../http/mod.ts";
    import "../base/mod.ts";`,
    "src/core/scheduler/mod.ts": `import "../catalogue/mod.ts";`,
    "src/core/catalogue/mod.ts": `export {};`,
  }, rules);
  assertOne(findings, /may import only types of src\/core\/catalogue/);
});

Deno.test("checkImports() finds a cycle of types", async () => {
  const findings = await findingsWith({
    "src/http/a.ts": `import type { B } from "./b.ts"; export type A = B;`,
    "src/http/b.ts": `import type { A } from "./a.ts"; export type B = A;`,
  });
  assertOne(findings, /imports itself through src\/http\/b\.ts/);
});

Deno.test("checkImports() finds a file that main.ts never reaches, unless a row excuses it", async () => {
  const lost = { "src/http/lost.ts": "export {};" };
  assertOne(await findingsWith(lost), /^src\/http\/lost\.ts: main\.ts never reaches it/);
  const excused = {
    ...RULES,
    unreached: [{ path: "src/http/lost.ts", because: "a test" }],
  };
  assert.deepEqual(await findingsWith(lost, excused), []);
  assertOne(await findingsWith({}, excused), /is reached now; delete its row/);
});

Deno.test("checkImports() finds a package outside its folder and one without a row", async () => {
  assertOne(
    await findingsWith({ "src/base/mod.ts": `import "hono"; export type Id = string;` }),
    /"hono" may be imported only in src\/http/,
  );
  assertOne(
    await findingsWith({ "src/http/a.ts": `import "npm:fast-check@4.10.2";` }),
    /"fast-check" has no row/,
  );
});

Deno.test("checkImports() finds node modules in pure folders", async () => {
  assertOne(
    await findingsWith({ "src/base/mod.ts": `import "node:fs"; export type Id = string;` }, {
      ...RULES,
      packages: [...RULES.packages, { name: "node:*", folders: [], because }],
    }),
    /"node:fs" may be imported only in/,
  );
});

Deno.test("checkImports() finds rows that nothing uses", async () => {
  const arrow = { from: "src/http", to: "src/cli", because };
  const inside = { from: "src/http/wire", to: "src/http/pages", because };
  const rules = {
    ...RULES,
    arrows: [...RULES.arrows, arrow],
    inside: [inside],
    packages: [{ name: "hono", folders: ["src/http", "src/cli"], because }],
  };
  assert.deepEqual(await findingsWith({}, rules), [
    "src/http: imports nothing of src/cli: delete the row",
    "src/http/wire: imports nothing of src/http/pages: delete the row",
    'src/cli imports no "hono": delete it from the table of packages',
  ]);
});

Deno.test("checkImports() wants a row and a face for each subfolder, but none on the way up", async () => {
  const changes = {
    "src/http/mod.ts": `import { type Id } from "../base/mod.ts"; import "hono"; import "./a.ts";
    import "./wire/body.ts";`,
    "src/http/wire/body.ts": `import "../a.ts";`,
  };
  const findings = await findingsWith(changes);
  assert.deepEqual(findings, [
    "src/http/mod.ts: src/http must not import src/http/wire (src/http/wire/body.ts): no such row in the table",
    "src/http/mod.ts: src/http/wire must be imported through its mod.ts, not src/http/wire/body.ts",
    "src/http/wire: has no mod.ts",
  ]);
  const sound = {
    "src/http/mod.ts": `import { type Id } from "../base/mod.ts"; import "hono"; import "./a.ts";
    import "./wire/mod.ts";`,
    "src/http/wire/mod.ts": `import "../a.ts";`,
  };
  const inside = [{ from: "src/http", to: "src/http/wire", because }];
  assert.deepEqual(await findingsWith(sound, { ...RULES, inside }), []);
});

Deno.test("checkImports() finds rooms that stand in a circle, though no file does", async () => {
  const rules = {
    ...RULES,
    arrows: [...RULES.arrows, { from: "src/base", to: "src/http", because }],
  };
  const findings = await findingsWith({
    "src/base/mod.ts": `export type Id = string; import "./text.ts";`,
    "src/base/text.ts": `import type { B } from "../http/mod.ts"; export type C = B;`,
    "src/http/mod.ts": `import "hono"; import "./a.ts"; import "./b.ts"; export type B = 1;`,
    "src/http/b.ts": `import type { Id } from "../base/mod.ts"; export type D = Id;`,
  }, rules);
  assert.ok(findings.includes("src/base: imports itself through src/http"), findings.join("\n"));
});

Deno.test("IMPORT_RULES has a reason in every row", () => {
  const { arrows, inside, packages, unreached } = IMPORT_RULES;
  const rows = [...arrows, ...inside, ...packages, ...unreached];
  assert.deepEqual(rows.filter((row) => row.because.length < 10), []);
});
