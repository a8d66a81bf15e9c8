/**
 * Starts and stops the servers a bench compares.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "");

/** Where a bench leaves what it measured: in the folder of the test run that it is part of, if it is part of one. */
export function artifactsFolder(bench: string): string {
  return join(Deno.env.get("ODIST_TEST_ARTIFACTS_DIR") || join(ROOT, "test-artifacts"), bench);
}

/** Milliseconds until a server must answer its readiness path. */
const READY_TIMEOUT_MS = 120_000;
/** Between two looks; small, because it bounds the precision of start times. */
const READY_POLL_MS = 2;

/** A command line to start. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly port: number;
  /** Answers 200 once the server serves. */
  readonly readyPath: string;
  /** Gets what the server prints. */
  readonly logPath: string;
}

/** A running server; disposing stops it and waits for its end. */
export interface RunningServer extends AsyncDisposable {
  readonly origin: string;
  readonly pid: number;
  /** From starting the process to the first 200. */
  readonly readyMs: number;
}

/** Starts the server and waits until it is ready; throws Error with its last output when it ends first. */
export async function startServer(server: ServerCommand): Promise<RunningServer> {
  const startedAtMs = performance.now();
  const child = new Deno.Command(server.command, {
    args: [...server.args],
    env: { ...server.environment },
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const logged = Promise.all([
    copyTo(child.stdout, server.logPath),
    copyTo(child.stderr, server.logPath),
  ]);
  const origin = `http://127.0.0.1:${server.port}`;
  let ended = false;
  const status = child.status.then((end) => {
    ended = true;
    return end;
  });
  while (!await answers(`${origin}${server.readyPath}`)) {
    if (ended || performance.now() - startedAtMs > READY_TIMEOUT_MS) {
      if (!ended) child.kill("SIGKILL");
      throw new Error(`${server.command} was not ready: see ${server.logPath}`);
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  return {
    origin,
    pid: child.pid,
    readyMs: performance.now() - startedAtMs,
    async [Symbol.asyncDispose]() {
      if (!ended) child.kill("SIGTERM");
      await status;
      await logged;
    },
  };
}

/** Settings of an odist node under test. */
export interface OdistOptions {
  /** The built file, or undefined to run the source. */
  readonly binary: string | undefined;
  readonly dataFolder: string;
  readonly logPath: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** How to start odist on a free port. */
export function odistCommand(options: OdistOptions): ServerCommand {
  const port = freePort();
  const source = ["run", "-A", "--unstable-net", "main.ts"];
  return {
    command: options.binary ?? Deno.execPath(),
    args: [...(options.binary === undefined ? source : []), "serve"],
    environment: {
      ODIST_HOST: `127.0.0.1:${port}`,
      ODIST_LISTEN: "127.0.0.1:0",
      ODIST_DATA: options.dataFolder,
      ...options.settings,
    },
    port,
    readyPath: "/ready",
    logPath: options.logPath,
  };
}

/** How to start llama-server on a free port. Each slot gets `contextTokens`. */
export function llamaServerCommand(
  options: {
    readonly binary: string;
    readonly modelPath: string;
    readonly slots: number;
    readonly contextTokens: number;
    readonly threads: number;
    /** Layers on GPUs; default as it likes. */
    readonly gpuLayers?: number;
    /** Prompts kept in memory; default none. */
    readonly cacheRamMiB?: number;
    readonly logPath: string;
  },
): ServerCommand {
  const port = freePort();
  const { slots, threads } = options;
  const pairs = {
    "--model": options.modelPath,
    "--host": "127.0.0.1",
    "--port": port,
    "--parallel": slots,
    "--ctx-size": slots * options.contextTokens,
    "--threads": threads,
    "--threads-batch": threads,
    "--cache-ram": options.cacheRamMiB ?? 0,
    ...options.gpuLayers !== undefined && { "--n-gpu-layers": options.gpuLayers },
  };
  return {
    command: options.binary,
    args: [...Object.entries(pairs).flatMap(([key, value]) => [key, String(value)]), "--no-webui"],
    environment: {},
    port,
    readyPath: "/health",
    logPath: options.logPath,
  };
}

/** A port of the loopback address that is free now. */
export function freePort(kind: "tcp" | "udp" = "tcp"): number {
  const at = { hostname: "127.0.0.1", port: 0 } as const;
  if (kind === "tcp") {
    using listener = Deno.listen(at);
    return listener.addr.port;
  }
  const socket = Deno.listenDatagram({ transport: "udp", ...at });
  const { addr } = socket;
  socket.close();
  return addr.transport === "udp" ? addr.port : 0;
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Nobody listens yet.
    return false;
  }
}

async function copyTo(stream: ReadableStream<Uint8Array>, path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, append: true });
  for await (const bytes of stream) file.writeSync(bytes);
}

/** Measures with a data folder of its own, which is removed afterwards. */
export async function inDataFolder(measure: (dataFolder: string) => Promise<void>): Promise<void> {
  const dataFolder = await Deno.makeTempDir({ prefix: "odist-bench-" });
  try {
    await measure(dataFolder);
  } finally {
    await Deno.remove(dataFolder, { recursive: true });
  }
}
