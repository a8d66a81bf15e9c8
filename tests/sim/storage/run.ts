/**
 * Runs the Raft simulator with the shipped log on real files and with what befalls disks: `deno task sim:storage`. Each
 * fault with and without members that come and go; ends with a table. `--only flip_log --seed 7 --trace` shows one run,
 * `--memory` leaves out the real files.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { makeFolder, simulateStored, type StoredReport } from "./stored_run.ts";
import { STORAGE_FAULTS, type StorageFault } from "./strikes.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    only: { type: "string" },
    memory: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
  },
});

const from = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const kinds = STORAGE_FAULTS.filter((kind) => values.only === undefined || kind === values.only);
if (kinds.length === 0) throw new Error(`--only takes one of ${STORAGE_FAULTS.join(", ")}`);

const folder = values.memory ? undefined : await makeFolder();

/** One line of the table; false when a run failed. */
async function row(kind: StorageFault, changesGroup: boolean): Promise<boolean> {
  const sums = { violations: 0, idle: 0, struck: 0, said: 0, mended: 0, led: 0, acknowledged: 0 };
  for (let seed = from; seed < from + count; seed++) {
    const run = { seed, kind, changesGroup, folder, keepsLines: values.trace };
    const report = await simulateStored(run);
    if (report.violation !== undefined) sums.violations++;
    if (report.tally.struck === 0) sums.idle++;
    tell(report, `${kind}${changesGroup ? " while members change" : ""}, seed ${seed}`);
    for (const name of ["struck", "said", "mended", "led"] as const) {
      sums[name] += report.tally[name];
    }
    sums.acknowledged += report.operations;
  }
  const cells = [kind, changesGroup ? "yes" : "no", count, ...Object.values(sums)];
  console.log(`| ${cells.join(" | ")} |`);
  return sums.violations === 0 && sums.idle === 0;
}

function tell({ trace, violation, tally }: StoredReport, which: string): void {
  for (const line of trace) console.log(line);
  if (violation !== undefined) console.error(`${which}: ${violation}`);
  if (tally.struck === 0) console.error(`${which}: it never struck`);
}

if (import.meta.main) {
  console.log(
    "| fault | members change | seeds | runs that break a promise | runs it never struck | struck | said so | mended | led afterwards | operations answered |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|");
  let isGood = true;
  try {
    for (const kind of kinds) {
      const rows = [await row(kind, false), await row(kind, true)];
      isGood &&= !rows.includes(false);
    }
  } finally {
    if (folder !== undefined) await Deno.remove(folder, { recursive: true });
  }
  Deno.exit(isGood ? 0 : 1);
}
