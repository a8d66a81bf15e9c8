import { RequestError } from "../../src/base/mod.ts";
import type {
  Answer,
  AnswerChunk,
  AnswerMetrics,
  Clock,
  Log,
  Metrics,
  ModelApi,
  RequestAccount,
} from "../../src/ports/mod.ts";

/** The port's methods that return promises or streams, each replaceable by a test. */
export type ClientScript = Partial<ModelApi>;

/** One call the client received. */
export interface RecordedCall {
  readonly method: string;
  readonly request: unknown;
  readonly signal?: AbortSignal;
}

export const SCRIPTED_METRICS: AnswerMetrics = {
  totalNs: 5_000_000,
  loadNs: 1_000_000,
  promptEvalCount: 7,
  promptEvalNs: 2_000_000,
  evalCount: 3,
  evalNs: 2_000_000,
};

/**
 * A cluster client that answers every inference with the words it was given and keeps what it was asked. It knows no
 * models: tests that need an error script it.
 */
export class ScriptedClient implements ModelApi {
  readonly calls: RecordedCall[] = [];
  readonly #words: readonly string[];
  readonly #script: ClientScript;

  constructor(options: { words?: readonly string[]; script?: ClientScript } = {}) {
    this.#words = options.words ?? ["Hel", "lo"];
    this.#script = options.script ?? {};
  }

  /** What the last call asked for, as far as it is data. */
  get lastRequest(): unknown {
    const request = this.calls.at(-1)?.request as { readonly account?: RequestAccount };
    if (request?.account === undefined) return request;
    const { onQueued: _, ...account } = request.account;
    return { ...request, account };
  }

  generate: ModelApi["generate"] = async (request, signal) => {
    this.calls.push({ method: "generate", request, signal });
    return await (this.#script.generate?.(request, signal) ?? this.#answer());
  };

  chat: ModelApi["chat"] = async (request, signal) => {
    this.calls.push({ method: "chat", request, signal });
    return await (this.#script.chat?.(request, signal) ?? this.#answer());
  };

  embed: ModelApi["embed"] = async (request, signal) => {
    this.calls.push({ method: "embed", request, signal });
    if (this.#script.embed !== undefined) return await this.#script.embed(request, signal);
    return {
      vectors: request.inputs.map(() => new Float32Array([0.6, 0.8])),
      promptEvalCount: request.inputs.length,
      totalNs: 10,
      loadNs: 0,
    };
  };

  countTokens: ModelApi["countTokens"] = async (request, signal) => {
    this.calls.push({ method: "countTokens", request, signal });
    return await (this.#script.countTokens?.(request, signal) ?? 7);
  };

  tokenize: ModelApi["tokenize"] = async (request, signal) => {
    this.calls.push({ method: "tokenize", request, signal });
    const tokens = [...new TextEncoder().encode(request.text)];
    return await (this.#script.tokenize?.(request, signal) ?? { tokens, totalNs: 9, loadNs: 0 });
  };

  detokenize: ModelApi["detokenize"] = async (request, signal) => {
    this.calls.push({ method: "detokenize", request, signal });
    const text = new TextDecoder().decode(Uint8Array.from(request.tokens));
    return await (this.#script.detokenize?.(request, signal) ?? { text, totalNs: 9, loadNs: 0 });
  };

  listModels: ModelApi["listModels"] = async (options) => {
    this.calls.push({ method: "listModels", request: options });
    return await this.#script.listModels?.(options) ?? [];
  };
  listLoaded: ModelApi["listLoaded"] = async (options) =>
    await this.#script.listLoaded?.(options) ?? [];

  arrivingModels: ModelApi["arrivingModels"] = () => this.#script.arrivingModels?.() ?? [];

  showModel: ModelApi["showModel"] = async (request, options) => {
    this.calls.push({ method: "showModel", request });
    if (this.#script.showModel === undefined) throw notFound(request.model);
    return await this.#script.showModel(request, options);
  };

  createModel: ModelApi["createModel"] = (request, signal) => {
    this.calls.push({ method: "createModel", request, signal });
    return this.#script.createModel?.(request, signal) ??
      progress(["creating new layer", "writing manifest", "success"]);
  };

  copyModel: ModelApi["copyModel"] = async (request) => {
    this.calls.push({ method: "copyModel", request });
    await this.#script.copyModel?.(request);
  };

  deleteModel: ModelApi["deleteModel"] = async (request) => {
    this.calls.push({ method: "deleteModel", request });
    await this.#script.deleteModel?.(request);
  };

  pullModel: ModelApi["pullModel"] = (request, signal) => {
    this.calls.push({ method: "pullModel", request, signal });
    return this.#script.pullModel?.(request, signal) ?? progress(["pulling manifest", "success"]);
  };

  pushModel: ModelApi["pushModel"] = (request, signal) => {
    this.calls.push({ method: "pushModel", request, signal });
    return this.#script.pushModel?.(request, signal) ?? progress(["pushing manifest", "success"]);
  };

  findBlob: ModelApi["findBlob"] = async (digest) => await this.#script.findBlob?.(digest);

  writeBlob: ModelApi["writeBlob"] = async (digest, bytes) => {
    if (this.#script.writeBlob !== undefined) return await this.#script.writeBlob(digest, bytes);
    const sent = await new Response(bytes).bytes();
    this.calls.push({ method: "writeBlob", request: { digest, sent } });
    return "created";
  };

  readiness: ModelApi["readiness"] = () =>
    this.#script.readiness?.() ?? { ready: true, reasons: [] };

  #answer(): Answer {
    return streamOf(textChunks(this.#words));
  }
}

/** Text chunks with these contents. */
export function textChunks(words: readonly string[]): AnswerChunk[] {
  return words.map((content) => ({ kind: "text", content }));
}

/** An answer of these chunks and a done chunk. */
export function streamOf(
  chunks: readonly AnswerChunk[],
  doneReason: "stop" | "length" = "stop",
): Answer {
  async function* all(): AsyncGenerator<AnswerChunk> {
    yield* chunks;
    yield {
      kind: "done",
      doneReason,
      metrics: SCRIPTED_METRICS,
      context: [1, 2, 3],
    };
  }
  return { kind: "stream", chunks: all() };
}

async function* progress(statuses: readonly string[]) {
  for (const status of statuses) yield { status };
}

function notFound(model: string): RequestError {
  return new RequestError("model_not_found", `model '${model}:latest' not found`);
}

/** A clock that stands still at a fixed time. */
export const STILL_CLOCK: Clock = {
  nowMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  monotonicMs: () => 0,
  after: () => ({ cancel() {} }),
};

/** Keeps every sample and every log line. */
export class RecordingTelemetry implements Metrics, Log {
  readonly samples: { name: string; labels: Readonly<Record<string, string>>; value: number }[] =
    [];
  readonly lines: { level: string; event: string; values: Readonly<Record<string, unknown>> }[] =
    [];

  increment(name: string, labels = {}, by = 1): void {
    this.samples.push({ name, labels, value: by });
  }
  set(name: string, value: number, labels = {}): void {
    this.samples.push({ name, labels, value });
  }
  observe(name: string, value: number, labels = {}): void {
    this.samples.push({ name, labels, value });
  }
  async render() {
    return { contentType: "text/plain; version=0.0.4", text: "# recorded\n" };
  }
  log(level: string, event: string, values = {}): void {
    this.lines.push({ level, event, values });
  }

  /** The sum of all samples with at least these labels. */
  total(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels);
    return this.samples.filter((sample) =>
      sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value)
    ).reduce((sum, { value }) => sum + value, 0);
  }

  /** How often peers were caught at this fault. */
  faults(fault: string): number {
    return this.total("odist_peer_faults_total", { fault });
  }

  /** What the lines of an event said. */
  of(event: string): readonly Readonly<Record<string, unknown>>[] {
    return this.lines.filter((line) => line.event === event).map(({ values }) => values);
  }
}
