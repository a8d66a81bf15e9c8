import assert from "node:assert/strict";

const PAGE = new URL("../docs/SECURITY.md", import.meta.url);
/** A path, and perhaps the title of a test in it. */
const NAMED_TEST = /`([\w/.-]+_test\.ts)`(?:: "([^"]+)")?/g;
/** Rows without a test: what is not there can't be tested. */
const UNTESTED_ROWS = ["Archives that unpack elsewhere (zip slip)", "Updates"];

Deno.test("docs/SECURITY.md names only tests that are there", async () => {
  const page = await Deno.readTextFile(PAGE);
  const named = [...page.matchAll(NAMED_TEST)];
  assert.ok(named.length > 30, `${named.length} tests are named`);
  for (const [, path = "", title] of named) {
    const text = await Deno.readTextFile(new URL(`../${path}`, import.meta.url));
    if (title !== undefined) assert.ok(text.includes(title), `${path} has no test "${title}"`);
  }
});

Deno.test("docs/SECURITY.md answers each kind of weakness with a test", async () => {
  const page = await Deno.readTextFile(PAGE);
  const [, section = ""] = page.split("## Weaknesses that this kind of server had");
  const rows = section.split("\n## ")[0]?.split("\n").filter((line) => line.startsWith("| "));
  const [, , ...kinds] = rows ?? [];
  assert.ok(kinds.length >= 20);
  for (const row of kinds) {
    const kind = row.split("|")[1]?.trim() ?? "";
    assert.equal(/_test\.ts`/.test(row), !UNTESTED_ROWS.includes(kind), kind);
  }
});
