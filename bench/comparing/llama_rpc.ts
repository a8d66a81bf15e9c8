/**
 * llama.cpp's own way to compute a model on several machines: llama-server over ggml-rpc-server, of the build that the other
 * benches compare with, by plain TCP.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { freePort, llamaServerCommand, startServer } from "../measuring/servers.ts";
import { ensureLlamaServer } from "./assets.ts";

/** What one answer took a token. */
export interface TokenSpans {
  readonly decodeMs: number;
  readonly prefillMs: number;
}

/** A llama-server whose layers lie on servers that it calls. */
export interface LlamaOverRpc extends AsyncDisposable {
  /** Answers a rendered prompt greedily, with so many tokens. */
  ask(prompt: string, tokens: number): Promise<TokenSpans>;
}

/** Starts them with a thread each; the last layers lie on `workers` of them, as many as `workerLayers`. */
export async function startLlamaOverRpc(options: {
  readonly modelPath: string;
  readonly contextTokens: number;
  readonly workers: number;
  readonly workerLayers: number;
}): Promise<LlamaOverRpc> {
  const binary = await ensureLlamaServer();
  const folder = await Deno.makeTempDir({ prefix: "odist-bench-rpc-" });
  const ports = Array.from({ length: options.workers }, () => freePort());
  const workers = ports.map((port) =>
    new Deno.Command(join(dirname(binary), "ggml-rpc-server"), {
      args: ["--host", "127.0.0.1", "--port", String(port), "--threads", "1"],
      ...{ stdin: "null", stdout: "null", stderr: "null" } as const,
    }).spawn()
  );
  const end = async () => {
    for (const worker of workers) {
      try {
        worker.kill("SIGTERM");
      } catch (error) {
        // It has ended by itself.
        if (!(error instanceof TypeError)) throw error;
      }
    }
    await Promise.all(workers.map(({ status }) => status));
    await Deno.remove(folder, { recursive: true });
  };
  try {
    for (const port of ports) await listening(port);
    const { modelPath, contextTokens, workerLayers: gpuLayers } = options;
    const command = llamaServerCommand({
      ...{ binary, modelPath, contextTokens, gpuLayers, slots: 1, threads: 1 },
      logPath: join(folder, "llama-server.log"),
    });
    const servers = ports.map((port) => `127.0.0.1:${port}`).join(",");
    const server = await startServer({ ...command, args: [...command.args, "--rpc", servers] });
    return {
      ask: (prompt, tokens) => ask(server.origin, prompt, tokens),
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

async function ask(origin: string, prompt: string, tokens: number): Promise<TokenSpans> {
  const response = await fetch(`${origin}/completion`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ prompt, n_predict: tokens, temperature: 0, ignore_eos: true, cache_prompt: false },
    }),
  });
  const { timings } = await response.json();
  return { decodeMs: timings.predicted_per_token_ms, prefillMs: timings.prompt_per_token_ms };
}

const START_MS_MAX = 10_000;

async function listening(port: number): Promise<void> {
  const startedMs = performance.now();
  for (;;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch (error) {
      if (performance.now() - startedMs > START_MS_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
