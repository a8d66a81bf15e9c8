/**
 * The program's way in. Runners and template workers have ways of their own, so that they load nothing of the command line or the node; where
 * the program is one file with one way in, hidden subcommands lead there.
 *
 * @module
 */
import packageFile from "./deno.json" with { type: "json" };
import { type Entry, extensionOf, ownProgram } from "./src/confinement/mod.ts";
import { CONFINED_RUNNER, RUNNER } from "./src/inference/launch/mod.ts";

/** Everything else. */
const MAIN: Entry = { module: "main", subcommand: "" };
/** Renders templates; has no rights at all. */
const TEMPLATE_WORKER: Entry = {
  module: "src/models/template_worker/main",
  subcommand: "template-worker",
};
const FOLDER = import.meta.dirname ?? ".";
const program = ownProgram(FOLDER, extensionOf(import.meta.url));

async function run(): Promise<number> {
  const env = Deno.env.toObject();
  const { runCli } = await import("./src/cli/mod.ts");
  return await runCli({
    args: Deno.args,
    env,
    version: packageFile.version,
    ownCommand: (flags) => [...program.command(MAIN, flags), ...Deno.args],
    runnerCommand: program.command(RUNNER, ["-A"]),
    templateWorkerCommand: program.command(TEMPLATE_WORKER, []),
    embeddedModelPath: env.ODIST_EMBEDDED_MODEL || `${FOLDER}/src/models/embedded/tiny.gguf`,
    pageFolder: env.ODIST_EMBEDDED_PAGE || `${FOLDER}/dist/ui`,
  });
}

/** Becomes a runner; `words` are its own. */
async function launch(words: readonly string[]): Promise<void> {
  const { launchRunner } = await import("./src/inference/launch/mod.ts");
  const place = await launchRunner(program, words);
  const { becomeRunner } = await import("./src/inference/confined/mod.ts");
  await becomeRunner(place, words);
}

/** Is a runner that has given up its rights already. */
async function becomeConfined(words: readonly string[]): Promise<void> {
  const { becomeRunner } = await import("./src/inference/confined/mod.ts");
  const [confinement = "", nativeFolder = "", ownNativeFolder = "", ...rest] = words;
  await becomeRunner({ confinement, nativeFolder, ownNativeFolder }, rest);
}

const [command, ...words] = Deno.args;
if (command === RUNNER.subcommand) await launch(words);
else if (command === CONFINED_RUNNER.subcommand) await becomeConfined(words);
else if (command === TEMPLATE_WORKER.subcommand) {
  const { serveTemplates } = await import("./src/models/template_worker/mod.ts");
  serveTemplates();
} else Deno.exit(await run());
