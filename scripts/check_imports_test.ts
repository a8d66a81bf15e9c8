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

/** Without the excuses of today, which the small repository has no use for. */
const RULES: ImportRules = { ...IMPORT_RULES, unreached: [] };

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
  const findings = await findingsWith({
    "src/node/mod.ts": `import "../core/scheduler/mod.ts"; import "../http/mod.ts";`,
    "src/core/scheduler/mod.ts": `import "../cluster/mod.ts";`,
    "src/core/cluster/mod.ts": `export {};`,
  });
  assertOne(findings, /may import only types of src\/core\/cluster/);
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
    ...IMPORT_RULES,
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
    await findingsWith({ "src/base/mod.ts": `import "node:fs"; export type Id = string;` }),
    /"node:fs" may be imported only in/,
  );
});

Deno.test("IMPORT_RULES has a reason in every row and no cycle between folders", () => {
  const rows = [...IMPORT_RULES.arrows, ...IMPORT_RULES.packages, ...IMPORT_RULES.unreached];
  assert.deepEqual(rows.filter((row) => row.because.length < 10), []);
  const folders = [...new Set(IMPORT_RULES.arrows.flatMap((row) => [row.from, row.to]))];
  const graph = new Map(folders.map((folder) => [
    folder,
    IMPORT_RULES.arrows.filter((row) => row.from === folder)
      .map((row) => ({ target: row.to, kind: "code" as const })),
  ]));
  const cycles = checkImports(graph, { arrows: [], packages: [], unreached: [] })
    .filter((finding) => finding.includes("imports itself"));
  assert.deepEqual(cycles, []);
});
