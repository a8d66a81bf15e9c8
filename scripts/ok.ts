/**
 * Everything a commit must pass, behind one command: `deno task ok`, or some of it by name. All checks run even when one fails, so
 * that one run shows everything there is to mend.
 *
 * @module
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** One check: a `deno` command line that exits 0 when all is well. */
interface Check {
  readonly name: string;
  readonly args: readonly string[];
}

const script = (name: string, path: string, ...args: string[]): Check => ({
  name,
  args: ["run", "-A", path, ...args],
});

/** The cheap ones first. */
const CHECKS: readonly Check[] = [
  { name: "fmt", args: ["fmt", "--check"] },
  { name: "lint", args: ["lint"] },
  { name: "types", args: ["check", "main.ts", "src", "tests", "scripts", "bench"] },
  script("imports", "scripts/check_imports.ts"),
  script("sizes", "scripts/check_sizes.ts"),
  script("exports", "scripts/check_exports.ts"),
  script("figures", "scripts/check_figures.ts"),
  script("docs/CONFIG.md", "scripts/generate_config.ts", "--check"),
  script("docs/CLI.md", "scripts/generate_cli.ts", "--check"),
  script("deploy", "scripts/packages/generate.ts", "--check"),
  script("tests", "scripts/test.ts", "quick"),
  script("bench", "bench/engine.ts", "--smoke"),
  { name: "micro", args: ["bench", "-A", "--no-check", "bench/micro"] },
];

/** Names that may be asked for. */
export const CHECK_NAMES: readonly string[] = CHECKS.map(({ name }) => name);

async function main(): Promise<number> {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const only = Deno.args;
  const unknown = only.filter((name) => !CHECK_NAMES.includes(name));
  if (unknown.length > 0) {
    console.error(`Cannot check ${unknown.join(", ")}: wanted some of ${CHECK_NAMES.join(", ")}`);
    return 2;
  }
  const failed: string[] = [];
  for (const check of CHECKS) {
    if (only.length > 0 && !only.includes(check.name)) continue;
    const startedAtMs = performance.now();
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...check.args],
      cwd: root,
      stdin: "null",
    }).output();
    const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
    console.log(`${success ? "ok    " : "FAILED"} ${check.name} (${seconds} s)`);
    if (success) continue;
    failed.push(check.name);
    Deno.stdout.writeSync(stdout);
    Deno.stdout.writeSync(stderr);
  }
  console.log(failed.length === 0 ? "All checks passed" : `Failed: ${failed.join(", ")}`);
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
