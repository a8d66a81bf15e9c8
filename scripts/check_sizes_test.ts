import assert from "node:assert/strict";
import { checkRoot, checkSizes, type SizedFile } from "./check_sizes.ts";

const NONE = { files: [], functions: [], folders: [] };

function folderOf16(): SizedFile[] {
  return Array.from({ length: 16 }, (_, index) => ({ path: `src/http/f${index}.ts`, lines: 10 }));
}

Deno.test("checkSizes() finds a long file unless its exception allows it", () => {
  const files = [{ path: "src/http/a.ts", lines: 801 }, { path: "src/http/b.ts", lines: 800 }];
  assert.deepEqual(checkSizes(files, NONE), [
    "src/http/a.ts: has 801 lines, at most 800 are allowed",
  ]);
  const excepted = (lines: number) => ({
    ...NONE,
    files: [{ file: "src/http/a.ts", lines, because: "a test" }],
  });
  assert.deepEqual(checkSizes(files, excepted(801)), []);
  assert.match(checkSizes(files, excepted(900))[0] ?? "", /lower or delete its exception/);
});

Deno.test("checkSizes() finds an exception for a file that is gone", () => {
  const exceptions = { ...NONE, files: [{ file: "src/x.ts", lines: 900, because: "a test" }] };
  assert.deepEqual(checkSizes([], exceptions), ["src/x.ts: is gone; delete its exception"]);
});

Deno.test("checkSizes() counts sources of a folder without its tests", () => {
  assert.deepEqual(checkSizes(folderOf16(), NONE), [
    "src/http: has 16 sources, at most 15 are allowed",
  ]);
  const withTest = [...folderOf16().slice(1), { path: "src/http/f_test.ts", lines: 1 }];
  assert.deepEqual(checkSizes(withTest, NONE), []);
});

Deno.test("checkSizes() finds a file too deep below src", () => {
  const files = [{ path: "src/core/raft/deep/a.ts", lines: 1 }];
  assert.match(checkSizes(files, NONE)[0] ?? "", /deeper than 2/);
});

Deno.test("checkRoot() finds strangers at the root", () => {
  assert.deepEqual(checkRoot(["deno.json", ".ci/run", "NOTES.md", "src/a.ts", "lib/b.ts"]), [
    "NOTES.md: must not be at the root",
    "lib: must not be at the root",
  ]);
});

Deno.test("checkSizes() counts the lines of the wiring without its tests", () => {
  const lines = (count: number) => [
    { path: "src/node/node.ts", lines: 700 },
    { path: "src/node/assembly/cluster.ts", lines: 800 },
    { path: "src/node/assembly/machinery.ts", lines: count },
    { path: "src/node/node_test.ts", lines: 500 },
  ];
  assert.deepEqual(checkSizes(lines(800), NONE), []);
  const most = [...lines(800), { path: "src/node/open_node.ts", lines: 1 }];
  assert.deepEqual(checkSizes(most, NONE), [
    "src/node/: has 2301 lines, at most 2300 are allowed",
  ]);
});
