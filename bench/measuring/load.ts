/**
 * The load generator: sends streaming completions to a server and notes when tokens arrive. One client for every
 * server, so that its own cost is the same for all.
 *
 * @module
 */

/** How to ask one kind of server for a streamed completion. */
export interface CompletionApi {
  readonly name: string;
  /** Path of the endpoint. */
  readonly path: string;
  /** Begins each line that carries JSON: `data: ` for server-sent events. */
  readonly linePrefix: string;
  body(request: CompletionRequest): unknown;
  /** Text of one decoded line, and the token counts when it is the last. */
  read(line: Readonly<Record<string, unknown>>): CompletionPiece;
}

/** One prompt and how much to answer. */
export interface CompletionRequest {
  readonly model: string;
  readonly prompt: string;
  readonly answerTokens: number;
  /** `raw` sends the prompt as it is; `templated` as one user's message. */
  readonly form: "raw" | "templated";
  readonly sampling: Sampling;
}

/** Sampling settings that every server is given. Temperature 0 is greedy. */
export interface Sampling {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
}

export interface CompletionPiece {
  readonly text: string;
  /** Set on the last line. */
  readonly answerTokens?: number;
  readonly promptTokens?: number;
}

/** One answered request. Times in milliseconds. */
export interface Completion {
  readonly text: string;
  readonly answerTokens: number;
  readonly promptTokens: number;
  /** From sending the request to the first text. */
  readonly ttftMs: number;
  readonly totalMs: number;
}

/** Sends one request and reads it to its end; throws Error for any answer but a complete one. */
export async function complete(
  api: CompletionApi,
  origin: string,
  request: CompletionRequest,
): Promise<Completion> {
  const sentAtMs = performance.now();
  const response = await fetch(`${origin}${api.path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(api.body(request)),
  });
  if (!response.ok || response.body === null) {
    throw new Error(`${api.name} answered ${response.status}: ${await response.text()}`);
  }
  let text = "";
  let ttftMs = NaN;
  let last: CompletionPiece | undefined;
  for await (const line of jsonLines(response.body, api.linePrefix)) {
    const piece = api.read(line);
    if (Number.isNaN(ttftMs) && piece.text !== "") ttftMs = performance.now() - sentAtMs;
    text += piece.text;
    if (piece.answerTokens !== undefined) last = piece;
  }
  if (last === undefined) throw new Error(`${api.name} ended its answer without a last line`);
  return {
    text,
    answerTokens: last.answerTokens ?? 0,
    promptTokens: last.promptTokens ?? 0,
    ttftMs,
    totalMs: performance.now() - sentAtMs,
  };
}

/** Runs every request, `streams` at a time, in order. */
export async function completeAll(
  requests: readonly CompletionRequest[],
  options: { readonly api: CompletionApi; readonly origin: string; readonly streams: number },
): Promise<Completion[]> {
  const completions: Completion[] = [];
  const open = requests.entries();
  const stream = async () => {
    for (const [index, request] of open) {
      completions[index] = await complete(options.api, options.origin, request);
    }
  };
  await Promise.all(Array.from({ length: options.streams }, stream));
  return completions;
}

async function* jsonLines(
  body: ReadableStream<Uint8Array>,
  prefix: string,
): AsyncIterable<Readonly<Record<string, unknown>>> {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith(prefix) && line.length > prefix.length) {
        yield JSON.parse(line.slice(prefix.length));
      }
    }
  }
}

/** Ollama's native API. */
export const ODIST_API: CompletionApi = {
  name: "odist",
  path: "/api/generate",
  linePrefix: "",
  body: ({ model, prompt, answerTokens, form, sampling }) => ({
    model,
    prompt,
    raw: form === "raw",
    keep_alive: -1,
    options: {
      num_predict: answerTokens,
      temperature: sampling.temperature,
      top_k: sampling.topK,
      top_p: sampling.topP,
      min_p: 0,
      repeat_penalty: 1,
      seed: sampling.seed,
    },
  }),
  read: (line) => {
    if (typeof line.error === "string") throw new Error(`odist: ${line.error}`);
    const text = String(line.response ?? "");
    return line.done === true
      ? {
        text,
        answerTokens: Number(line.eval_count ?? 0),
        promptTokens: Number(line.prompt_eval_count ?? 0),
      }
      : { text };
  },
};

/** llama-server's native completion endpoint, which knows no templates. */
export const LLAMA_SERVER_API: CompletionApi = {
  name: "llama-server",
  path: "/completion",
  linePrefix: "data: ",
  body: ({ prompt, answerTokens, sampling }) => ({
    prompt,
    stream: true,
    cache_prompt: true,
    n_predict: answerTokens,
    temperature: sampling.temperature,
    top_k: sampling.topK,
    top_p: sampling.topP,
    min_p: 0,
    repeat_penalty: 1,
    seed: sampling.seed,
  }),
  read: (line) => {
    if (line.error !== undefined) throw new Error(`llama-server: ${JSON.stringify(line.error)}`);
    const text = String(line.content ?? "");
    return line.stop === true
      ? {
        text,
        answerTokens: Number(line.tokens_predicted),
        promptTokens: Number(line.tokens_evaluated),
      }
      : { text };
  },
};
