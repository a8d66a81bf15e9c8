/**
 * Runs the micro benches of `bench/micro` and compares them with the stored figures: `deno task test:performance`, `--update` to
 * store new ones. A figure is a bench's shortest time divided by that of the reference bench of the same run, so that it means
 * the same on a slower or busier machine.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  compareFigures,
  figuresOf,
  type MicroFigures,
  REGRESSION_MAX,
} from "./testing/micro_figures.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const BASELINE = join(ROOT, "bench/micro/baseline.json");
/** Runs of all benches, of which each bench's best counts: what disturbs a run only ever makes it slower. */
const RUNS = 3;
/** More runs when something looks slower. */
const EXTRA_RUNS_MAX = 4;

async function runBenches(): Promise<MicroFigures> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bench", "-A", "--no-check", "--no-lock", "--json", "bench/micro"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return figuresOf(JSON.parse(new TextDecoder().decode(stdout)));
}

function best(one: MicroFigures, other: MicroFigures): MicroFigures {
  return Object.fromEntries(
    Object.entries(one).map(([name, figure]) => [name, Math.min(figure, other[name] ?? figure)]),
  );
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { update: { type: "boolean", default: false } } });
  let figures = await runBenches();
  for (let run = 1; run < RUNS; run++) figures = best(figures, await runBenches());
  if (values.update) {
    await Deno.writeTextFile(BASELINE, JSON.stringify(figures, undefined, 2) + "\n");
    console.log(`Stored ${Object.keys(figures).length} figures`);
    return 0;
  }
  const baseline: MicroFigures = JSON.parse(await Deno.readTextFile(BASELINE));
  let findings = compareFigures(figures, baseline);
  for (let run = 0; run < EXTRA_RUNS_MAX && findings.length > 0; run++) {
    figures = best(figures, await runBenches());
    findings = compareFigures(figures, baseline);
  }
  for (const [name, figure] of Object.entries(figures)) {
    const stored = baseline[name];
    const change = stored === undefined ? "" : `${(figure / stored).toFixed(2)} x`;
    console.log(`${figure.toFixed(3).padStart(10)} ${change.padStart(7)}  ${name}`);
  }
  for (const finding of findings) console.error(finding);
  const held = Object.keys(figures).length - findings.length;
  console.log(`benches within ${Math.round((REGRESSION_MAX - 1) * 100)} % of the stored figures:`);
  console.log(`${Math.max(0, held)} passed, ${findings.length} failed`);
  return findings.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
