/**
 * A node as it is shipped, but for its runners, which are paced ones.
 *
 * Usage: `deno run -A --unstable-net bench/paced/node.ts serve`; `PACED_FIRST_MS` (0) and `PACED_MS` (50) set the pace,
 * `PACED_DENO_FLAGS` what the node's own process is run with besides, such as `--cpu-prof`.
 *
 * @module
 */
import { join } from "node:path";
import { runCli } from "../../src/cli/mod.ts";
import { extensionOf, ownProgram } from "../../src/confinement/mod.ts";
import { ROOT } from "../measuring/servers.ts";

const DENO = [Deno.execPath(), "run", "--quiet", "--no-lock"];
const HERE = import.meta.dirname ?? ".";

if (import.meta.main) {
  const env = Deno.env.toObject();
  const program = ownProgram(ROOT, extensionOf(import.meta.url));
  const runner = [...DENO, "-A", join(HERE, "runner.ts")];
  const { PACED_FIRST_MS = "0", PACED_MS = "50", PACED_DENO_FLAGS = "" } = env;
  const own = PACED_DENO_FLAGS.split(" ").filter((flag) => flag !== "");
  Deno.exit(
    await runCli({
      args: Deno.args,
      env,
      version: "0.0.0",
      ownCommand: (flags) => [...DENO, ...own, ...flags, join(HERE, "node.ts"), ...Deno.args],
      runnerCommand: [...runner, `--first=${PACED_FIRST_MS}`, `--pace=${PACED_MS}`],
      templateWorkerCommand: program.command(
        { module: "src/models/template_worker/main", subcommand: "template-worker" },
        [],
      ),
      embeddedModelPath: join(ROOT, "src/models/embedded/tiny.gguf"),
      pageFolder: join(ROOT, "dist/ui"),
    }),
  );
}
