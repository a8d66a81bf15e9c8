/**
 * Puts bugs, most of other people's past, into membership, failover and storage, one at a time, and shows the first test
 * that catches each: `deno task mutants:tests`, `deno task mutants:tests --only stall`, or by the file that is changed,
 * `deno task mutants:tests --only core/answers`.
 *
 * @module
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ANSWERS_MUTANTS } from "./answers_mutants.ts";
import { INVARIANT_MUTANTS } from "./invariant_mutants.ts";
import { MEMBERSHIP_MUTANTS } from "./membership_mutants.ts";
import { type Mutant, patch } from "./mutant.ts";
import { STORAGE_MUTANTS } from "./storage_mutants.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** All that the tests need: mutants never touch the working tree. */
const SOURCES = ["src", "tests/sim", "tests/harness", "scripts", "deno.json", "deno.lock"];
/** Mutants and the tests that must notice them, the quick ones first. */
const GROUPS: readonly {
  readonly mutants: readonly Mutant[];
  readonly tests: readonly string[];
}[] = [
  {
    mutants: MEMBERSHIP_MUTANTS,
    tests: [
      "src/core/membership",
      "src/protocol/membership_codec_test.ts",
      "tests/sim/membership_heals_test.ts",
      "tests/sim/membership_lives_test.ts",
      "tests/sim/membership_values_test.ts",
      "tests/sim/membership_removes_no_live_node_test.ts",
      "tests/sim/membership_detects_death_test.ts",
      "tests/sim/membership_converges_test.ts",
    ],
  },
  {
    mutants: ANSWERS_MUTANTS,
    // The simulator first, to see how far it comes by itself.
    tests: ["tests/sim/answers/answers_survive_faults_test.ts", "src/core/answers"],
  },
  {
    mutants: STORAGE_MUTANTS,
    tests: ["tests/sim/raft_log_crashes_test.ts", "tests/sim/raft_log_contract_test.ts"],
  },
  {
    mutants: INVARIANT_MUTANTS,
    tests: ["membership", "scheduler", "answers", "generation", "catalogue", "raft"]
      .map((folder) => `src/core/${folder}`),
  },
];

/** The first test that fails with the mutant in, or undefined. */
async function hunt(folder: string, mutant: Mutant, tests: readonly string[]) {
  const files = [...new Set(mutant.edits.map(({ file }) => file))];
  const originals = new Map<string, string>();
  for (const file of files) originals.set(file, await readFile(join(ROOT, file), "utf8"));
  try {
    for (const [file, text] of originals) {
      await writeFile(join(folder, file), patch(text, file, mutant));
    }
    const args = ["test", "--no-check", "--fail-fast", "-A", "--reporter=tap", ...tests];
    const command = new Deno.Command(Deno.execPath(), { args, cwd: folder, stderr: "null" });
    const { stdout, success } = await command.output();
    const text = new TextDecoder().decode(stdout);
    const failed = /^not ok \d+ - (.*)$/m.exec(text)?.[1];
    // Nothing was shown by tests that could not even start.
    if (!success && failed === undefined) throw new Error(`The tests did not run: ${text}`);
    return failed;
  } finally {
    for (const [file, text] of originals) await writeFile(join(folder, file), text);
  }
}

function isMeant({ name, edits }: Mutant, only: string): boolean {
  return name.includes(only) || edits.some(({ file }) => file.includes(only));
}

async function main(): Promise<number> {
  const { values } = parseArgs({ args: Deno.args, options: { only: { type: "string" } } });
  const folder = await mkdtemp(join(tmpdir(), "odist-mutants-"));
  let survivors = 0;
  let count = 0;
  try {
    for (const source of SOURCES) {
      await mkdir(dirname(join(folder, source)), { recursive: true });
      await cp(join(ROOT, source), join(folder, source), { recursive: true });
    }
    for (const { mutants, tests } of GROUPS) {
      for (const mutant of mutants) {
        if (values.only !== undefined && !isMeant(mutant, values.only)) continue;
        const caught = await hunt(folder, mutant, tests);
        count++;
        if (caught === undefined) survivors++;
        const how = caught ?? `SURVIVED: ${mutant.does}`;
        console.log(`${mutant.kind} ${mutant.name.padEnd(40)} ${mutant.origin.padEnd(24)} ${how}`);
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  console.log(`${count - survivors} of ${count} caught`);
  return survivors === 0 ? 0 : 1;
}

Deno.exit(await main());
