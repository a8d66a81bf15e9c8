/**
 * What does it cost to ask a node that has to ask another one? A node holds a model whose runner is a paced one, a second
 * node of the cluster holds none; both are asked, and the first through nginx as a plain proxy where there is one, in
 * rounds that alternate. Linux only, because it reads /proc.
 *
 * Usage: `deno task bench:router [--streams 200] [--pace 100] [--tokens 32] [--rounds 3] [--seconds 8] [--askers 32]
 * [--odist-from FOLDER] [--nginx FILE] [--out FOLDER]`. `--odist-from`: another checkout to measure.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine, readProcessCost } from "./measuring/machine.ts";
import {
  artifactsFolder,
  freePort,
  inDataFolder,
  odistCommand,
  ROOT,
  type RunningServer,
  startServer,
} from "./measuring/servers.ts";
import { createModel } from "./measuring/setup.ts";
import { fixed, median, percentile } from "./measuring/stats.ts";
import { startProxy } from "./pacing/nginx_proxy.ts";

const MODEL = "paced";
/** Milliseconds between two looks for what takes a moment. */
const LOOK_MS = 50;
/** Requests to each way before anything is measured. */
const WARM_REQUESTS = 300;

interface Options {
  readonly streams: number;
  readonly paceMs: number;
  readonly tokens: number;
  readonly rounds: number;
  readonly seconds: number;
  /** Clients of the requests that are as short as can be. */
  readonly askers: number;
  readonly checkout: string;
  readonly nginx: string;
  readonly outFolder: string;
}

/** A way to the model. `pid` is of what is between, or of who holds it. */
interface Way {
  readonly name: string;
  readonly origin: string;
  readonly pid: number;
}

/** What was measured of one way. */
interface Figures {
  readonly ttftMs: number[];
  /** Of each round. */
  readonly perSecond: number[];
  /** Processor time of `pid` and its children for a request of one token, of each round. Milliseconds. */
  readonly cpuMs: number[];
}

/** Asks for `tokens` and reads the stream to its end; milliseconds to the first line. */
async function ask(origin: string, tokens: number): Promise<number> {
  const startMs = performance.now();
  const response = await fetch(`${origin}/api/generate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ model: MODEL, prompt: "Why is the sky blue?" },
      options: { num_predict: tokens },
    }),
  });
  if (!response.ok || response.body === null) {
    throw new Error(`${origin} answered ${response.status}: ${await response.text()}`);
  }
  let ttftMs = NaN;
  let last: Uint8Array = new Uint8Array();
  for await (const chunk of response.body) {
    if (Number.isNaN(ttftMs)) ttftMs = performance.now() - startMs;
    last = chunk;
  }
  const text = new TextDecoder().decode(last);
  if (!text.includes(`"eval_count":${tokens}`)) throw new Error(`an answer ended with ${text}`);
  return ttftMs;
}

/** Streams that are there all the time, begun a moment apart. */
async function measureStreams({ origin }: Way, options: Options): Promise<number[]> {
  const { streams, tokens, paceMs, seconds } = options;
  const endMs = performance.now() + seconds * 1_000;
  const all: number[] = [];
  await Promise.all(Array.from({ length: streams }, async (_, index) => {
    await sleep(index * tokens * paceMs / streams);
    while (performance.now() < endMs) all.push(await ask(origin, tokens));
  }));
  return all;
}

/** Requests of one token, one after the other of each asker. */
async function measureShort(way: Way, { askers, seconds }: Options): Promise<[number, number]> {
  const before = readProcessCost(way.pid).cpuSeconds;
  const startMs = performance.now();
  const endMs = startMs + seconds * 1_000;
  let count = 0;
  await Promise.all(Array.from({ length: askers }, async () => {
    for (; performance.now() < endMs; count++) await ask(way.origin, 1);
  }));
  const perSecond = count / ((performance.now() - startMs) / 1_000);
  return [perSecond, (readProcessCost(way.pid).cpuSeconds - before) * 1_000 / count];
}

async function measure(ways: readonly Way[], options: Options): Promise<Map<Way, Figures>> {
  const figures = new Map<Way, Figures>();
  for (const way of ways) {
    figures.set(way, { ttftMs: [], perSecond: [], cpuMs: [] });
    for (let index = 0; index < WARM_REQUESTS; index++) await ask(way.origin, 1);
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const [way, { ttftMs, perSecond, cpuMs }] of figures) {
      ttftMs.push(...await measureStreams(way, options));
      const [speed, cost] = await measureShort(way, options);
      perSecond.push(speed);
      cpuMs.push(cost);
    }
  }
  return figures;
}

function row(name: string, figures: Figures, direct: Figures): string {
  const ttft = (share: number) => {
    const ms = percentile(figures.ttftMs, share);
    return `${fixed(ms, 2)} (+${fixed(ms - percentile(direct.ttftMs, share), 2)})`;
  };
  const cpuMs = median(figures.cpuMs);
  return `| ${name} | ${figures.ttftMs.length} | ${ttft(0.5)} | ${ttft(0.99)} | ` +
    `${fixed(median(figures.perSecond), 0)} | ${fixed(cpuMs, 3)} | ${fixed(1_000 / cpuMs, 0)} |`;
}

async function report(figures: Map<Way, Figures>, options: Options): Promise<void> {
  const conditions = await describeMachine();
  const [direct] = figures.values();
  if (direct === undefined) return;
  const { streams, paceMs, tokens, rounds, askers } = options;
  const lines = [
    "# Asking a node that asks another one",
    "",
    "| asked | answers | TTFT p50, ms | TTFT p99, ms | short requests/s | its CPU each, ms | short requests/s of one core |",
    "|---|---|---|---|---|---|---|",
    ...[...figures].map(([{ name }, measured]) => row(name, measured, direct)),
    "",
    `- ${rounds} rounds; TTFT with ${streams} streams of ${tokens} tokens, one each ${paceMs} ms; in parentheses, more than that of ` +
    "the holder",
    `- short requests are of one token, from ${askers} clients; CPU is of the process asked and its children, the proxy's own for nginx`,
    ...Object.entries(conditions).map(([name, value]) => `- ${name}: ${value}`),
    "",
  ];
  await Deno.writeTextFile(join(options.outFolder, "router.md"), lines.join("\n"));
  await Deno.writeTextFile(
    join(options.outFolder, "router.json"),
    JSON.stringify({ conditions, figures: [...figures] }, null, 1),
  );
  console.log(lines.join("\n"));
}

/** A node whose runners are paced, on a data folder of its own. */
async function startNode(
  name: string,
  folder: string,
  by: { readonly options: Options; readonly settings: Readonly<Record<string, string>> },
): Promise<RunningServer> {
  const { checkout, outFolder, paceMs } = by.options;
  const command = odistCommand({
    binary: Deno.execPath(),
    dataFolder: join(folder, name),
    logPath: join(outFolder, `${name}.log`),
    settings: {
      ODIST_SLOTS: "256",
      ODIST_MAX_QUEUE: "1024",
      ODIST_REPLICAS: "1",
      ODIST_LOG_LEVEL: "warn",
      ...by.settings,
    },
  });
  const node = ["-A", "--no-check", "--unstable-net", "bench/pacing/paced_node.ts"];
  return await startServer({
    ...command,
    args: ["run", "--quiet", "--no-lock", ...node, checkout, `at-once,${paceMs}`, "serve"],
  });
}

async function post(url: string, body: unknown): Promise<Record<string, string>> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url}: ${await response.text()}`);
  return await response.json();
}

async function isKnownAt(origin: string): Promise<boolean> {
  const response = await fetch(`${origin}/api/show`, {
    method: "POST",
    body: JSON.stringify({ model: MODEL }),
  });
  await response.body?.cancel();
  return response.ok;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function compare(options: Options, folder: string): Promise<void> {
  const listen = `127.0.0.1:${freePort("udp")}`;
  await using holder = await startNode("holder", folder, {
    options,
    settings: { ODIST_LISTEN: listen },
  });
  const path = join(ROOT, "src/models/embedded/tiny.gguf");
  await createModel(holder.origin, { name: MODEL, path });
  const { token = "" } = await post(`${holder.origin}/api/cluster/tokens`, { uses: 1 });
  await using entry = await startNode("entry", folder, {
    options,
    settings: { ODIST_JOIN: listen, ODIST_TOKEN: token },
  });
  while (!await isKnownAt(entry.origin)) await sleep(LOOK_MS);
  await using proxy = await startProxy(options.nginx, { folder, origin: holder.origin });
  const ways = [
    { name: "the holder", origin: holder.origin, pid: holder.pid },
    { name: "another node", origin: entry.origin, pid: entry.pid },
    ...proxy === undefined ? [] : [{ name: "nginx before the holder", ...proxy }],
  ];
  if (proxy === undefined) console.error(`Without nginx, as there is no ${options.nginx}`);
  await report(await measure(ways, options), options);
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      streams: { type: "string", default: "200" },
      pace: { type: "string", default: "100" },
      tokens: { type: "string", default: "32" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "8" },
      askers: { type: "string", default: "32" },
      "odist-from": { type: "string", default: ROOT },
      nginx: { type: "string", default: "nginx" },
      out: { type: "string", default: artifactsFolder("bench-router") },
    },
  });
  const options = {
    streams: Number(values.streams),
    paceMs: Number(values.pace),
    tokens: Number(values.tokens),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    askers: Number(values.askers),
    checkout: values["odist-from"],
    nginx: values.nginx,
    outFolder: values.out,
  };
  await Deno.mkdir(options.outFolder, { recursive: true });
  await inDataFolder((folder) => compare(options, folder));
}
