/**
 * What does it cost to compute a model on several nodes instead of one? Real nodes on this machine, a thread each, connected
 * directly; the same answers are asked of a node that holds the model whole, of runners that are connected without tunnels, and
 * of llama-server over its own RPC servers, in turns.
 *
 * Usage: `deno task bench:shards [--quick] [--model FILE] [--layers 30] [--nodes 2] [--rounds 5] [--tokens 64]
 * [--memory 250MiB] [--worker-memory 250MiB] [--no-llama]`. With `--quick` shorter answers.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { chatPrompt, startEngine, TINY_SETTINGS } from "../tests/integration/engine_harness.ts";
import { startNode, type TestNode } from "../tests/harness/node.ts";
import { ensureBenchModel } from "./comparing/assets.ts";
import { type LlamaOverRpc, startLlamaOverRpc } from "./comparing/llama_rpc.ts";
import { describeMachine } from "./measuring/machine.ts";
import { fixed, median } from "./measuring/stats.ts";

const WINDOW = 2048;
/** Of a prompt of a thousand tokens, roughly. */
const LONG_WORDS = 700;

/** What one answer took. */
interface Spans {
  readonly text: string;
  readonly decodeMs: number;
  readonly prefillMs: number;
  readonly promptTokens: number;
}

interface Options {
  readonly path: string;
  readonly nodes: number;
  readonly rounds: number;
  readonly tokens: number;
  readonly layers: number;
  /** `--memory-limit` of the leader, and of the others. */
  readonly memory: string;
  readonly workerMemory: string;
  /** Whether llama-server is asked, too. */
  readonly comparesLlama: boolean;
}

/** A UDP port that is free now. */
function freePort(): number {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { addr } = socket;
  socket.close();
  return addr.transport === "udp" ? addr.port : 0;
}

async function startCluster({ nodes: count, memory, workerMemory }: Options): Promise<TestNode[]> {
  const port = freePort();
  const environment = {
    ODIST_LISTEN: `127.0.0.1:${port}`,
    ODIST_REPLICATE_AFTER: "0s",
    ODIST_MEMORY_LIMIT: memory,
  };
  const replicas = { ODIST_REPLICAS: String(count) };
  const nodes = [await startNode({ environment: { ...environment, ...replicas } })];
  const made = await nodes[0]?.ask("/api/cluster/tokens", { uses: count });
  for (let index = 1; index < count; index++) {
    nodes.push(
      await startNode({
        environment: {
          ...replicas,
          ODIST_LISTEN: `127.0.0.1:${freePort()}`,
          ODIST_JOIN: `127.0.0.1:${port}`,
          ODIST_TOKEN: String(made?.["token"]),
          ODIST_REPLICATE_AFTER: "0s",
          ODIST_MEMORY_LIMIT: workerMemory,
        },
      }),
    );
  }
  return nodes;
}

async function createModel(nodes: readonly TestNode[], bytes: Uint8Array<ArrayBuffer>) {
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const [first] = nodes;
  await (await first?.get(`/api/blobs/${digest}`, { method: "POST", body: bytes }))?.body?.cancel();
  await first?.ask("/api/create", { model: "m", files: { "m.gguf": digest }, stream: false });
  // Who holds the weights is sent none.
  for (const node of nodes) {
    while ((await node.get(`/api/blobs/${digest}`, { method: "HEAD" })).status !== 200) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

async function ask(node: TestNode, prompt: string, options: object): Promise<Spans> {
  const answer = await node.ask("/api/generate", {
    model: "m",
    prompt,
    stream: false,
    keep_alive: -1,
    options: { temperature: 0, num_ctx: WINDOW, ...options },
  });
  return {
    text: String(answer["response"]),
    decodeMs: Number(answer["eval_duration"]) / 1e6 / Math.max(1, Number(answer["eval_count"]) - 1),
    prefillMs: Number(answer["prompt_eval_duration"]) / 1e6,
    promptTokens: Number(answer["prompt_eval_count"]),
  };
}

/** How many layers each node has, the leader last. */
async function shardsOf(node: TestNode): Promise<readonly number[]> {
  const { models } = await (await node.get("/api/ps")).json();
  return models[0]?.shards?.map((shard: { layer_count: number }) => shard.layer_count) ?? [];
}

/** Bytes of all workers' links, as the asked node counted them. */
async function linkBytes(node: TestNode): Promise<Record<"up" | "down" | "spared", number>> {
  const text = await (await node.get("/metrics")).text();
  const of = (direction: string) =>
    Number(
      new RegExp(`^odist_shard_bytes_total\\{direction="${direction}"\\} (\\d+)`, "m").exec(text)
        ?.[1] ?? 0,
    );
  return { up: of("up"), down: of("down"), spared: of("spared") };
}

/** The same model, its first layers in one other runner, without a tunnel between them. */
async function startDirect({ path, layers, nodes }: Options) {
  const engine = startEngine();
  const signal = new AbortController().signal;
  const base = { ...TINY_SETTINGS, modelPath: path, contextTokens: WINDOW };
  const listeners = Array.from({ length: nodes - 1 }, () => Deno.listen({ port: 0 }));
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  const workers = await Promise.all(
    ports.map((port) =>
      engine.load({ ...base, modelPath: "", worker: { port, memoryBytes: 1 } }, { signal })
    ),
  );
  for (const port of ports) {
    for (;;) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
  const each = Math.floor(layers / ports.length);
  const workerLayers = ports.map((_, index) =>
    index === 0 ? layers - each * (ports.length - 1) : each
  );
  const shards = { ports, workerLayers, ownLayers: 0, ownBytes: 1 };
  const leader = await engine.load({ ...base, shards }, { signal });
  return { leader, end: () => Promise.all([leader, ...workers].map((one) => one.unload())) };
}

async function askDirect(
  leader: Awaited<ReturnType<typeof startDirect>>["leader"],
  prompt: string,
  tokens: number,
): Promise<number> {
  let [count, decodeMs] = [0, 0];
  const request = {
    prompt: { kind: "text", text: prompt, addSpecial: true },
    emittedTokens: [],
    sampler: {
      temperature: 0,
      topK: 40,
      topP: 0.9,
      minP: 0,
      typicalP: 1,
      repeatLastTokens: 64,
      repeatPenalty: 1.1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      seed: 1,
    },
    predictTokensMax: tokens,
    keepTokens: 4,
    onLongPrompt: "truncate",
    onFullContext: "shift",
    grammar: null,
    topLogprobs: -1,
  } as const;
  for await (const event of leader.generate(request, new AbortController().signal)) {
    if (event.kind === "tokens") count += event.tokens.length;
    if (event.kind === "finished") decodeMs = event.decodeNs / 1e6;
  }
  return decodeMs / Math.max(1, count - 1);
}

/** What is measured in one run; a figure a round. */
interface Rows {
  readonly whole: Spans[];
  readonly split: Spans[];
  /** Milliseconds a token. */
  readonly direct: number[];
  readonly llama: number[];
  readonly prefill: {
    readonly whole: number[];
    readonly split: number[];
    readonly llama: number[];
  };
}

/** Who is asked. */
interface Asked {
  readonly whole: TestNode;
  readonly split: TestNode;
  readonly direct: Awaited<ReturnType<typeof startDirect>>["leader"];
  readonly llama: LlamaOverRpc | undefined;
}

async function askAll(asked: Asked, { rounds, tokens }: Options): Promise<Rows> {
  const prefill = { whole: [] as number[], split: [] as number[], llama: [] as number[] };
  const rows: Rows = { whole: [], split: [], direct: [], llama: [], prefill };
  const { whole, split, direct, llama } = asked;
  for (let round = 0; round < rounds; round++) {
    const prompt = `${round}. Explain how tides work, in detail.`;
    const words = `${round} ${"tide moon water ".repeat(LONG_WORDS / 3)}`;
    const limit = { num_predict: tokens };
    const long = async (node: TestNode) => {
      const { prefillMs, promptTokens } = await ask(node, words, { num_predict: 1 });
      return prefillMs / promptTokens;
    };
    const turns = [
      async () => rows.whole.push(await ask(whole, prompt, limit)),
      async () => rows.split.push(await ask(split, prompt, limit)),
      async () => rows.direct.push(await askDirect(direct, chatPrompt(prompt), tokens)),
      async () => {
        const spans = await llama?.ask(chatPrompt(prompt), tokens);
        if (spans !== undefined) rows.llama.push(spans.decodeMs);
      },
      async () => prefill.whole.push(await long(whole)),
      async () => prefill.split.push(await long(split)),
      async () => {
        const spans = await llama?.ask(chatPrompt(words), 1);
        if (spans !== undefined) prefill.llama.push(spans.prefillMs);
      },
    ];
    // So that nobody is always the one after the same other one.
    for (const turn of [...turns.slice(round % 4), ...turns.slice(0, round % 4)]) await turn();
  }
  return rows;
}

/** Of answers to one prompt, so that what the prompt costs is in both. */
async function bytesPerToken(leader: TestNode, { tokens, nodes }: Options): Promise<number> {
  const moved: number[] = [];
  for (const times of [1, 1, 2]) {
    const before = await linkBytes(leader);
    await ask(leader, "How do tides work?", { num_predict: tokens * times });
    const after = await linkBytes(leader);
    moved.push(after.up + after.down - before.up - before.down);
  }
  const [, once = 0, twice = 0] = moved;
  return (twice - once) / tokens / (nodes - 1);
}

function tell(rows: Rows, loaded: Readonly<Record<string, unknown>>): void {
  const [wholeMs, splitMs] = [rows.whole, rows.split].map((spans) =>
    median(spans.map(({ decodeMs }) => decodeMs))
  );
  const directMs = median(rows.direct);
  const same = rows.whole.filter(({ text }, index) => text === rows.split[index]?.text).length;
  const ratio = (one: number, other = 0) => `${fixed(one / other, 2)} x`;
  const { prefill } = rows;
  const splitPrefill = median(prefill.split);
  console.table({
    "decode, whole (ms/token)": fixed(wholeMs ?? 0, 2),
    "decode, split (ms/token)": fixed(splitMs ?? 0, 2),
    "decode, split without tunnels (ms/token)": fixed(directMs, 2),
    "decode speed, split to whole": ratio(wholeMs ?? 0, splitMs),
    "decode speed, split to split without tunnels": ratio(directMs, splitMs),
    ...rows.llama.length > 0 && {
      "decode, llama-server --rpc (ms/token)": fixed(median(rows.llama), 2),
      "decode speed, split to llama-server --rpc": ratio(median(rows.llama), splitMs),
      "prefill speed, split to llama-server --rpc": ratio(median(prefill.llama), splitPrefill),
    },
    "prefill of a thousand tokens, split to whole": ratio(median(prefill.whole), splitPrefill),
    ...loaded,
    "same greedy text": `${same} of ${rows.whole.length}`,
  });
}

async function measure(options: Options): Promise<void> {
  const bytes = await Deno.readFile(options.path);
  const nodes = await startCluster(options);
  // Several nodes together don't compute exactly.
  const whole = await startNode({ environment: { ODIST_EXACT: "off" } });
  const direct = await startDirect(options);
  let llama: LlamaOverRpc | undefined;
  const [leader] = nodes;
  try {
    if (leader === undefined) return;
    await createModel(nodes, bytes);
    await createModel([whole], bytes);
    await ask(whole, "Hello", { num_predict: 1 });
    const loadedMs = performance.now();
    await ask(leader, "Hello", { num_predict: 1 });
    const loadMs = performance.now() - loadedMs;
    const load = await linkBytes(leader);
    const layers = await shardsOf(leader);
    if (options.comparesLlama) {
      llama = await startLlamaOverRpc({
        ...{ modelPath: options.path, contextTokens: WINDOW, workers: options.nodes - 1 },
        workerLayers: layers.slice(0, -1).reduce((sum, count) => sum + count, 0),
      });
    }
    const rows = await askAll({ whole, split: leader, direct: direct.leader, llama }, options);
    const sent = load.up + load.down;
    tell(rows, {
      "bytes per token and link": fixed(await bytesPerToken(leader, options), 0),
      "load (ms)": fixed(loadMs, 0),
      "bytes sent at load, of the file": `${sent} = ${fixed(sent / bytes.length * 100, 2)} %`,
      "bytes spared at load": load.spared,
      "layers": layers.join(", "),
    });
  } finally {
    await llama?.[Symbol.asyncDispose]();
    await direct.end();
    for (const node of [...nodes, whole]) await node[Symbol.asyncDispose]();
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      layers: { type: "string", default: "30" },
      memory: { type: "string", default: "250MiB" },
      "worker-memory": { type: "string", default: "250MiB" },
      nodes: { type: "string", default: "2" },
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      tokens: { type: "string" },
      "no-llama": { type: "boolean", default: false },
    },
  });
  const [rounds, tokens] = values.quick ? [5, 32] : [5, 64];
  console.log(await describeMachine());
  await measure({
    path: values.model ?? (await ensureBenchModel()).path,
    nodes: Number(values.nodes),
    rounds: Number(values.rounds ?? rounds),
    tokens: Number(values.tokens ?? tokens),
    comparesLlama: !values["no-llama"],
    layers: Number(values.layers),
    memory: values.memory,
    workerMemory: values["worker-memory"],
  });
}
