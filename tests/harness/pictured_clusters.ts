/**
 * What pictures of the page show.
 *
 * @module
 */
import type { ListedModel, MemberStatus, RequestRow } from "../../src/ports/mod.ts";
import {
  idleLoad,
  memberOf,
  PICTURED_AT_MS,
  type PicturedCluster,
  statusOf,
} from "./pictured_node.ts";

const GIB = 2 ** 30;

function modelOf(name: string, index: number, differing: Partial<ListedModel> = {}): ListedModel {
  return {
    name,
    modifiedAtMs: PICTURED_AT_MS - (index + 1) * 3 * 3_600_000,
    size: Math.round((0.3 + 2.1 * index) * GIB),
    digest: `${index + 1}`.repeat(64),
    details: {
      parentModel: "",
      format: "gguf",
      family: "llama",
      families: ["llama"],
      parameterSize: ["360M", "3.2B", "70B"][index] ?? "7B",
      quantizationLevel: "Q4_K_M",
      contextLength: 8_192,
    },
    capabilities: ["completion"],
    namespace: "library",
    ...differing,
  };
}

const MODELS = [
  modelOf("tiny:latest", 0),
  modelOf("llama3.2:latest", 1, { capabilities: ["completion", "tools"] }),
  modelOf("llama3.3:70b", 2, { capabilities: ["completion", "tools"], size: 42 * GIB }),
];

const GPU = {
  name: "Vulkan0",
  description: "Some GPU",
  kind: "gpu",
  totalBytes: 24 * GIB,
  freeBytes: 9 * GIB,
  driver: "radv",
} as const;

const MEMBERS: readonly MemberStatus[] = [
  memberOf(0, {
    role: "leader",
    devices: [GPU],
    load: idleLoad({
      runningRequests: 3,
      loadedModels: ["llama3.2:latest", "llama3.3:70b"],
      splitModels: [{
        name: "llama3.3:70b",
        shards: [
          { name: "n1", firstLayer: 0, layerCount: 34, memoryBytes: 18 * GIB },
          { name: "n2", firstLayer: 34, layerCount: 28, memoryBytes: 15 * GIB },
          { name: "n6", firstLayer: 62, layerCount: 18, memoryBytes: 9 * GIB },
        ],
      }],
    }),
  }),
  memberOf(1, {
    load: idleLoad({ runningRequests: 4, waitingRequests: 2, loadedModels: ["tiny:latest"] }),
  }),
  memberOf(2, { health: "asleep", load: undefined }),
  memberOf(3, { role: "learner", yields: true }),
  memberOf(4, { health: "down", load: undefined }),
  memberOf(5, { role: "learner", drained: true }),
];

function requestOf(index: number, differing: Partial<RequestRow> = {}): RequestRow {
  return {
    id: `request-${index}`,
    atMs: PICTURED_AT_MS - index * 1_700,
    path: "/api/chat",
    model: index % 2 === 0 ? "tiny:latest" : "llama3.2:latest",
    state: "running",
    entry: `n${1 + index % 2}`,
    node: `n${1 + index % 2}`,
    moves: 0,
    promptTokens: 31,
    firstTokenMs: 140 + index,
    durationMs: 1_000 * (index + 1),
    ...differing,
  };
}

const REQUESTS: readonly RequestRow[] = [
  requestOf(0),
  requestOf(1, { entry: "n1", moves: 1 }),
  requestOf(2, { model: "llama3.3:70b", node: "n1" }),
  requestOf(3, { node: "n1" }),
  requestOf(4, { state: "answered", status: 200, tokens: 212 }),
  requestOf(5, { state: "answered", status: 200, tokens: 64, path: "/v1/chat/completions" }),
  requestOf(6, { state: "canceled", status: 200, tokens: 9 }),
  requestOf(7, { state: "failed", status: 500 }),
];

/** Members in each state, a model over several of them, answers that run, moved and are over. */
export const SEVERAL: PicturedCluster = {
  status: statusOf(MEMBERS),
  models: MODELS,
  requests: REQUESTS,
};

/** The first minute: one machine, and a model. */
export const LONE: PicturedCluster = {
  status: statusOf([memberOf(0, { role: "leader" })]),
  models: MODELS.slice(0, 1),
  requests: [],
};

/** What the browser kept: a question, and an answer with a list and code. */
export const KEPT_CONVERSATIONS = [{
  id: "one",
  model: "llama3.2:latest",
  system: "",
  changedAtMs: PICTURED_AT_MS,
  messages: [
    { role: "user", content: "How do I count the lines of a file?", images: [] },
    {
      role: "assistant",
      content: "Two ways:\n\n- **wc**, which is everywhere\n- a few lines of Python\n\n" +
        "```python\nwith open('notes.txt') as file:\n    print(sum(1 for _ in file))  # lines\n```\n\n" +
        "| Way | Needs |\n| --- | --- |\n| `wc -l` | a shell |\n| Python | Python |\n",
      thinking: "They want something short.",
      toolCalls: [],
      state: "done",
      failure: "",
      requestId: "request-4",
      readBytes: 900,
      node: "n2",
      resumed: 0,
      isRepeated: false,
      figures: { promptTokens: 31, tokens: 212, tokensPerSecond: 21.5, totalMs: 9_900 },
    },
  ],
}];
