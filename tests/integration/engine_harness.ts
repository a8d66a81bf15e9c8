/** A real engine with real runners for integration tests, and the few words that its scenarios need. */
import { fileURLToPath } from "node:url";
import { createEngine, type EngineOptions } from "../../src/inference/mod.ts";
import type { Engine, LoadedModel } from "../../src/ports/mod.ts";
import type {
  AnswerToken,
  FinishReason,
  LoadSettings,
  PrefixUse,
  SamplerSettings,
  SequenceRequest,
} from "../../src/protocol/mod.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const TINY_PATH = `${ROOT}src/models/embedded/tiny.gguf`;

/** Timers that never fire on their own account: no test here waits for a load to stall. */
const clock = { after: () => ({ cancel() {} }), monotonicMs: () => 0 };

/** Program and arguments that become a runner. */
export const RUNNER_COMMAND: readonly string[] = [
  Deno.execPath(),
  ...["run", "-A", "--no-lock", "--no-check", `${ROOT}main.ts`, "runner"],
];

export function startEngine(
  env: Readonly<Record<string, string>> = {},
  caches: Pick<EngineOptions, "cacheMemoryBytes" | "cells" | "cellPeers"> = {},
): Engine {
  return createEngine({ command: RUNNER_COMMAND, env, log: { log() {} }, clock, ...caches });
}

export const TINY_SETTINGS: LoadSettings = {
  modelPath: TINY_PATH,
  adapterPaths: [],
  contextTokens: 1024,
  slots: 1,
  batchTokens: 512,
  threads: 1,
  gpuLayers: 0,
  mmap: true,
  flashAttention: "auto",
  kvCacheType: "f16",
  mode: "generate",
};

/** Loads `tiny` and unloads it when the scope ends. */
export async function loadTiny(
  settings: Partial<LoadSettings> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<LoadedModel & AsyncDisposable> {
  const signal = new AbortController().signal;
  const model = await startEngine(env).load({ ...TINY_SETTINGS, ...settings }, { signal });
  return Object.assign(model, { [Symbol.asyncDispose]: () => model.unload() });
}

export const GREEDY: SamplerSettings = {
  temperature: 0,
  topK: 40,
  topP: 0.9,
  minP: 0,
  typicalP: 1,
  repeatLastTokens: 64,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 1,
};

/** A greedy answer to one user message, unless `changes` say otherwise. */
export function askTiny(
  message: string,
  changes: Partial<SequenceRequest> = {},
): SequenceRequest {
  return {
    prompt: { kind: "text", text: chatPrompt(message), addSpecial: true },
    emittedTokens: [],
    sampler: GREEDY,
    predictTokensMax: 128,
    keepTokens: 4,
    onLongPrompt: "truncate",
    onFullContext: "shift",
    grammar: null,
    topLogprobs: -1,
    ...changes,
  };
}

export function chatPrompt(message: string): string {
  return `<|im_start|>user\n${message}<|im_end|>\n<|im_start|>assistant\n`;
}

/** A finished answer. */
export interface ReadAnswer {
  readonly text: string;
  readonly tokens: readonly AnswerToken[];
  readonly promptTokens: readonly number[];
  readonly cachedTokens: number;
  readonly prefix: PrefixUse | undefined;
  readonly reason: FinishReason | undefined;
}

/** Reads an answer to its end, or until `stopAfter` tokens were seen; then the reader leaves. */
export async function readAnswer(
  model: LoadedModel,
  request: SequenceRequest,
  options: { signal?: AbortSignal; stopAfter?: number } = {},
): Promise<ReadAnswer> {
  const signal = options.signal ?? new AbortController().signal;
  const tokens: AnswerToken[] = [];
  let promptTokens: readonly number[] = [];
  let cachedTokens = 0;
  let prefix: PrefixUse | undefined;
  let reason: FinishReason | undefined;
  for await (const event of model.generate(request, signal)) {
    if (event.kind === "started") ({ promptTokens, cachedTokens, prefix } = event);
    else if (event.kind === "tokens") tokens.push(...event.tokens);
    else reason = event.reason;
    if (tokens.length >= (options.stopAfter ?? Infinity)) break;
  }
  const kept = tokens.slice(0, options.stopAfter);
  return { text: textOf(kept), tokens: kept, promptTokens, cachedTokens, prefix, reason };
}

export function textOf(tokens: readonly AnswerToken[]): string {
  const decoder = new TextDecoder();
  return tokens.map(({ bytes }) => decoder.decode(bytes, { stream: true })).join("") +
    decoder.decode();
}
