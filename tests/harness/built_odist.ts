/**
 * The built file under test, started as a stranger's machine would: an empty HOME, and a PATH that holds the few system
 * tools the file needs and neither Deno nor Node.
 */
import { TEMPLATE_WORKER } from "./runners.ts";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const BUILT = join(ROOT, "dist", Deno.build.os === "windows" ? "odist.exe" : "odist");
/** Where machines that don't care about unpacking share one copy. */
const SHARED_CACHE = join(ROOT, ".cache", "e2e");
const TOOLS = ["gzip", "id", "ls", "mkdir", "mktemp", "rm", "tail", "tar"];
const READY_TIMEOUT_MS = 60_000;
const REMOVALS_MAX = 30;
const REMOVAL_GAP_MS = 100;

/** `ODIST_BIN`, or `dist/odist`, built first when it is missing or older than a source. */
async function ensureBuilt(): Promise<string> {
  const named = Deno.env.get("ODIST_BIN");
  if (named) return await Deno.realPath(named);
  if (await isCurrent()) return BUILT;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "build"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  if (!success) throw new Error(`deno task build failed: ${new TextDecoder().decode(stderr)}`);
  // Copies of earlier builds would pile up, a hundred megabytes each.
  await Deno.remove(SHARED_CACHE, { recursive: true }).catch(ignoreNotFound);
  return BUILT;
}

function ignoreNotFound(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
}

async function isCurrent(): Promise<boolean> {
  try {
    const builtAt = (await Deno.stat(BUILT)).mtime?.getTime() ?? 0;
    const sources = ["main.ts", "deno.json", "deno.lock", "src", "scripts/packaging"];
    const newest = await Promise.all(sources.map((path) => newestMs(join(ROOT, path))));
    return Math.max(...newest) < builtAt;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function newestMs(path: string): Promise<number> {
  const { isDirectory, mtime } = await Deno.stat(path);
  if (!isDirectory) return path.endsWith("_test.ts") ? 0 : mtime?.getTime() ?? 0;
  let newest = 0;
  for await (const entry of Deno.readDir(path)) {
    newest = Math.max(newest, await newestMs(join(path, entry.name)));
  }
  return newest;
}

let built: Promise<string> | undefined;

/** Path of the file under test; built first where that is needed. */
export function builtFile(): Promise<string> {
  return built ??= ensureBuilt();
}

/** Some systems keep the oldest tools in /bin alone. */
async function findTool(tool: string): Promise<string> {
  try {
    return await Deno.realPath(`/usr/bin/${tool}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return `/bin/${tool}`;
  }
}

/** What a finished command said. */
export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One machine with the file on it and nothing else; its folder is deleted when the scope ends. */
export class Machine {
  readonly #file: string;
  readonly folder: string;

  private constructor(file: string, folder: string) {
    this.#file = file;
    this.folder = folder;
  }

  /** A `fresh` machine never ran the file before; others find it unpacked by an earlier one. */
  static async make(history: "fresh" | "ran_before" = "ran_before"): Promise<Machine> {
    const file = await builtFile();
    const machine = new Machine(file, await Deno.makeTempDir({ prefix: "odist-e2e-" }));
    await Deno.mkdir(machine.home);
    await Deno.mkdir(join(machine.folder, "bin"));
    for (const tool of TOOLS) {
      await Deno.symlink(await findTool(tool), join(machine.folder, "bin", tool));
    }
    if (history === "ran_before") {
      await Deno.mkdir(SHARED_CACHE, { recursive: true });
      await Deno.symlink(SHARED_CACHE, machine.cache);
      await machine.run(["version"]);
    }
    return machine;
  }

  get home(): string {
    return join(this.folder, "home");
  }

  get cache(): string {
    return join(this.home, ".cache");
  }

  #command(
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    program = this.#file,
  ) {
    return new Deno.Command(program, {
      args: [...args],
      cwd: this.home,
      clearEnv: true,
      env: {
        HOME: this.home,
        PATH: join(this.folder, "bin"),
        ODIST_LISTEN: "127.0.0.1:0",
        ...environment,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  /** Runs one command to its end. */
  async run(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const { code, stdout, stderr } = await this.#command(args, environment).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) } as Said;
  }

  /** Starts a command whose output is the caller's to read. */
  start(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    return this.#command(args, environment).spawn();
  }

  /** Has the shell run a line as a person pastes it, with the file as `odist` on the PATH; the process is the file's own. */
  async paste(line: string, environment: Readonly<Record<string, string>> = {}) {
    await Deno.symlink(this.#file, join(this.folder, "bin", "odist")).catch(ignoreExisting);
    const [assignments = "", command = ""] = line.split(/ (?=odist )/);
    const args = ["-c", `${assignments} exec ${command}`];
    return this.#command(args, environment, await findTool("sh")).spawn();
  }

  /** Starts `odist serve` on a free port and waits until it is ready. */
  async serve(environment: Readonly<Record<string, string>> = {}): Promise<ServingOdist> {
    const host = `127.0.0.1:${findFreePort()}`;
    const startedAtMs = performance.now();
    const child = this.#command(["serve"], {
      ODIST_HOST: host,
      ODIST_THREADS: "1",
      ...environment,
    }).spawn();
    const serving = new ServingOdist(child, host);
    await serving.ready(startedAtMs);
    return serving;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let attempt = 1;; attempt++) {
      try {
        return await Deno.remove(this.folder, { recursive: true });
      } catch (error) {
        // Runners of a node that was killed write for a moment yet.
        if (attempt === REMOVALS_MAX || !String(error).includes("not empty")) throw error;
        await new Promise((resolve) => setTimeout(resolve, REMOVAL_GAP_MS));
      }
    }
  }
}

/** A running `odist serve`; killed when the scope ends, should it still run. */
export class ServingOdist {
  readonly host: string;
  readonly origin: string;
  readonly pid: number;
  /** Resolves at the end of the process with everything it said. */
  readonly ended: Promise<Said>;
  /** From starting the process to the first 200 of /ready. */
  readyMs = NaN;
  readonly #child: Deno.ChildProcess;
  #hasEnded = false;

  constructor(child: Deno.ChildProcess, host: string) {
    this.#child = child;
    this.pid = child.pid;
    this.host = host;
    this.origin = `http://${host}`;
    this.ended = Promise.all([
      child.status,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]).then(([{ code }, stdout, stderr]) => {
      this.#hasEnded = true;
      return { code, stdout, stderr };
    });
  }

  /** Asks /ready until it says yes. Throws Error with what the process said when it ends instead. */
  async ready(startedAtMs: number): Promise<void> {
    while (!await isReady(this.origin)) {
      if (this.#hasEnded) throw new Error(`odist ended: ${JSON.stringify(await this.ended)}`);
      if (performance.now() - startedAtMs > READY_TIMEOUT_MS) throw new Error("odist is not ready");
    }
    this.readyMs = performance.now() - startedAtMs;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** POSTs JSON; the answer's body is left unread. */
  post(path: string, body: unknown): Promise<Response> {
    return fetch(`${this.origin}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
    await this.ended;
  }
}

/** A greedy request that streams. */
export function generateRequest(prompt: string, answerTokens: number) {
  return {
    model: "tiny",
    prompt,
    options: { temperature: 0, num_predict: answerTokens },
  };
}

/** The lines of a streamed answer as they come. */
export async function* readLines(
  response: Response,
): AsyncGenerator<{ response?: string; done?: boolean; done_reason?: string; error?: string }> {
  let rest = "";
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

/** An answer's whole text; `beforeLine` is called with the number of each line, from 1, and the text so far, before it is taken. */
export async function readAnswer(
  response: Response,
  beforeLine: (lineNumber: number, text: string) => void = () => {},
): Promise<string> {
  let text = "";
  let lineNumber = 0;
  let done = false;
  for await (const line of readLines(response)) {
    beforeLine(++lineNumber, text);
    if (line.error !== undefined) throw new Error(`The answer ended with "${line.error}"`);
    text += line.response ?? "";
    done = line.done === true;
  }
  if (!done) throw new Error(`The answer ended without its last line: "${text}"`);
  return text;
}

/** Kills the one runner of a node, as the system does when memory runs out; returns its process id. Linux only. */
export function killRunner(node: ServingOdist): number {
  const [runner, ...others] = findRunners(node.pid);
  if (runner === undefined || others.length > 0) {
    throw new Error(`Wanted exactly one runner: there are ${[runner, ...others]}`);
  }
  Deno.kill(runner, "SIGKILL");
  return runner;
}

/** Process ids of the living runners below a node. Linux only. */
export function findRunners(pid: number): number[] {
  const list = [...Deno.readDirSync(`/proc/${pid}/task`)]
    .map((task) => Deno.readTextFileSync(`/proc/${pid}/task/${task.name}/children`));
  return list.join(" ").split(/\s+/).filter((id) => id !== "").map(Number).filter(isRunner);
}

/** A process that ended stays listed until its parent has heard of it. */
function isRunner(pid: number): boolean {
  try {
    return !TEMPLATE_WORKER.test(Deno.readTextFileSync(`/proc/${pid}/cmdline`)) &&
      !/\) [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

export function findFreePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** A connection that is refused is awaited by the system, so that this never spins. */
async function isReady(origin: string): Promise<boolean> {
  try {
    const response = await fetch(`${origin}/ready`);
    await response.body?.cancel();
    return response.ok;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 2));
    return false;
  }
}
