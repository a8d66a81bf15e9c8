/**
 * What does it cost to compute a model on several nodes instead of one? Real nodes on this machine, a thread each, connected
 * directly; the same answers are asked of a node that holds the model whole, and of runners that are connected without tunnels,
 * in turns.
 *
 * Usage: `deno task bench:shards [--model FILE] [--layers 30] [--nodes 2] [--rounds 5] [--tokens 64]
 * [--memory 250MiB] [--worker-memory 250MiB]`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { chatPrompt, startEngine, TINY_SETTINGS } from "../tests/integration/engine_harness.ts";
import { startNode, type TestNode } from "../tests/harness/node.ts";
import { ensureBenchModel } from "./comparing/assets.ts";
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

async function measure(options: Options): Promise<void> {
  const bytes = await Deno.readFile(options.path);
  const nodes = await startCluster(options);
  // Several nodes together don't compute exactly.
  const whole = await startNode({ environment: { ODIST_EXACT: "off" } });
  const direct = await startDirect(options);
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
    const rows = { whole: [] as Spans[], split: [] as Spans[], direct: [] as number[] };
    const long: { whole: number[]; split: number[] } = { whole: [], split: [] };
    for (let round = 0; round < options.rounds; round++) {
      const prompt = `${round}. Explain how tides work, in detail.`;
      const limit = { num_predict: options.tokens };
      rows.whole.push(await ask(whole, prompt, limit));
      rows.split.push(await ask(leader, prompt, limit));
      rows.direct.push(await askDirect(direct.leader, chatPrompt(prompt), options.tokens));
      const words = `${round} ${"tide moon water ".repeat(LONG_WORDS / 3)}`;
      for (const [name, node] of [["whole", whole], ["split", leader]] as const) {
        const spans = await ask(node, words, { num_predict: 1 });
        long[name].push(spans.prefillMs / spans.promptTokens);
      }
    }
    // Of answers to one prompt, so that what the prompt costs is in both.
    const moved: number[] = [];
    for (const times of [1, 1, 2]) {
      const before = await linkBytes(leader);
      await ask(leader, "How do tides work?", { num_predict: options.tokens * times });
      const after = await linkBytes(leader);
      moved.push(after.up + after.down - before.up - before.down);
    }
    const [, once = 0, twice = 0] = moved;
    const perToken = (twice - once) / options.tokens / (options.nodes - 1);
    const [wholeMs, splitMs] = [rows.whole, rows.split].map((spans) =>
      median(spans.map(({ decodeMs }) => decodeMs))
    );
    const same = rows.whole.filter(({ text }, index) => text === rows.split[index]?.text).length;
    const ratio = (one: number, other: number) => `${fixed(one / other, 2)} x`;
    console.table({
      "decode, whole (ms/token)": fixed(wholeMs ?? 0, 2),
      "decode, split (ms/token)": fixed(splitMs ?? 0, 2),
      "decode, split without tunnels (ms/token)": fixed(median(rows.direct), 2),
      "decode speed, split to whole": ratio(wholeMs ?? 0, splitMs ?? 0),
      "decode speed, split to split without tunnels": ratio(median(rows.direct), splitMs ?? 0),
      "prefill speed, split to whole": ratio(median(long.whole), median(long.split)),
      "bytes per token and link": fixed(perToken, 0),
      "load (ms)": fixed(loadMs, 0),
      "bytes sent at load, of the file": `${load.up + load.down} = ${
        fixed((load.up + load.down) / bytes.length * 100, 2)
      } %`,
      "bytes spared at load": load.spared,
      "layers": (await shardsOf(leader)).join(", "),
      "same greedy text": `${same} of ${rows.whole.length}`,
    });
  } finally {
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
      rounds: { type: "string", default: "5" },
      tokens: { type: "string", default: "64" },
    },
  });
  console.log(await describeMachine());
  await measure({
    path: values.model ?? (await ensureBenchModel()).path,
    nodes: Number(values.nodes),
    rounds: Number(values.rounds),
    tokens: Number(values.tokens),
    layers: Number(values.layers),
    memory: values.memory,
    workerMemory: values["worker-memory"],
  });
}
