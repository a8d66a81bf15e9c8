/**
 * A whole node whose runners are paced: the command line of the sources that are named, but for what computes.
 *
 * Usage: `paced_node.ts SOURCES [at-once,]MS_PER_TOKEN serve`.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

const [sources = "", msPerToken = "", ...args] = Deno.args;
const RUNNER = fileURLToPath(new URL("paced_runner.ts", import.meta.url));
const run = (rights: readonly string[], module: string) => {
  return [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    ...rights,
    "--no-lock",
    "--no-check",
    "--unstable-net",
    module,
  ];
};
const { runCli } = await import(`file://${sources}/src/cli/mod.ts`);

Deno.exit(
  await runCli({
    args,
    env: Deno.env.toObject(),
    version: "0.0.0",
    ownCommand: (rights: readonly string[]) => [
      ...run(rights, fileURLToPath(import.meta.url)),
      ...Deno.args,
    ],
    runnerCommand: [...run(["-A"], RUNNER), msPerToken],
    templateWorkerCommand: run([], `${sources}/src/models/template_worker/main.ts`),
    embeddedModelPath: `${sources}/src/models/embedded/tiny.gguf`,
    pageFolder: `${sources}/dist/ui`,
  }),
);
