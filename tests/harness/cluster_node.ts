/**
 * One member of a test's cluster: a real `odist serve`, with a home folder that outlives its process.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { Ollama } from "ollama";
import { parseLines } from "./json_lines.ts";
import { killQuietly, odistProgram, PrintedEnd, readAddress, servingArgs } from "./node.ts";
import { endWithRun, folderPrefix } from "./run_end.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** A node that isn't listening by then never will. */
const START_TIMEOUT_MS = 60_000;
/** Longer than any drain timeout the tests configure. */
const STOP_TIMEOUT_MS = 60_000;
/** Of what a node printed in all its lives, so much is kept for the artifacts. */
const PRINTED_CHARS_MAX = 8 * 1024 * 1024;

/** What stays the same over a node's lives. */
export interface ClusterNodeParts {
  readonly name: string;
  /** UDP port on which it hears the others. */
  readonly listenPort: number;
  /** What the others are told. */
  readonly publicAddress: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What stands before the command, to have it run elsewhere. */
  readonly within?: readonly string[];
  /** Of the sources that are run; by default these. */
  readonly sources?: string;
}

/** A JSON answer of a node, whatever its status. */
export interface NodeAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
}

/** One node of a cluster under test. */
export class ClusterNode implements AsyncDisposable {
  readonly name: string;
  readonly publicAddress: string;
  readonly listenPort: number;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #within: readonly string[];
  #sources: string;
  readonly #home: string;
  readonly #printed = new PrintedEnd(PRINTED_CHARS_MAX);
  #origin = "";
  #isAlive = false;
  #child: Deno.ChildProcess | undefined;
  #ended: Promise<number> = Promise.resolve(0);
  readonly #letGo: () => void;

  private constructor(parts: ClusterNodeParts, home: string) {
    this.name = parts.name;
    this.publicAddress = parts.publicAddress;
    this.listenPort = parts.listenPort;
    this.#environment = parts.environment;
    this.#within = parts.within ?? [];
    this.#sources = parts.sources ?? ROOT;
    this.#home = home;
    this.#letGo = endWithRun(() => this[Symbol.asyncDispose]());
  }

  static make(parts: ClusterNodeParts): ClusterNode {
    return new ClusterNode(parts, Deno.makeTempDirSync({ prefix: folderPrefix(parts.name) }));
  }

  /** `http://127.0.0.1:<port>`; another one after each start. */
  get origin(): string {
    return this.#origin;
  }

  get homeFolder(): string {
    return this.#home;
  }

  /** A paused process is alive too. */
  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Of the process that runs, or of the last one. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Everything it printed, over all its lives. */
  get printed(): string {
    return this.#printed.text;
  }

  /** The official client. */
  get ollama(): Ollama {
    return new Ollama({ host: this.#origin });
  }

  /**
   * Starts the process and waits for its address. `environment` is for this life alone.
   *
   * @throws Error with what it printed when it ends instead or says nothing.
   */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const program = await odistProgram();
    const rights = servingArgs(program.args, {
      HOME: this.#home,
      ...this.#environment,
      ...environment,
    });
    const [command = "", ...args] = [...this.#within, program.command, ...rights];
    const child = new Deno.Command(command, {
      args: [...args, "serve"],
      clearEnv: true,
      env: {
        ...program.environment,
        HOME: this.#home,
        USERPROFILE: this.#home,
        ODIST_HOST: "127.0.0.1:0",
        ODIST_LISTEN: `127.0.0.1:${this.listenPort}`,
        ODIST_ADVERTISE: this.publicAddress,
        ODIST_NAME: this.name,
        ODIST_THREADS: "1",
        ODIST_DRAIN_TIMEOUT: "5s",
        ...this.#environment,
        ...environment,
      },
      cwd: this.#sources,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    this.#isAlive = true;
    const listening = Promise.withResolvers<string>();
    const read = readAddress(child.stdout, this.#printed, listening);
    const logged = this.#printed.follow(child.stderr);
    this.#ended = Promise.all([child.status, read, logged]).then(([{ code }]) => {
      this.#isAlive = false;
      listening.reject(new Error(`exit code ${code}`));
      return code;
    });
    const timer = setTimeout(() => listening.reject(new Error("no address")), START_TIMEOUT_MS);
    try {
      this.#origin = await listening.promise;
    } catch (cause) {
      await this.kill();
      throw new Error(`${this.name} did not start (${String(cause)}):\n${this.#printed.text}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** From the next start on these sources are run, and no other ones. */
  upgrade(): void {
    this.#sources = ROOT;
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#ended;
  }

  /** SIGTERM, and waits for the end; returns the exit code. */
  async stop(): Promise<number> {
    this.#signal("SIGTERM");
    const timer = setTimeout(() => this.#signal("SIGKILL"), STOP_TIMEOUT_MS);
    try {
      return await this.#ended;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when the process has ended by itself; returns the exit code. */
  ended(): Promise<number> {
    return this.#ended;
  }

  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.#origin}${path}`, init);
  }

  /** One JSON request and answer; a status that is no success is the caller's to judge. */
  async request(
    method: string,
    path: string,
    options: { readonly body?: unknown; readonly signal?: AbortSignal } = {},
  ): Promise<NodeAnswer> {
    const { body, signal } = options;
    const response = await this.fetch(path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    const { status, headers } = response;
    return { status, headers, body: text.startsWith("{") ? JSON.parse(text) : { text } };
  }

  /** As {@link request}. @throws Error with the node's text when the status is no success. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.request(method, path, { body });
    if (answer.status < 400) return answer.body;
    const text = JSON.stringify(answer.body);
    throw new Error(`${method} ${path} on ${this.name} got ${answer.status}: ${text}`);
  }

  /** A streamed answer, to its end. */
  async lines(path: string, body: unknown): Promise<readonly Record<string, unknown>[]> {
    const response = await this.fetch(path, { method: "POST", body: JSON.stringify(body) });
    const text = await response.text();
    if (response.ok) return parseLines(text);
    throw new Error(`POST ${path} on ${this.name} got ${response.status}: ${text}`);
  }

  /** Kills what still runs and deletes the home folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A stopped process takes no signal but this one.
    await this.kill();
    await Deno.remove(this.#home, { recursive: true });
    this.#letGo();
  }

  #signal(signal: Deno.Signal): void {
    if (this.#child !== undefined) killQuietly(this.#child, signal);
  }
}
