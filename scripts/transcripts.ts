/**
 * Replays recorded dialogues through the Raft core: interaction, quorum and membership-change files.
 *
 * Usage: `deno task transcripts [--rewrite] [FILE|FOLDER…]`. Without arguments: the recorded cases in
 * `ODIST_TEST_VECTORS` (default `../shared/vectors`), and the project's own in `tests/sim/transcripts`. Exits 1 on any
 * difference. `--rewrite` replaces the outputs in the files given, to be read as a diff.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeDifference, replay, rewrite } from "../tests/sim/replay/replay.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIFFERENCES_SHOWN_MAX = 3;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    allowPositionals: true,
    options: { rewrite: { type: "boolean", default: false } },
  });
  if (values.rewrite && positionals.length === 0) {
    throw new TypeError("Cannot rewrite without being told which files");
  }
  const files = await collect(positionals.length > 0 ? positionals : await defaultFolders());
  if (values.rewrite) {
    for (const file of files) {
      await Deno.writeTextFile(file, rewrite(await Deno.readTextFile(file)));
    }
    console.log(`Rewrote ${files.length} files`);
    return 0;
  }
  let failed = 0;
  for (const file of files) {
    if (!await check(file)) failed++;
  }
  console.log(`${files.length - failed} of ${files.length} files agree`);
  // Nothing replayed is nothing shown.
  return failed === 0 && files.length > 0 ? 0 : 1;
}

async function defaultFolders(): Promise<string[]> {
  const own = join(ROOT, "tests/sim/transcripts");
  const vectors = Deno.env.get("ODIST_TEST_VECTORS") ?? join(ROOT, "../shared/vectors");
  const recorded = join(vectors, "etcd-raft");
  if (existsSync(recorded)) return [recorded, own];
  console.log(`Recorded cases left out: there is no ${recorded}`);
  return [own];
}

async function collect(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (!(await Deno.stat(path)).isDirectory) {
      files.push(path);
      continue;
    }
    const names: string[] = [];
    for await (const entry of Deno.readDir(path)) {
      if (entry.isDirectory || entry.name.endsWith(".txt")) names.push(join(path, entry.name));
    }
    files.push(...await collect(names.sort()));
  }
  return files;
}

async function check(file: string): Promise<boolean> {
  const name = relative(Deno.cwd(), file);
  try {
    const { directiveCount, differences } = replay(await Deno.readTextFile(file));
    if (differences.length === 0) {
      console.log(`ok      ${name} (${directiveCount} directives)`);
      return true;
    }
    console.log(`FAILED  ${name}: ${differences.length} of ${directiveCount} directives differ`);
    for (const difference of differences.slice(0, DIFFERENCES_SHOWN_MAX)) {
      console.log(describeDifference(difference));
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.log(`FAILED  ${name}: ${error.stack ?? error.message}`);
  }
  return false;
}

if (import.meta.main) Deno.exit(await main());
