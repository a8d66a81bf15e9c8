import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import denoFile from "../deno.json" with { type: "json" };
import { CHECK_NAMES } from "./ok.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const WORKFLOWS = join(ROOT, ".github/workflows");

function textsOfWorkflows(): string[] {
  return [...Deno.readDirSync(WORKFLOWS)].map(({ name }) =>
    Deno.readTextFileSync(join(WORKFLOWS, name))
  );
}

/** Whatever the pattern's group found in any workflow. */
function named(pattern: RegExp): string[] {
  return textsOfWorkflows().flatMap((text) =>
    [...text.matchAll(pattern)].map(([, found = ""]) => found)
  );
}

Deno.test("Workflows ask only for checks that there are", () => {
  const asked = named(/ok\.ts ([^\n]*)/g).flatMap((words) => words.trim().split(/\s+/));
  assert.ok(asked.length > 5);
  assert.deepEqual(asked.filter((name) => !CHECK_NAMES.includes(name)), []);
});

Deno.test("Workflows run only tasks that there are", () => {
  const suites = named(/suite: \[([^\]]*)\]/g).flatMap((list) => list.split(/,\s*/));
  const hunts = named(/^ {10}- ([a-z:]+) --?\w/gm).concat(named(/^ {10}- (mutants:tests)$/gm));
  const asked = named(/\$DENO task ([\w:-]+)(?:\s|$)/g).filter((name) => !name.endsWith(":"));
  const all = [...asked, ...hunts, ...suites.map((suite) => `test:${suite}`)];
  assert.ok(suites.length > 0 && hunts.length > 5 && asked.length > 5);
  assert.deepEqual(all.filter((name) => !(name in denoFile.tasks)), []);
});

Deno.test("ok.ts refuses a check that it does not know", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "scripts/ok.ts", "fmt", "docs"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.equal(code, 2);
  assert.match(new TextDecoder().decode(stderr), /Cannot check docs: wanted some of fmt, lint/);
});
