/**
 * Does a crowd get the answers it would get alone, how fast, and does memory stay flat? Sends distinct prompts one by
 * one, then all at once, then many more while it watches memory. Linux only, because it reads /proc.
 *
 * Usage: `deno task bench:requests [--odist FILE] [--concurrent 100] [--total 2000] [--tokens 32] [--out FOLDER]`.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  completeAll,
  type Completion,
  type CompletionRequest,
  ODIST_API,
} from "./measuring/load.ts";
import { describeMachine, readProcessCost } from "./measuring/machine.ts";
import { promptOf } from "./measuring/prompts.ts";
import {
  artifactsFolder,
  inDataFolder,
  odistCommand,
  type RunningServer,
  startServer,
} from "./measuring/servers.ts";
import { fixed, sum } from "./measuring/stats.ts";

const MEBIBYTE = 2 ** 20;
const PROMPT_WORDS = 12;
/** Looks at memory in the long run. */
const MEMORY_LOOKS = 10;

interface CrowdOptions {
  readonly odist: string | undefined;
  readonly concurrent: number;
  readonly total: number;
  readonly answerTokens: number;
  readonly slots: number;
  readonly outFolder: string;
}

/** What the crowd got. */
interface CrowdResult {
  readonly complete: number;
  readonly equalToSolo: number;
  readonly requestsPerSecond: number;
  /** Prompt numbers whose answer differs, with both answers. */
  readonly differing: readonly {
    readonly prompt: string;
    readonly solo: string;
    readonly crowd: string;
  }[];
}

function requestsFrom(first: number, count: number, answerTokens: number): CompletionRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    model: "tiny",
    prompt: promptOf(first + index, PROMPT_WORDS),
    answerTokens,
    form: "templated",
    sampling: { temperature: 0, topK: 40, topP: 0.95, seed: 1 },
  }));
}

async function measureCrowd(server: RunningServer, options: CrowdOptions): Promise<CrowdResult> {
  const requests = requestsFrom(1, options.concurrent, options.answerTokens);
  const ask = (streams: number) =>
    completeAll(requests, { api: ODIST_API, origin: server.origin, streams });
  const solo = await ask(1);
  const startedAtMs = performance.now();
  const crowd = await ask(options.concurrent);
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const differing = requests.flatMap(({ prompt }, index) => {
    const [alone, among] = [solo[index]?.text ?? "", crowd[index]?.text ?? ""];
    return alone === among ? [] : [{ prompt, solo: alone, crowd: among }];
  });
  return {
    complete: crowd.filter((completion: Completion) => completion.answerTokens > 0).length,
    equalToSolo: requests.length - differing.length,
    requestsPerSecond: options.concurrent / seconds,
    differing,
  };
}

/** Bytes of node and runner after each tenth of the requests. */
async function watchMemory(server: RunningServer, options: CrowdOptions): Promise<number[][]> {
  const looks: number[][] = [];
  const share = Math.ceil(options.total / MEMORY_LOOKS);
  for (let look = 0; look < MEMORY_LOOKS; look++) {
    const requests = requestsFrom(10_000 + look * share, share, options.answerTokens);
    const streams = Math.min(options.slots * 2, share);
    await completeAll(requests, { api: ODIST_API, origin: server.origin, streams });
    looks.push([...readProcessCost(server.pid).residentBytes.values()]);
  }
  return looks;
}

async function measure(options: CrowdOptions, dataFolder: string): Promise<void> {
  const conditions = await describeMachine();
  await using server = await startServer(odistCommand({
    binary: options.odist,
    dataFolder,
    logPath: join(options.outFolder, "odist.log"),
    settings: { ODIST_SLOTS: String(options.slots), ODIST_MAX_QUEUE: String(options.concurrent) },
  }));
  const crowd = await measureCrowd(server, options);
  const memory = await watchMemory(server, options);
  const looks = memory.map((bytes) => `${fixed(sum(bytes) / MEBIBYTE, 0)}`);
  const lines = [
    "# A crowd of requests",
    "",
    `- ${options.concurrent} at once: ${crowd.complete} complete, ${crowd.equalToSolo} equal to their solo run`,
    `- ${
      fixed(crowd.requestsPerSecond, 1)
    } requests/s of at most ${options.answerTokens} tokens, ${options.slots} slots`,
    `- memory of node and runners over ${options.total} requests, MiB: ${looks.join(", ")}`,
    ...Object.entries(conditions).map(([name, value]) => `- ${name}: ${value}`),
    "",
  ];
  await Deno.writeTextFile(join(options.outFolder, "requests.md"), lines.join("\n"));
  await Deno.writeTextFile(
    join(options.outFolder, "requests.json"),
    JSON.stringify({ conditions, crowd, memory }, null, 1),
  );
  console.log(lines.join("\n"));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      odist: { type: "string" },
      concurrent: { type: "string", default: "100" },
      total: { type: "string", default: "2000" },
      tokens: { type: "string", default: "32" },
      slots: { type: "string", default: "8" },
      out: { type: "string", default: artifactsFolder("bench-requests") },
    },
  });
  const options = {
    odist: values.odist,
    concurrent: Number(values.concurrent),
    total: Number(values.total),
    answerTokens: Number(values.tokens),
    slots: Number(values.slots),
    outFolder: values.out,
  };
  await Deno.mkdir(options.outFolder, { recursive: true });
  await inDataFolder((dataFolder) => measure(options, dataFolder));
}

if (import.meta.main) await main();
