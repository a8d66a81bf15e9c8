import type {
  Answer,
  AnswerChunk,
  KeptResponses,
  ModelApi,
  ModelDetails,
  ResponseRecord,
  TransferProgress,
} from "../../ports/mod.ts";

const DIGEST = "0".repeat(64);
const TIME_MS = 0;
const NODE = "ada";
const DETAILS: ModelDetails = {
  parentModel: "",
  format: "gguf",
  family: "llama",
  families: ["llama"],
  parameterSize: "1M",
  quantizationLevel: "F16",
  contextLength: 1,
  embeddingLength: 1,
};
const LISTED = {
  name: "m:latest",
  modifiedAtMs: TIME_MS,
  size: 1,
  digest: DIGEST,
  details: DETAILS,
};
const CHUNKS: readonly AnswerChunk[] = [
  {
    kind: "text",
    content: "x",
    thinking: "x",
    toolCalls: [{ id: "x", name: "x", arguments: {} }],
    logprobs: [{ token: "x", bytes: new Uint8Array(1), logprob: -0.5, topLogprobs: [] }],
  },
  {
    kind: "done",
    doneReason: "stop",
    stopString: "x",
    metrics: {
      totalNs: 1,
      loadNs: 1,
      promptEvalCount: 1,
      promptCachedCount: 1,
      prefix: { matchedTokens: 1, source: "slot", end: "whole" },
      volatileLines: { dropped: 0, moved: 0 },
      promptEvalNs: 1,
      evalCount: 1,
      evalNs: 1,
    },
    context: [1],
  },
];

/** Answers with one of everything, so that what an endpoint makes of them shows every field that it has. */
export const SAMPLE_CLIENT: ModelApi = {
  generate: (request) => Promise.resolve(answered(request)),
  chat: (request) => Promise.resolve(answered(request)),
  countTokens: () => Promise.resolve(1),
  embed: ({ inputs }) =>
    Promise.resolve({
      vectors: inputs.map(() => new Float32Array([0.5])),
      promptEvalCount: 1,
      totalNs: 1,
      loadNs: 1,
      servedBy: NODE,
    }),
  tokenize: () => Promise.resolve({ tokens: [1], totalNs: 1, loadNs: 1 }),
  detokenize: () => Promise.resolve({ text: "x", totalNs: 1, loadNs: 1 }),
  listModels: () =>
    Promise.resolve([{ ...LISTED, capabilities: ["completion"], namespace: "library" }]),
  arrivingModels: () => [{ model: "x", total: 1, completed: 1 }],
  listLoaded: () =>
    Promise.resolve([{
      ...LISTED,
      sizeVram: 1,
      expiresAtMs: TIME_MS,
      contextLength: 1,
      exactness: { isExact: false, policy: "plain", reason: "x" },
      speculates: false,
      node: NODE,
    }]),
  showModel: () =>
    Promise.resolve({
      license: "x",
      modelfile: "x",
      parameters: "x",
      template: "x",
      system: "x",
      details: DETAILS,
      messages: [{ role: "user", content: "x" }],
      modelInfo: {},
      projectorInfo: {},
      tensors: [{ name: "x", type: "F16", shape: [1] }],
      capabilities: ["completion"],
      modifiedAtMs: TIME_MS,
      requires: "0.1.0",
    }),
  createModel: progress,
  pullModel: progress,
  pushModel: progress,
  copyModel: () => Promise.resolve(),
  deleteModel: () => Promise.resolve(),
  findBlob: () => Promise.resolve(undefined),
  writeBlob: () => Promise.resolve("created"),
  readiness: () => ({ ready: true, reasons: [], changes: { possible: false, reason: "x" } }),
};

/** What was kept last is found under any id; the first is what a conversation may go on from. */
export function sampleResponses(): KeptResponses {
  let last: ResponseRecord = { response: { status: "completed", background: true, output: [] } };
  return {
    recordBytesMax: Infinity,
    keep: (_id, record) => {
      last = JSON.parse(JSON.stringify(record));
      return Promise.resolve(1);
    },
    find: () => Promise.resolve({ record: last }),
    remove: () => Promise.resolve(true),
    attend() {},
  };
}

function answered({ debugRenderOnly }: { readonly debugRenderOnly: boolean }): Answer {
  if (debugRenderOnly) return { kind: "rendered", text: "x", imageCount: 1 };
  async function* chunks() {
    yield* CHUNKS;
  }
  return { kind: "stream", chunks: chunks() };
}

async function* progress(): AsyncGenerator<TransferProgress> {
  yield { status: "x", digest: `sha256:${DIGEST}`, total: 1, completed: 1 };
  yield { status: "success" };
}
