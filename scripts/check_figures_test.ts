import assert from "node:assert/strict";
import { checkPages, type Page, readPages } from "./check_figures.ts";
import { figuresIn } from "./checks/page_figures.ts";
import { SourceConstants } from "./checks/source_constants.ts";

const SOURCES = new Map([
  [
    "src/a/limits.ts",
    `
/** Not this: const QUEUE_MAX = 1; */
export const QUEUE_MAX = 512;
const KIB = 1024;
const FRAME_BYTES_MAX: number = 64 * KIB;
const VALUES_MAX = 2 ** 20;
const WAIT_MS = 10_000;
const SHARE = 3 / 4;
const HEAP_MIB = 64;
export const TIMES = {
  name: "x", isLong: true, // A remark.
  idleMs: 30 * 60_000,
  pauseMs: { first: 250, max: 4_000 },
} as const satisfies Times;
const LOOK_MS = 50;
const NAMES = ["a"];
`,
  ],
  ["src/b/limits.ts", `const LOOK_MS = 1_000;`],
  ["src/b/other_test.ts", ``],
]);
const CONSTANTS = new SourceConstants(SOURCES);
const OPTIONS = new Map([["--max-queue", { value: 512, dimension: "plain" } as const]]);
const FACTS = {
  numberOf: (name: string) => CONSTANTS.numberOf(name, OPTIONS),
  files: [...SOURCES.keys(), "docs/PAGE.md"],
};

function findings(text: string, isStrict = true): string[] {
  const page: Page = { path: "docs/PAGE.md", text, isStrict };
  return checkPages([page], FACTS).map((finding) => finding.replace(/^docs\/PAGE.md:/, ""));
}

function row(limit: string, constants: string): string[] {
  const head = "| what | limit | when full | constants |\n| --- | --- | --- | --- |\n";
  return findings(`# Limits\n\n${head}| it | ${limit} | 503 | ${constants} |\n`);
}

Deno.test("figures are read as people write them", () => {
  for (
    const [text, value] of [
      ["512 of them", 512],
      ["1,024", 1_024],
      ["64 KiB", 65_536],
      ["8 MiB", 8_388_608],
      ["1 Mi values", 1_048_576],
      ["250 ms", 250],
      ["0.25 s", 250],
      ["10 s", 10_000],
      ["30 minutes", 1_800_000],
      ["half a minute", 30_000],
      ["an hour", 3_600_000],
      ["12 days", 12 * 86_400_000],
      ["five seconds", 5_000],
      ["a million", 1_000_000],
      ["2^52.", 2 ** 52],
      ["three tries", 3],
    ] as const
  ) {
    assert.deepEqual(figuresIn(`at most ${text}, and a bit`).map((it) => it.value), [value], text);
  }
  const none =
    '`512` IPv6 10/8 127.0.0.1:80 #17 v1.2.3 a second one [x](y_12) <!-- 7 --> "8 MiB of JSON"';
  assert.deepEqual(figuresIn(none).filter(({ form }) => form !== "word"), []);
});

Deno.test("a row of limits says what its constants say, in whatever form", () => {
  assert.deepEqual(row("512 (`--max-queue`)", ""), []);
  assert.deepEqual(row("512, own 384", "`QUEUE_MAX`, `--max-queue * SHARE`"), []);
  assert.deepEqual(
    row("64 KiB, 1 Mi values, 64 MiB", "`FRAME_BYTES_MAX`, `VALUES_MAX`, `HEAP_MIB`"),
    [],
  );
  assert.deepEqual(row("10 s, then 30 minutes", "`WAIT_MS`, `TIMES.idleMs`"), []);
  assert.deepEqual(row("0.25 s to 4 s", "`TIMES.pauseMs.first`, `TIMES.pauseMs.max`"), []);
  assert.deepEqual(row("1 s", "`b/limits.ts LOOK_MS`"), []);
});

Deno.test("a row of limits that differs from the source is found, whichever of them was changed", () => {
  assert.deepEqual(row("500", "`QUEUE_MAX`"), [
    "5: it: QUEUE_MAX is 512 in the source, and no figure says so",
    '5: it: "500" is the value of no constant that is named',
  ]);
  assert.deepEqual(row("500 (`--max-queue`)", ""), [
    '5: it: "500" is the value of no constant that is named',
  ]);
  assert.deepEqual(row("512, 10 ms", "`QUEUE_MAX`"), [
    '5: it: "10 ms" is the value of no constant that is named',
  ]);
  // A time is no count, whatever the digits.
  assert.equal(row("10,000", "`WAIT_MS`").length, 2);
  assert.deepEqual(row("what fits", ""), ["5: it: no constant is named"]);
  assert.deepEqual(row("512", "`GONE_MAX`, `QUEUE_MAX`"), ["5: it: no constant GONE_MAX"]);
  assert.deepEqual(row("512", "`QUEUE_MAX`, `--gone`"), ["5: it: no option --gone"]);
  assert.match(row("1 s", "`LOOK_MS`")[0] ?? "", /in src\/a\/limits.ts, src\/b\/limits.ts: put/);
  assert.match(row("1", "`NAMES`")[0] ?? "", /no number|can't be read/);
});

Deno.test("a figure in running text is held to the constants in the comment in or behind it", () => {
  assert.deepEqual(findings("It waits for 10 s.\n\n<!-- figures: WAIT_MS -->\n"), []);
  assert.deepEqual(findings("- It waits for 10 s. <!-- figures: WAIT_MS -->\n- And so on."), []);
  assert.deepEqual(findings("It waits\nfor 2 s.\n\n<!-- figures: WAIT_MS -->\n", false), [
    "1: WAIT_MS is 10000 ms in the source, and no figure says so",
  ]);
  assert.deepEqual(findings("Up to 500 wait.\n\n<!-- figures: QUEUE_MAX -->\n").length, 1);
  assert.deepEqual(findings("10 s.\n\nMore.\n\n<!-- figures: WAIT_MS -->\n").length, 2);
});

Deno.test("a time or a size that no constant holds is found, unless it is said to be none of the source", () => {
  assert.deepEqual(findings("It waits\nfor 2 s."), [
    '2: "2 s" is the value of no constant that is named',
  ]);
  assert.deepEqual(findings("It waits for 2 s.", false), [], "only where each figure is wanted");
  assert.deepEqual(findings("```\nsleep 2 s\n```\n"), []);
  assert.deepEqual(findings("Took 2 s. <!-- not of the source: 2 s -->"), []);
  assert.deepEqual(findings("Took 3 days. <!-- not of the source: 2 s, 3 days -->"), [
    '1: "2 s" is not written here: delete it from the comment',
  ]);
});

Deno.test("files that a page names are there", () => {
  const there =
    "`src/a/limits.ts`, `limits.ts`, `src/b/`, `src/*/other_test.ts`, `src/b/*_test.ts`";
  assert.deepEqual(findings(there), []);
  for (
    const gone of ["src/a/gone_test.ts", "gone.ts", "tests/none/", "src/a/l*_test.ts", "imits.ts"]
  ) {
    assert.deepEqual(findings(`| a fault | nothing | \`${gone}\` |`), [`1: there is no ${gone}`]);
  }
});

Deno.test("each constant that a page of ours names fails the check when it changes", async () => {
  const [pages, facts] = await readPages();
  const named = new Set<string>();
  for (const page of pages) {
    const here = new Set<string>();
    const numberOf = (name: string) => {
      here.add(name);
      return facts.numberOf(name);
    };
    assert.deepEqual(checkPages([page], { ...facts, numberOf }), []);
    for (const changed of here) {
      named.add(changed);
      // The default by which a node chooses for itself stands on no page.
      if (facts.numberOf(changed).value === 0) continue;
      const changing = (name: string) => {
        const { value, dimension } = facts.numberOf(name);
        return { value: name === changed ? value * 1.37 : value, dimension };
      };
      const found = checkPages([page], { ...facts, numberOf: changing });
      assert.notDeepEqual(found, [], `${changed} in ${page.path}`);
    }
  }
  assert.ok(named.size > 100, `${named.size} constants are named`);
});
