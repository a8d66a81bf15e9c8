/**
 * How fast is odist, over HTTP, against llama-server of the same llama.cpp sources? Same GGUF, threads, prompts and
 * sampling; rounds of the two servers alternate, so that a machine that slows down slows down both.
 *
 * Usage: `deno task bench:engine [--streams 1,8,32] [--rounds 5] [--tokens 128] [--threads 1] [--odist FILE]
 * [--llama-server FILE] [--model FILE.gguf] [--only odist|llama-server] [--shared WORDS] [--out FOLDER] [--quick] [--smoke]`.
 * Besides prompts of their own, 8 streams ask with about 1,000 tokens in common; with `--shared` all prompts of a round begin with
 * so many words in common. `--quick` is fewer and shorter rounds. With `--gpu` (`deno task bench:gpu`) both compute on
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
  type LevelShape,
  markdownReport,
  nameOf,
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

/** About 1,000 tokens of SmolLM2. */
const SHARED: LevelShape = { streams: 8, sharedWords: 830 };

interface BenchOptions {
  readonly levels: readonly LevelShape[];
  readonly rounds: number;
  readonly answerTokens: number;
  readonly threads: number;
  readonly odist: string | undefined;
  readonly servers: readonly ServerName[];
  readonly llamaServer: string | undefined;
  readonly modelPath: string | undefined;
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
      shared: { type: "string" },
      out: { type: "string", default: artifactsFolder("bench-engine") },
      smoke: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      gpu: { type: "boolean", default: false },
    },
  });
  const { only, smoke, quick } = values;
  if (only !== undefined && only !== "odist" && only !== "llama-server") {
    throw new TypeError(`--only must be odist or llama-server: current value is "${only}"`);
  }
  const isAlone = smoke || (values.gpu && values["llama-server"] === undefined);
  const compared: readonly ServerName[] = isAlone ? ["odist"] : ["odist", "llama-server"];
  const streams = (values.streams ?? (smoke ? "1,2" : "1,8,32")).split(",").map(Number);
  const sharedWords = Number(values.shared ?? 0);
  const isUsual = values.streams === undefined && values.shared === undefined && !smoke;
  const levels = streams.map((count) => ({ streams: count, sharedWords }));
  return {
    levels: isUsual ? [...levels, SHARED] : levels,
    rounds: Number(values.rounds ?? (smoke ? 1 : quick ? 2 : 5)),
    answerTokens: Number(values.tokens ?? (smoke ? 8 : quick ? 48 : 128)),
    threads: Number(values.threads),
    odist: values.odist,
    servers: only === undefined ? compared : [only],
    llamaServer: values["llama-server"],
    modelPath: values.model,
    smoke,
    usesGpu: values.gpu,
    outFolder: values.out,
  };
}

function contextOf({ sharedWords }: LevelShape): number {
  return CONTEXT_TOKENS + sharedWords * TOKENS_PER_WORD;
}

/** One server with everything needed to load it. */
interface Contender {
  readonly api: CompletionApi;
  readonly start: (shape: LevelShape) => Promise<RunningServer>;
}

async function contenders(
  options: BenchOptions & { readonly gpus: FoundGpus | undefined },
  model: BenchModel,
  dataFolder: string,
): Promise<Contender[]> {
  const { gpus } = options;
  const logPath = (name: string) => join(options.outFolder, `${name}.log`);
  const all: Contender[] = [];
  if (options.servers.includes("odist")) {
    const start = async (shape: LevelShape) => {
      const server = await startServer(odistCommand({
        binary: options.odist,
        dataFolder,
        logPath: logPath("odist"),
        settings: {
          ODIST_SLOTS: String(shape.streams),
          ODIST_CONTEXT: String(contextOf(shape)),
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
    const start = (shape: LevelShape) =>
      startServer(llamaServerCommand({
        binary,
        modelPath: model.path,
        slots: shape.streams,
        contextTokens: contextOf(shape),
        threads: options.threads,
        logPath: logPath("llama-server"),
        ...gpus && { gpuLayers: ALL_LAYERS },
      }));
    all.push({ api: LLAMA_SERVER_API, start });
  }
  return all;
}

async function measureLevel(
  shape: LevelShape,
  contending: readonly Contender[],
  options: BenchOptions & { readonly model: BenchModel },
): Promise<Level> {
  const { streams } = shape;
  await using stack = new AsyncDisposableStack();
  const running: { api: CompletionApi; origin: string }[] = [];
  for (const { api, start } of contending) {
    running.push({ api, origin: stack.use(await start(shape)).origin });
  }
  const rounds: Round[] = [];
  // Round 0 loads the model and warms caches; it does not count.
  for (let number = 0; number <= options.rounds; number++) {
    const requests = requestsOf(number, shape, options);
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
    console.log(`${nameOf(shape)} streams: round ${number} of ${options.rounds}`);
  }
  return { ...shape, rounds };
}

function requestsOf(
  round: number,
  { streams, sharedWords }: LevelShape,
  options: BenchOptions & { readonly model: BenchModel },
): CompletionRequest[] {
  const count = Math.max(streams, ROUND_REQUESTS_MIN);
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
    "context window": `${
      options.levels.map(contextOf).join(", ")
    } tokens per slot, one slot per stream`,
    prompts: `about ${PROMPT_WORDS} words of each one's own, behind what a round shares`,
    "tokens per answer": `${options.answerTokens} at most, greedy`,
    rounds: `${options.rounds} per server and level, alternating, after one uncounted`,
  };
  const markdown = markdownReport(figures, ratios, conditions);
  const chart = (title: string, axis: string, value: (row: typeof figures[number]) => number) =>
    barChart({
      title,
      axis,
      bars: figures.map((row) => ({
        group: `${nameOf(row)} streams`,
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
    for (const shape of options.levels) {
      levels.push(await measureLevel(shape, contending, { ...options, model }));
    }
    await writeReports(options, model, levels);
  });
}

if (import.meta.main) await main();
