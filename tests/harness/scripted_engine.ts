/** An engine whose every runner gives one and the same answer, token by token on a clock; tests choose when one dies. */
import { RequestError, UnavailableError } from "../../src/base/mod.ts";
import type { ModelDefinition } from "../../src/models/mod.ts";
import type { Clock, Engine, LoadedModel } from "../../src/ports/mod.ts";
import {
  type LoadedFacts,
  type LoadSettings,
  parseModelName,
  type SequenceEvent,
  type SequenceRequest,
} from "../../src/protocol/mod.ts";

/** What every runner answers; a token a byte, so that some characters are cut between two. */
export const SCRIPTED_ANSWER = "The quick brown fox — žluťoučký 🦊 jumps over.";
const BYTES = new TextEncoder().encode(SCRIPTED_ANSWER);
/** Tokens of {@link SCRIPTED_ANSWER}. */
export const SCRIPTED_TOKENS = BYTES.length;
/** Between two tokens; milliseconds. */
const TOKEN_MS = 20;

/** A model for it, as a store would describe it. */
export function scriptedDefinition(): ModelDefinition {
  const name = parseModelName("m");
  if (name === undefined) throw new Error("no name");
  return {
    name,
    manifestDigest: "12".repeat(32),
    modelPath: "/m.gguf",
    adapterPaths: [],
    projectorPath: undefined,
    weightsBytes: 1000,
    projectorBytes: 0,
    template: {
      goTemplate: "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}",
      architecture: "llama",
    },
    system: "be kind",
    parameters: { temperature: 0 },
    messages: [],
    config: {
      format: "gguf",
      family: "llama",
      families: ["llama"],
      parameterSize: "1M",
      quantization: "F16",
      capabilities: [],
    },
    facts: {
      kind: "model",
      architecture: "llama",
      parameterCount: 1e6,
      quantization: "F16",
      contextLength: 4096,
      embeddingLength: 4,
      blockCount: 1,
      kvHeads: 1,
      keyValueLength: 1,
      vocabularyTokens: 256,
      weightsBytes: 1000,
      hasPooling: false,
      hasVision: false,
      hasAudio: false,
      chatTemplate: undefined,
      split: undefined,
    },
    details: {
      parentModel: "",
      format: "gguf",
      family: "llama",
      families: ["llama"],
      parameterSize: "1M",
      quantizationLevel: "F16",
    },
    capabilities: ["completion", "embedding"],
  };
}

/** Each load is a runner of its own. */
export class ScriptedEngine implements Engine {
  readonly asked: SequenceRequest[] = [];
  loads = 0;
  /** How long a load takes; milliseconds. */
  loadMs = 0;
  /** Called before each token of any runner. */
  onToken: (position: number) => void = () => {};
  readonly #clock: Clock;
  #kill: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async load(settings: LoadSettings): Promise<LoadedModel> {
    this.loads++;
    if (this.loadMs > 0) {
      await new Promise<void>((done) => void this.#clock.after(this.loadMs, done));
    }
    const exit = Promise.withResolvers<{ expected: boolean; reason: string }>();
    const gone = new AbortController();
    const end = (expected: boolean, reason: string) => {
      gone.abort();
      exit.resolve({ expected, reason });
    };
    this.#kill.push(() => end(false, "killed"));
    return {
      facts: factsOf(settings),
      processId: this.loads,
      exited: exit.promise,
      generate: (request, signal) => this.#generate(request, signal, gone.signal),
      embed: async (inputs, { signal }) => {
        await this.#pause(gone.signal);
        signal.throwIfAborted();
        if (inputs.some((text) => text.length > 100)) {
          throw new RequestError("prompt_too_long", "too long");
        }
        const vectors = inputs.map((text) => new Float32Array([text.length, 0.5]));
        return { vectors, promptTokens: inputs.length };
      },
      tokenize: async (text) => {
        await this.#pause(gone.signal);
        return [...new TextEncoder().encode(text)];
      },
      detokenize: (tokens) => Promise.resolve(Uint8Array.from(tokens)),
      unload: async () => end(true, "unloaded"),
    };
  }

  /** Every runner of this engine dies. */
  killRunners(): void {
    for (const kill of this.#kill.splice(0)) kill();
  }

  async *#generate(
    request: SequenceRequest,
    signal: AbortSignal,
    gone: AbortSignal,
  ): AsyncGenerator<SequenceEvent> {
    this.asked.push(request);
    const { prompt } = request;
    const promptTokens = prompt.kind === "tokens"
      ? prompt.tokens
      : [...new TextEncoder().encode(prompt.text)];
    if (promptTokens.length > 200 && request.onLongPrompt === "refuse") {
      throw new RequestError("prompt_too_long", "too long");
    }
    await this.#pause(gone);
    yield { kind: "started", promptTokens, cachedTokens: 0 };
    for (let at = request.emittedTokens.length; at < BYTES.length; at++) {
      this.onToken(at);
      await this.#pause(gone);
      if (signal.aborted) {
        yield { kind: "finished", reason: "cancelled", prefillNs: 1, decodeNs: 1 };
        return;
      }
      yield { kind: "tokens", tokens: [{ token: BYTES[at] ?? 0, bytes: BYTES.slice(at, at + 1) }] };
    }
    yield { kind: "finished", reason: "end", prefillNs: 1, decodeNs: 1 };
  }

  /** One batch of work. @throws UnavailableError `runner_lost`. */
  async #pause(gone: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      gone.addEventListener("abort", () => resolve(), { once: true });
      if (gone.aborted) resolve();
      this.#clock.after(TOKEN_MS, resolve);
    });
    if (gone.aborted) throw new UnavailableError("runner_lost", "The runner is gone: killed");
  }
}

/** Facts of a loaded model that is none. */
export function factsOf(
  settings: Pick<LoadSettings, "slots">,
  changes: Partial<LoadedFacts> = {},
): LoadedFacts {
  return {
    contextTokens: 200,
    trainingContextTokens: 4096,
    vocabularyTokens: 256,
    embeddingLength: 2,
    slots: settings.slots,
    memoryBytes: 1000,
    deviceMemoryBytes: 0,
    bosText: "",
    eosText: "",
    canShift: true,
    numericClass: "scripted",
    ...changes,
  };
}
