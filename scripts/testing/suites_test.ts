import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import denoFile from "../../deno.json" with { type: "json" };
import { findTestFiles, SUITES, TASKS } from "./suites.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

for (const [name, task] of Object.entries(TASKS)) {
  Deno.test(`TASKS: ${name} finds test files in some of its suites, and can be typed`, async () => {
    const suites = SUITES.filter((suite) => task.suites.includes(suite.name));
    assert.equal(suites.length, task.suites.length, "a suite of that name is missing");
    const files = (await Promise.all(suites.map((suite) => findTestFiles(suite, ROOT)))).flat();
    const chosen = files.filter((file) => task.only?.test(file) !== false);
    assert.ok(chosen.length > 0);
    if (task.only !== undefined) assert.ok(chosen.length < files.length, "it selects nothing");
    assert.ok(`test:${name}` in denoFile.tasks);
  });
}
