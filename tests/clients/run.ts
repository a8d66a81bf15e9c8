// Runs programs written with other people's clients against a node with `tiny`, and prints a table call by call.
// deno task test:clients [NAME...]; agents of the terminal only by their names, or as "agents"
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startNode } from "../harness/node.ts";
import { createVariant, EMBEDDING_EDITS } from "../harness/test_models.ts";
import { type Client, CLIENTS } from "./clients.ts";

const PROGRAMS = fileURLToPath(new URL("programs", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.cache/clients", import.meta.url));
const AGENTS = fileURLToPath(new URL("agents.ts", import.meta.url));
/** Arguments with which `unshare` runs what follows in a network that has nothing but loopback. */
const ALONE = ["-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];
const INSTALL_TIMEOUT_MS = 300_000;
const PROGRAM_TIMEOUT_MS = 180_000;

interface CallResult {
  readonly call: string;
  readonly ok: boolean;
  readonly detail?: string;
}

/** What came of a client: its calls, or why it was not run. */
type Outcome = { readonly skipped: string } | { readonly calls: readonly CallResult[] };

/** A process that ends by itself or by the timeout. */
async function run(
  command: string,
  args: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly env?: Record<string, string>;
    readonly cwd?: string;
  },
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const child = new Deno.Command(command, {
    args: [...args],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: options.env ?? {},
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(options.timeoutMs),
  }).spawn();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Undefined when the client can be run. */
type Ready = { readonly command: string; readonly args: readonly string[] } | {
  readonly skipped: string;
};

/** Each has a folder of its own, so that no client gets another one's versions. */
async function install(client: Client): Promise<Ready> {
  const folder = join(CACHE, client.program.replace(/\W/g, "_"));
  await Deno.mkdir(folder, { recursive: true });
  const program = join(PROGRAMS, client.program);
  switch (client.runtime) {
    case "deno":
      return await installForDeno(client, { folder, program });
    case "python":
      return await installForPython(client, { folder, program });
    case "agent":
      return await installAgent(client, folder);
  }
}

/** Packages' own scripts are not run. */
async function installAgent({ program, packages }: Client, folder: string): Promise<Ready> {
  const wanted = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder];
  try {
    const alone = await run("unshare", [...ALONE, "true"], { timeoutMs: INSTALL_TIMEOUT_MS });
    if (alone.code !== 0) return { skipped: `no network of its own: ${lastLine(alone.stderr)}` };
    const installed = await run("npm", ["install", ...flags, ...wanted], {
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
    if (installed.code !== 0) {
      return { skipped: `cannot be installed: ${lastLine(installed.stderr)}` };
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { skipped: "there is no npm, or no unshare" };
    throw error;
  }
  const started = [Deno.execPath(), "run", "-A", "--unstable-net", AGENTS, program, folder];
  return { command: "unshare", args: [...ALONE, ...started] };
}

async function installForDeno(
  { packages }: Client,
  { folder, program }: { readonly folder: string; readonly program: string },
): Promise<Ready> {
  const config = join(folder, "deno.json");
  const imports = Object.fromEntries(
    Object.entries(packages).map(([name, version]) => [name, `npm:${name}@${version}`]),
  );
  await Deno.writeTextFile(config, JSON.stringify({ nodeModulesDir: "none", imports }));
  const args = ["--config", config, "--no-lock"];
  const cached = await run(Deno.execPath(), ["cache", ...args, program], {
    timeoutMs: INSTALL_TIMEOUT_MS,
    env: { DENO_DIR: join(CACHE, "deno") },
  });
  if (cached.code !== 0) return { skipped: `cannot be installed: ${lastLine(cached.stderr)}` };
  return { command: Deno.execPath(), args: ["run", "-A", "--cached-only", ...args, program] };
}

async function installForPython(
  { packages }: Client,
  { folder, program }: { readonly folder: string; readonly program: string },
): Promise<Ready> {
  const python = join(folder, "bin", "python3");
  const wanted = Object.entries(packages).map(([name, version]) => `${name}==${version}`);
  try {
    const made = await run("python3", ["-m", "venv", folder], { timeoutMs: INSTALL_TIMEOUT_MS });
    if (made.code !== 0) return { skipped: `no venv: ${lastLine(made.stderr)}` };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { skipped: "there is no python3" };
    throw error;
  }
  const pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...wanted];
  const installed = await run(python, pip, { timeoutMs: INSTALL_TIMEOUT_MS });
  if (installed.code !== 0) {
    return { skipped: `cannot be installed: ${lastLine(installed.stderr)}` };
  }
  return { command: python, args: [program] };
}

async function outcomeOf(client: Client, origin: string): Promise<Outcome> {
  const ready = await install(client);
  if ("skipped" in ready) return ready;
  const cache: Record<string, string> = client.runtime === "deno"
    ? { DENO_DIR: join(CACHE, "deno") }
    : {};
  const env = { CLIENTS_ORIGIN: origin, PYTHONDONTWRITEBYTECODE: "1", ...cache };
  const { code, stdout, stderr } = await run(ready.command, ready.args, {
    timeoutMs: PROGRAM_TIMEOUT_MS,
    env,
  });
  const calls = stdout.split("\n").filter((line) => line.startsWith('{"call"'))
    .map((line): CallResult => JSON.parse(line));
  if (code === 0 && calls.length > 0) return { calls };
  return { calls: [...calls, { call: "(the program)", ok: false, detail: stderr.slice(-600) }] };
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

function print(client: Client, outcome: Outcome): void {
  const versions = Object.entries(client.packages).map(([name, version]) => `${name} ${version}`);
  console.log(`\n${client.name}: ${versions.join(", ")}`);
  if ("skipped" in outcome) return console.log(`  skipped    ${outcome.skipped}`);
  for (const { call, ok, detail } of outcome.calls) {
    console.log(`  ${ok ? "ok    " : "FAILED"}  ${call}`);
    if (!ok) console.log(`          ${detail?.trim().replaceAll("\n", "\n          ")}`);
  }
}

async function main(names: readonly string[]): Promise<number> {
  await using node = await startNode();
  await createVariant(node, "vectors", EMBEDDING_EDITS);
  const clients = CLIENTS.filter(({ name, runtime }) =>
    runtime === "agent"
      ? names.includes(name) || names.includes("agents")
      : names.length === 0 || names.some((wanted) => name.includes(wanted))
  );
  const results: CallResult[] = [];
  let skipped = 0;
  for (const client of clients) {
    const outcome = await outcomeOf(client, node.origin);
    print(client, outcome);
    if ("skipped" in outcome) skipped++;
    else results.push(...outcome.calls);
  }
  const failed = results.filter(({ ok }) => !ok).length;
  console.log(
    `\n${results.length} calls, ${failed} failed; ${clients.length} clients, ${skipped} skipped`,
  );
  return failed === 0 ? 0 : 1;
}

Deno.exit(await main(Deno.args));
