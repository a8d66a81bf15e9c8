import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { PLATFORMS } from "../packages/description.ts";

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

Deno.test("The release workflow builds the file of each system, and publishes nothing that was not signed", async () => {
  const { jobs } = parse(await Deno.readTextFile(`${WORKFLOWS}/release.yml`));
  const rows: readonly { readonly file: string }[] = jobs.file.strategy.matrix.include;
  assert.deepEqual(rows.map(({ file }) => file), PLATFORMS.map(({ file }) => file));
  const steps: readonly Readonly<Record<string, unknown>>[] = jobs.release.steps;
  const text = steps.map((step) => `${step.uses ?? ""}${step.run ?? ""}`);
  const positions = ["task packages", "sha256sum --check", "attest-build-provenance", "gh release"]
    .map((words) => text.findIndex((step) => step.includes(words)));
  assert.ok(positions.every((position) => position >= 0), `${positions}`);
  assert.deepEqual(positions, [...positions].sort((left, right) => left - right));
  // What publishes does so for a tag alone.
  const publishing = steps.filter(({ run = "" }) => /gh release|docker|helm push/.test(`${run}`));
  assert.equal(publishing.length, 2);
  for (const step of publishing) assert.match(`${step.if}`, /refs\/tags\/v/);
});
