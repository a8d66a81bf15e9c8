import assert from "node:assert/strict";
import { join } from "node:path";
import { runSuite, type SuiteOutcome } from "./suite_run.ts";
import type { Suite } from "./suites.ts";

const SUITE: Suite = {
  name: "fixture",
  roots: ["."],
  except: [],
  permissions: "none",
  parallel: false,
  isShared: false,
  parts: 1,
  isAlone: false,
};

interface FixtureOptions {
  /** Aborts the run when its output holds that text. */
  readonly stopOn?: string;
  readonly arguments?: readonly string[];
  /** By name: more of what is tested, and what that imports. */
  readonly more?: Readonly<Record<string, string>>;
  readonly suite?: Partial<Suite>;
}

/** Runs one test file as a suite, and what `options` say. */
async function runFixture(source: string, options: FixtureOptions = {}): Promise<SuiteOutcome> {
  const sources = { "a_test.ts": source, ...options.more };
  const root = await Deno.makeTempDir({ prefix: "odist-suite-" });
  const stopped = new AbortController();
  try {
    await Deno.writeTextFile(join(root, "deno.json"), "{}");
    for (const [name, text] of Object.entries(sources)) {
      await Deno.writeTextFile(join(root, name), text);
    }
    return await runSuite({ ...SUITE, ...options.suite }, {
      root,
      files: Object.keys(sources).filter((name) => name.endsWith("_test.ts")),
      artifactsFolder: root,
      environment: { NO_COLOR: "1" },
      arguments: options.arguments ?? [],
      mayBeEmpty: options.arguments !== undefined,
      lockPath: undefined,
      coverage: false,
      signal: stopped.signal,
      onOutput: (bytes) => {
        const text = new TextDecoder().decode(bytes);
        if (options.stopOn !== undefined && text.includes(options.stopOn)) stopped.abort();
      },
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("runSuite() counts from Deno's report and leaves steps out", async () => {
  const outcome = await runFixture(`
    Deno.test("a", async (t) => { await t.step("inner", () => {}); });
    Deno.test.ignore("b", () => {});
    Deno.test("c", () => { throw new Error("no"); });
  `);
  assert.deepEqual([outcome.passed, outcome.failed, outcome.skipped], [1, 1, 1]);
  assert.equal(outcome.trouble, undefined);
});

Deno.test("runSuite() gives pure suites no permission", async () => {
  const outcome = await runFixture(`Deno.test("reads", () => { Deno.readTextFileSync("x"); });`);
  assert.deepEqual([outcome.passed, outcome.failed], [0, 1]);
});

Deno.test("runSuite() reports a suite that does not compile", async () => {
  const outcome = await runFixture(`import "./missing.ts";`);
  assert.match(outcome.trouble ?? "", /left no report/);
});

Deno.test("runSuite() reports a process that ended in the middle of its tests", async () => {
  const outcome = await runFixture(`
    Deno.test("a", () => {});
    Deno.test("b", () => { Deno.exit(0); });
  `);
  assert.equal(outcome.failed + (outcome.trouble === undefined ? 0 : 1) > 0, true);
});

Deno.test("runSuite() reports an empty suite", async () => {
  const outcome = await runFixture(`export {};`);
  assert.equal(outcome.trouble, "ran no test");
});

Deno.test("runSuite() stops a suite that hangs and keeps what it had finished", async () => {
  const outcome = await runFixture(
    `
    Deno.test("done", () => {});
    Deno.test("hangs", async () => { console.log("hanging"); await new Promise((r) => setTimeout(r, 1e9)); });
  `,
    { stopOn: "hanging" },
  );
  assert.equal(outcome.passed, 1);
  assert.equal(outcome.trouble, "stopped before its end");
});

Deno.test("runSuite() takes a selection that leaves nothing for what it is", async () => {
  const source = `Deno.test("a", () => {});`;
  const outcome = await runFixture(source, { arguments: ["--related=other.ts"] });
  assert.deepEqual([outcome.passed, outcome.failed, outcome.trouble], [0, 0, undefined]);
});

Deno.test("runSuite() loads what files import once where these share an isolate", async () => {
  const counting = "export let count = 0; export const next = () => ++count;";
  const test = (count: number) => `
    import { next } from "./count.ts";
    Deno.test("counts to ${count}", () => { if (next() !== ${count}) throw new Error("no"); });
  `;
  const more = { "b_test.ts": test(2), "count.ts": counting };
  for (const isShared of [true, false]) {
    const { passed, failed } = await runFixture(test(1), {
      more,
      suite: { isShared },
    });
    assert.deepEqual([passed, failed], isShared ? [2, 0] : [1, 1]);
  }
});
