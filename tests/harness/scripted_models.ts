import assert from "node:assert/strict";
import { Inference } from "../../src/answers/inference.ts";
import { RequestError } from "../../src/base/mod.ts";
import type { ModelDefinition } from "../../src/models/mod.ts";
import { systemClock } from "../../src/node/system_ports.ts";
import type { LoadedModel, Log, Metrics } from "../../src/ports/mod.ts";
import {
  parseModelName,
  type SequenceEvent,
  type SequenceRequest,
} from "../../src/protocol/mod.ts";
import type { LeaseRequest } from "../../src/slots/lease.ts";
import { LOCAL_TEMPLATES } from "./local_templates.ts";

const encoder = new TextEncoder();
const CHAT_TEMPLATE = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}" +
  "{{ if .Tools }}[tools]{{ end }}{{ range .Messages }}{{ if .ToolCalls }}<call>{{ end }}{{ end }}";

const CONFIG: ModelDefinition["config"] = {
  format: "gguf",
  family: "llama",
  families: ["llama"],
  parameterSize: "",
  quantization: "",
  capabilities: [],
};

/** Answers each run with the next of the given texts, a token a byte, and remembers what it was asked. */
export class ScriptedModels {
  readonly asked: SequenceRequest[] = [];
  readonly leases: LeaseRequest[] = [];
  readonly unloaded: string[] = [];
  released = 0;
  readonly embedded: (readonly string[])[] = [];
  texts: string[] = ["ok"];
  contextTokens = 1_000;
  definition: ModelDefinition;

  constructor(changes: Partial<ModelDefinition> = {}) {
    const name = parseModelName("m");
    assert.ok(name !== undefined);
    const definition: Partial<ModelDefinition> = {
      name,
      manifestDigest: JSON.stringify(changes.template ?? ""),
      modelPath: "/m.gguf",
      adapterPaths: [],
      weightsBytes: 10,
      projectorBytes: 0,
      template: { goTemplate: CHAT_TEMPLATE },
      system: "",
      parameters: {},
      messages: [],
      facts: {
        contextLength: 4096,
        blockCount: 1,
        kvHeads: 1,
        keyValueLength: 1,
        vocabularyTokens: 256,
        embeddingLength: 4,
        weightsBytes: 10,
      } as ModelDefinition["facts"],
      config: CONFIG,
      capabilities: ["completion"],
      ...changes,
    };
    this.definition = definition as ModelDefinition;
  }

  inference(): Inference {
    const quiet: Log & Metrics = {
      log() {},
      increment() {},
      set() {},
      observe() {},
      render: () => Promise.resolve({ contentType: "", text: "" }),
    };
    return new Inference({
      templates: LOCAL_TEMPLATES,
      models: { getDefinition: () => Promise.resolve(this.definition) },
      driver: {
        acquire: (request) => {
          this.leases.push(request);
          return Promise.resolve({
            model: this.#model(),
            loadNs: 7,
            release: () => void this.released++,
            lost() {},
          });
        },
        requestUnload: ({ modelKey }) => void this.unloaded.push(modelKey),
      },
      clock: systemClock,
      log: quiet,
      metrics: quiet,
      defaults: {
        contextTokens: 0,
        slots: 2,
        batchTokens: 0,
        flashAttention: "auto",
        kvCacheType: "f16",
      },
      drawSeed: () => 5,
      drawRequestId: () => "r",
      drawId: () => "id",
    });
  }

  #model(): LoadedModel {
    const model: Partial<LoadedModel> = {
      facts: {
        contextTokens: this.contextTokens,
        bosText: "",
        eosText: "",
      } as LoadedModel["facts"],
      generate: (request) => this.#generate(request),
      tokenize: (text) => Promise.resolve([...encoder.encode(text)]),
      embed: (inputs) => {
        this.embedded.push(inputs);
        const vectors = inputs.map(() => new Float32Array([0.6, 0.8, 0, 0]));
        return Promise.resolve({ vectors, promptTokens: 9 });
      },
    };
    return model as LoadedModel;
  }

  async *#generate(request: SequenceRequest): AsyncGenerator<SequenceEvent> {
    this.asked.push(request);
    const text = request.prompt.kind === "text" ? request.prompt.text : "";
    const promptTokens = [...encoder.encode(text)];
    if (promptTokens.length > this.contextTokens && request.onLongPrompt === "refuse") {
      throw new RequestError("prompt_too_long", "too long");
    }
    yield { kind: "started", promptTokens, cachedTokens: 0 };
    const bytes = encoder.encode(this.texts.shift() ?? "");
    for (const byte of bytes) {
      yield { kind: "tokens", tokens: [{ token: byte, bytes: Uint8Array.of(byte) }] };
    }
    yield { kind: "finished", reason: "end", prefillNs: 1, decodeNs: 1 };
  }
}
