import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseLines } from "./json_lines.ts";
import { endWithRun, folderPrefix } from "./run_end.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** A node that isn't listening by then never will. */
const START_TIMEOUT_MS = 60_000;
/** Longer than any drain timeout the tests configure. */
const STOP_TIMEOUT_MS = 90_000;
/** Of what a node printed, the end is kept for error messages. */
const PRINTED_CHARS_MAX = 20_000;
/**
 * Variables the runtime itself needs to find its cache and its registry, and how much nodes are to say; nothing else of ours
 * reaches a node.
 */
const KEPT_VARIABLES =
  /^(?:ODIST_LOG_LEVEL|PATH|TMPDIR|TEMP|TMP|SYSTEMROOT|(?:NPM|npm)_.*|.*_PROXY|.*_proxy|SSL_CERT_(?:FILE|DIR)|NODE_EXTRA_CA_CERTS|DENO_(?:CERT|TLS_CA_STORE))$/;

/** A real node in a process of its own, with an empty home folder. Disposing stops it and deletes the folder. */
export interface TestNode extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`. */
  readonly origin: string;
  readonly pid: number;
  readonly homeFolder: string;
  /** The end of what it printed on standard error. */
  printed(): string;
  /** The first group of `pattern` in what it printed on standard error, as soon as it is there. */
  printedLine(pattern: RegExp): Promise<string>;
  /** Sends SIGTERM and waits for the end; returns the exit code. */
  stop(): Promise<number>;
  get(path: string, init?: RequestInit): Promise<Response>;
  /** Sends a JSON body. */
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
  /** Sends a JSON body and decodes the JSON answer; throws Error with its text when the status isn't 2xx. */
  ask(path: string, body: unknown): Promise<Record<string, unknown>>;
  /** Sends a JSON body and decodes the lines of the answer. */
  askLines(path: string, body: unknown): Promise<Record<string, unknown>[]>;
}

/** How a test's node differs from a plain `odist serve`. */
export interface TestNodeOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** For Deno, where the node is started from source. */
  readonly runtimeFlags?: readonly string[];
  /** Whether it is started from source with all rights, as `deno task start` does. */
  readonly hasAllRights?: boolean;
}

/**
 * Starts `odist serve` from source, or the built file that `ODIST_TEST_BINARY` names, and waits for its address.
 *
 * @throws Error with what the node printed when it ends or says nothing.
 */
export async function startNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const homeFolder = await Deno.makeTempDir({ prefix: folderPrefix("test") });
  const { command, args, environment } = await odistProgram();
  const rights = options.hasAllRights
    ? args
    : servingArgs(args, { HOME: homeFolder, ...options.environment });
  const child = new Deno.Command(command, {
    args: [
      ...withFlags(rights, options.runtimeFlags ?? []),
      "serve",
      ...options.args ?? [],
    ],
    clearEnv: true,
    env: {
      ...environment,
      HOME: homeFolder,
      USERPROFILE: homeFolder,
      ODIST_HOST: "127.0.0.1:0",
      ODIST_LISTEN: "127.0.0.1:0",
      // Other test files and builds share the machine.
      ODIST_THREADS: "1",
      ODIST_DRAIN_TIMEOUT: "5s",
      ...options.environment,
    },
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const printed = new PrintedEnd();
  const logged = printed.follow(child.stderr);
  const listening = Promise.withResolvers<string>();
  const read = readAddress(child.stdout, printed, listening);
  const status = child.status;
  void status.then(({ code }) => listening.reject(new Error(`exit code ${code}`)));
  const timer = setTimeout(() => listening.reject(new Error("no address")), START_TIMEOUT_MS);
  const letGo = endWithRun(async () => {
    killQuietly(child, "SIGKILL");
    await end();
  });
  const end = async () => {
    const { code } = await status;
    await Promise.all([logged, read]);
    await keepPrinted(child.pid, printed.text);
    await Deno.remove(homeFolder, { recursive: true });
    letGo();
    return code;
  };
  try {
    const origin = await listening.promise;
    return testNode({ origin, child, homeFolder, printed, end });
  } catch (cause) {
    killQuietly(child, "SIGKILL");
    await end();
    throw new Error(`odist serve did not start (${String(cause)}):\n${printed.text}`);
  } finally {
    clearTimeout(timer);
  }
}

/** Where a run gathers artifacts, what its nodes printed is among them. */
async function keepPrinted(pid: number, text: string): Promise<void> {
  const artifacts = Deno.env.get("ODIST_TEST_ARTIFACTS_DIR");
  if (!artifacts) return;
  await Deno.mkdir(join(artifacts, "nodes"), { recursive: true });
  await Deno.writeTextFile(join(artifacts, "nodes", `${pid}.log`), text);
}

/** With the rights that a node starts itself again with otherwise, which would lose other flags and takes its time. */
export function servingArgs(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const { HOME = "", ODIST_DATA = join(HOME, ".odist"), ODIST_MODELS } = environment;
  const folders = [ODIST_DATA, ...ODIST_MODELS === undefined ? [] : [ODIST_MODELS]];
  const names = ["read", "net", "env", "run", "sys", "ffi"];
  const flags = [...names.map((name) => `--allow-${name}`), `--allow-write=${folders.join(",")}`];
  return args.flatMap((arg) => arg === "-A" ? flags : [arg]);
}

/** After `run`, where there is one: a built file takes no flags for Deno. */
function withFlags(args: readonly string[], flags: readonly string[]): string[] {
  return [...args.slice(0, 1), ...args.length === 0 ? [] : flags, ...args.slice(1)];
}

function testNode(parts: {
  readonly origin: string;
  readonly child: Deno.ChildProcess;
  readonly homeFolder: string;
  readonly printed: PrintedEnd;
  readonly end: () => Promise<number>;
}): TestNode {
  const { origin, child, homeFolder, printed, end } = parts;
  let ended: Promise<number> | undefined;
  const stop = () => {
    if (ended !== undefined) return ended;
    killQuietly(child, "SIGTERM");
    const timer = setTimeout(() => killQuietly(child, "SIGKILL"), STOP_TIMEOUT_MS);
    ended = end().finally(() => clearTimeout(timer));
    return ended;
  };
  const get = (path: string, init?: RequestInit) => fetch(`${origin}${path}`, init);
  const post = (path: string, body: unknown, init: RequestInit = {}) =>
    fetch(`${origin}${path}`, { method: "POST", body: JSON.stringify(body), ...init });
  const askText = async (path: string, body: unknown) => {
    const response = await post(path, body);
    const text = await response.text();
    if (response.ok) return text;
    throw new Error(`POST ${path} got ${response.status}: ${text}\n${printed.text}`);
  };
  return {
    origin,
    pid: child.pid,
    homeFolder,
    printed: () => printed.text,
    printedLine: (pattern) => printed.find(pattern),
    stop,
    get,
    post,
    ask: async (path, body) => JSON.parse(await askText(path, body)),
    askLines: async (path, body) => parseLines(await askText(path, body)),
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

/** How to run odist, and what its process must find in its environment. */
export async function odistProgram(): Promise<{
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}> {
  const binary = Deno.env.get("ODIST_TEST_BINARY");
  if (binary !== undefined && binary !== "") {
    // The built file must need nothing that lies on the PATH; it is unpacked once for all nodes of all tests.
    const environment = { PATH: "", XDG_CACHE_HOME: join(ROOT, ".cache", "e2e") };
    return { command: binary, args: [], environment };
  }
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) => KEPT_VARIABLES.test(name));
  return {
    command: Deno.execPath(),
    args: ["run", "-A", "--unstable-net", "main.ts"],
    environment: { ...Object.fromEntries(kept), DENO_DIR: await findDenoFolder() },
  };
}

let denoFolder: Promise<string> | undefined;

/** The cache that this process uses: an empty home folder must not mean downloading everything again. */
function findDenoFolder(): Promise<string> {
  denoFolder ??= new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output()
    .then(({ stdout }) => JSON.parse(new TextDecoder().decode(stdout)).denoDir);
  return denoFolder;
}

/** Keeps the end of what a process printed. */
export class PrintedEnd {
  text = "";
  readonly #charsMax: number;

  constructor(charsMax = PRINTED_CHARS_MAX) {
    this.#charsMax = charsMax;
  }

  readonly #awaited = new Set<() => void>();

  /** The first group of `pattern`, as soon as it was printed. */
  find(pattern: RegExp): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const look = () => {
      const found = pattern.exec(this.text)?.[1];
      if (found === undefined) return;
      this.#awaited.delete(look);
      resolve(found);
    };
    this.#awaited.add(look);
    look();
    return promise;
  }

  async follow(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.add(text);
  }

  add(text: string): void {
    this.text = (this.text + text).slice(-this.#charsMax);
    for (const look of this.#awaited) look();
  }
}

/** Follows a node's standard output to its end and resolves `listening` with the address that it names there. */
export async function readAddress(
  stream: ReadableStream<Uint8Array>,
  printed: PrintedEnd,
  listening: PromiseWithResolvers<string>,
): Promise<void> {
  let seen = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    printed.add(text);
    if (seen.length > PRINTED_CHARS_MAX) continue;
    seen += text;
    const address = /Listening on (http:\/\/\S+)\s/.exec(seen)?.[1];
    if (address !== undefined) listening.resolve(address);
  }
}

/** A process that is already gone is what the caller wanted. */
export function killQuietly(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) throw error;
  }
}

/**
 * One node for all tests of a file, started before the first and stopped after the last. Sanitizers look at single
 * tests, so those that use it are declared with {@link nodeTest}.
 */
export function nodeForFile(options: TestNodeOptions = {}): () => TestNode {
  let node: TestNode | undefined;
  Deno.test.beforeAll(async () => {
    node = await startNode(options);
  });
  Deno.test.afterAll(async () => {
    await node?.[Symbol.asyncDispose]();
  });
  return () => {
    if (node === undefined) throw new Error("The file's node has not started");
    return node;
  };
}

/** A test that uses the file's node. */
export function nodeTest(name: string, body: () => Promise<void>): void {
  Deno.test({ name, fn: body, sanitizeOps: false, sanitizeResources: false });
}
