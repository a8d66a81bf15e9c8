import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const WORKFLOWS = fileURLToPath(new URL("../../.github/workflows", import.meta.url));

Deno.test("Workflows use actions by their commit, with its release beside it: a tag can be moved", async () => {
  const uses: string[] = [];
  for await (const { name } of Deno.readDir(WORKFLOWS)) {
    const text = await Deno.readTextFile(`${WORKFLOWS}/${name}`);
    uses.push(...text.matchAll(/^\s*(?:- )?uses: (.*)$/gm).map(([, action = ""]) => action));
  }
  assert.ok(uses.length > 0);
  for (const action of uses) assert.match(action, /^[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});
