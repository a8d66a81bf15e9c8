import assert from "node:assert/strict";
import { ANSWERS_MUTANTS } from "./answers_mutants.ts";
import { RAFT_MUTANTS } from "./catalogue.ts";
import { INVARIANT_MUTANTS } from "./invariant_mutants.ts";
import { MEMBERSHIP_MUTANTS } from "./membership_mutants.ts";
import { patch } from "./mutant.ts";
import { STORAGE_MUTANTS } from "./storage_mutants.ts";

const ROOT = new URL("../../../", import.meta.url);

Deno.test("Every mutant fits the sources and has a name of its own", () => {
  const names = new Set<string>();
  const misfits: string[] = [];
  for (
    const mutant of [
      ...RAFT_MUTANTS,
      ...MEMBERSHIP_MUTANTS,
      ...ANSWERS_MUTANTS,
      ...STORAGE_MUTANTS,
      ...INVARIANT_MUTANTS,
    ]
  ) {
    assert.ok(!names.has(mutant.name), mutant.name);
    names.add(mutant.name);
    for (const { file } of mutant.edits) {
      const source = Deno.readTextFileSync(new URL(file, ROOT));
      try {
        assert.notEqual(patch(source, file, mutant), source, mutant.name);
      } catch (error) {
        misfits.push(String(error));
      }
    }
  }
  // All at once: whoever rewrote a file mends them in one go.
  assert.deepEqual(misfits, []);
});

Deno.test("A patch whose text is absent, or there twice, is an error", () => {
  const mutant = {
    name: "sample",
    origin: "none",
    does: "nothing",
    kind: "S" as const,
    edits: [{ file: "a.ts", find: "x", replace: "y" }],
  };
  assert.equal(patch("1 x", "a.ts", mutant), "1 y");
  assert.throws(() => patch("1 2", "a.ts", mutant), /0 times/);
  assert.throws(() => patch("x x", "a.ts", mutant), /2 times/);
});
