/**
 * How fast is odist, over HTTP, against llama-server of the same llama.cpp sources? Same GGUF, threads, prompts and
 * sampling; rounds of the two servers alternate, so that a machine that slows down slows down both.
 *
 * Usage: `deno task bench:engine [--streams 1,8,32] [--rounds 5] [--tokens 128] [--threads 1] [--odist FILE]
 * [--llama-server FILE] [--model FILE.gguf] [--only odist|llama-server] [--shared WORDS] [--out FOLDER] [--smoke]`.
 * With `--shared`, the prompts of a round begin with so many words in common. With `--gpu` (`deno task bench:gpu`) both compute on
 * this machine's GPUs, as many layers as fit; without one nothing is measured. llama-server must be one that was built for them:
 * without `--llama-server` odist is measured alone.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { ensureBenchModel, ensureLlamaServer } from "./comparing/assets.ts";
import {
  figuresOf,
  type Level,
  markdownReport,
  ratiosOf,
  type Round,
} from "./comparing/comparison.ts";
import {
  completeAll,
  type CompletionApi,
  type CompletionRequest,
  LLAMA_SERVER_API,
  ODIST_API,
} from "./measuring/load.ts";
import { findGpus, type FoundGpus } from "./measuring/gpus.ts";
import { describeMachine } from "./measuring/machine.ts";
import { barChart } from "./measuring/plot.ts";
import { promptOf } from "./measuring/prompts.ts";
import {
  artifactsFolder,
  inDataFolder,
  llamaServerCommand,
  odistCommand,
  ROOT,
  type RunningServer,
  startServer,
} from "./measuring/servers.ts";
import { type BenchModel, createModel } from "./measuring/setup.ts";

/** Context window of each slot in tokens, beside what prompts share: a prompt of its own and the answer must fit. */
const CONTEXT_TOKENS = 512;
/** A word and its space, at most. */
const TOKENS_PER_WORD = 2;
const PROMPT_WORDS = 60;
/** More layers than any model has. */
const ALL_LAYERS = 999;
/** Requests of a round with one stream; with more streams each sends one. */
const ROUND_REQUESTS_MIN = 4;

interface BenchOptions {
  readonly streams: readonly number[];
  readonly rounds: number;
  readonly answerTokens: number;
  readonly threads: number;
  readonly odist: string | undefined;
  readonly servers: readonly ServerName[];
  readonly llamaServer: string | undefined;
  readonly modelPath: string | undefined;
  /** Words that all prompts of a round begin with. */
  readonly sharedWords: number;
  readonly smoke: boolean;
  readonly usesGpu: boolean;
  readonly outFolder: string;
}

type ServerName = "odist" | "llama-server";

function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: args.filter((argument) => argument !== "--"),
    options: {
      streams: { type: "string" },
      rounds: { type: "string" },
      tokens: { type: "string" },
      threads: { type: "string", default: "1" },
      odist: { type: "string" },
      "llama-server": { type: "string" },
      model: { type: "string" },
      only: { type: "string" },
      shared: { type: "string", default: "0" },
      out: { type: "string", default: artifactsFolder("bench-engine") },
      smoke: { type: "boolean", default: false },
      gpu: { type: "boolean", default: false },
    },
  });
  const { only, smoke } = values;
  if (only !== undefined && only !== "odist" && only !== "llama-server") {
    throw new TypeError(`--only must be odist or llama-server: current value is "${only}"`);
  }
  const isAlone = smoke || (values.gpu && values["llama-server"] === undefined);
  const compared: readonly ServerName[] = isAlone ? ["odist"] : ["odist", "llama-server"];
  return {
    streams: (values.streams ?? (smoke ? "1,2" : "1,8,32")).split(",").map(Number),
    rounds: Number(values.rounds ?? (smoke ? 1 : 5)),
    answerTokens: Number(values.tokens ?? (smoke ? 8 : 128)),
    threads: Number(values.threads),
    odist: values.odist,
    servers: only === undefined ? compared : [only],
    llamaServer: values["llama-server"],
    modelPath: values.model,
    sharedWords: Number(values.shared),
    smoke,
    usesGpu: values.gpu,
    outFolder: values.out,
  };
}

function contextOf({ sharedWords }: BenchOptions): number {
  return CONTEXT_TOKENS + sharedWords * TOKENS_PER_WORD;
}

/** One server with everything needed to load it. */
interface Contender {
  readonly api: CompletionApi;
  readonly start: (streams: number) => Promise<RunningServer>;
}

async function contenders(
  options: BenchOptions & { readonly gpus: FoundGpus | undefined },
  model: BenchModel,
  dataFolder: string,
): Promise<Contender[]> {
  const { gpus } = options;
  const contextTokens = contextOf(options);
  const logPath = (name: string) => join(options.outFolder, `${name}.log`);
  const all: Contender[] = [];
  if (options.servers.includes("odist")) {
    const start = async (streams: number) => {
      const server = await startServer(odistCommand({
        binary: options.odist,
        dataFolder,
        logPath: logPath("odist"),
        settings: {
          ODIST_SLOTS: String(streams),
          ODIST_CONTEXT: String(contextTokens),
          ODIST_THREADS: String(options.threads),
          ...gpus?.nativeFolder && { ODIST_NATIVE_DIR: gpus.nativeFolder },
        },
      }));
      await createModel(server.origin, model);
      return server;
    };
    all.push({ api: ODIST_API, start });
  }
  if (options.servers.includes("llama-server")) {
    const binary = options.llamaServer ?? await ensureLlamaServer();
    const start = (slots: number) =>
      startServer(llamaServerCommand({
        binary,
        modelPath: model.path,
        slots,
        contextTokens,
        threads: options.threads,
        logPath: logPath("llama-server"),
        ...gpus && { gpuLayers: ALL_LAYERS },
      }));
    all.push({ api: LLAMA_SERVER_API, start });
  }
  return all;
}

async function measureLevel(
  streams: number,
  contending: readonly Contender[],
  options: BenchOptions & { readonly model: BenchModel },
): Promise<Level> {
  await using stack = new AsyncDisposableStack();
  const running: { api: CompletionApi; origin: string }[] = [];
  for (const { api, start } of contending) {
    running.push({ api, origin: stack.use(await start(streams)).origin });
  }
  const rounds: Round[] = [];
  // Round 0 loads the model and warms caches; it does not count.
  for (let number = 0; number <= options.rounds; number++) {
    const requests = requestsOf(number, streams, options);
    // Whoever goes first in one round goes last in the next.
    for (const { api, origin } of number % 2 === 0 ? running : running.toReversed()) {
      const startedAtMs = performance.now();
      const completions = await completeAll(requests, { api, origin, streams });
      const wallMs = performance.now() - startedAtMs;
      if (completions.some((completion) => completion.answerTokens === 0)) {
        throw new Error(`${api.name} answered a prompt with nothing: there is nothing to measure`);
      }
      if (number > 0) rounds.push({ server: api.name, completions, wallMs });
    }
    console.log(`${streams} streams: round ${number} of ${options.rounds}`);
  }
  return { streams, rounds };
}

function requestsOf(
  round: number,
  streams: number,
  options: BenchOptions & { readonly model: BenchModel },
): CompletionRequest[] {
  const count = Math.max(streams, ROUND_REQUESTS_MIN);
  const { sharedWords } = options;
  const shared = sharedWords === 0 ? "" : `${promptOf(1_000 * round, sharedWords)}\n\n`;
  return Array.from({ length: count }, (_, index) => ({
    model: options.model.name,
    prompt: shared + promptOf(1 + index + 1_000 * round, PROMPT_WORDS),
    answerTokens: round === 0 ? Math.min(16, options.answerTokens) : options.answerTokens,
    // Tiny answers nothing to a story without its template.
    form: options.smoke ? "templated" : "raw",
    sampling: { temperature: 0, topK: 40, topP: 0.95, seed: 1 },
  }));
}

async function writeReports(
  options: BenchOptions & { readonly gpus: FoundGpus | undefined },
  model: BenchModel,
  levels: readonly Level[],
) {
  const figures = levels.flatMap((level) => options.servers.map((name) => figuresOf(level, name)));
  const ratios = options.servers.length < 2
    ? []
    : levels.map((level) => ratiosOf(level, { server: "odist", other: "llama-server" }));
  const digest = createHash("sha256").update(await Deno.readFile(model.path)).digest("hex");
  const conditions = {
    ...await describeMachine(),
    model: `${basename(model.path)}, SHA-256 ${digest}`,
    threads: options.threads,
    ...options.gpus && { devices: options.gpus.devices.map(describeDevice).join("; ") },
    "context window": `${contextOf(options)} tokens per slot, one slot per stream`,
    prompts: options.sharedWords === 0
      ? `about ${PROMPT_WORDS} words each, no shared prefix`
      : `about ${options.sharedWords} words that all of a round share, and ${PROMPT_WORDS} of each one's own`,
    "tokens per answer": `${options.answerTokens} at most, greedy`,
    rounds: `${options.rounds} per server and level, alternating, after one uncounted`,
  };
  const markdown = markdownReport(figures, ratios, conditions);
  const chart = (title: string, axis: string, value: (row: typeof figures[number]) => number) =>
    barChart({
      title,
      axis,
      bars: figures.map((row) => ({
        group: `${row.streams} streams`,
        series: row.server,
        value: value(row),
      })),
    });
  const write = (name: string, text: string) =>
    Deno.writeTextFile(join(options.outFolder, name), text);
  await write("engine.md", markdown);
  await write(
    "engine.json",
    JSON.stringify({ conditions, figures, ratios, levels }, null, 1) + "\n",
  );
  await write(
    "engine_tokens.svg",
    chart("Generated tokens per second", "higher is better", (row) => row.tokensPerSecond),
  );
  await write(
    "engine_ttft.svg",
    chart("Time to first token, p50, ms", "lower is better", (row) => row.ttftMsP50),
  );
  console.log(markdown);
  console.log(`Reports: ${options.outFolder}`);
}

function describeDevice({ name, description, driver }: FoundGpus["devices"][number]): string {
  return [name, description, driver].filter((word) => word !== "").join(", ");
}

async function main(): Promise<void> {
  const parsed = parseOptions(Deno.args);
  const gpus = parsed.usesGpu ? await findGpus() : undefined;
  if (gpus?.devices.length === 0) {
    return console.log("There is no GPU that odist can use here: nothing was measured");
  }
  const options = { ...parsed, gpus };
  await Deno.mkdir(options.outFolder, { recursive: true });
  const model = options.modelPath !== undefined
    ? { name: "bench", path: options.modelPath }
    : options.smoke
    ? { name: "tiny", path: join(ROOT, "src/models/embedded/tiny.gguf") }
    : await ensureBenchModel();
  await inDataFolder(async (dataFolder) => {
    const contending = await contenders(options, model, dataFolder);
    const levels: Level[] = [];
    for (const streams of options.streams) {
      levels.push(await measureLevel(streams, contending, { ...options, model }));
    }
    await writeReports(options, model, levels);
  });
}

if (import.meta.main) await main();
