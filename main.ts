/**
 * The program's way in. A runner process must start fast and loads nothing of the command line or the node, so it is
 * told apart before anything else is imported.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import packageFile from "./deno.json" with { type: "json" };

/** Hidden subcommand: one loaded model, spoken to over its pipes. `--probe` only tells which libraries there are, `--quantize` rewrites a file. */
const RUNNER = "runner";

/** How to start this very program again, whatever it was packed into. */
function ownCommand(): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  const path = fileURLToPath(Deno.mainModule);
  // A bundle is whole; any configuration found above its folder would be somebody else's.
  const closed = ["--no-config", "--no-lock", "--no-prompt", "--cached-only"];
  // From source, Deno would add this machine's own llama.cpp package to the lock file of all machines.
  const flags = path.endsWith(".js") ? closed : ["--no-lock"];
  return [Deno.execPath(), "run", "--quiet", "-A", ...flags, path];
}

async function run(): Promise<number> {
  const env = Deno.env.toObject();
  const { runCli } = await import("./src/cli/mod.ts");
  return await runCli({
    args: Deno.args,
    env,
    version: packageFile.version,
    runnerCommand: [...ownCommand(), RUNNER],
    embeddedModelPath: env.ODIST_EMBEDDED_MODEL ||
      fileURLToPath(new URL("./src/models/embedded/tiny.gguf", import.meta.url)),
  });
}

if (Deno.args[0] === RUNNER) {
  const runner = await import("./src/inference/runner/mod.ts");
  const nativeFolder = Deno.env.get("ODIST_NATIVE_DIR");
  const [, mode, ...words] = Deno.args;
  if (mode === "--probe") await runner.printNatives(nativeFolder);
  else if (mode === "--quantize") {
    const { quantizeFile } = await import("./src/inference/quantize/mod.ts");
    await quantizeFile(nativeFolder, words);
  } else await runner.runRunner(nativeFolder);
} else Deno.exit(await run());
