/**
 * What a node does under more than it can do: an open loop of 0.5 to 4 times its capacity from four keys, each request with a
 * deadline. How much of the capacity are answers in time, how fair is that, and how true was what they were told of their wait?
 *
 * Usage: `deno task bench:overload [--odist FILE] --model FILE.gguf [--slots 2] [--seconds 40] [--tokens 24] [--deadline 12] [--out FOLDER]`.
 * With `--paced MS` nothing is computed: each token takes so long, and answers differ in length. `--against FOLDER` measures
 * a paced node of other sources in turn with this one's.
 *
 * @module
 */
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { describeMachine } from "./measuring/machine.ts";
import { promptOf } from "./measuring/prompts.ts";
import {
  artifactsFolder,
  inDataFolder,
  odistCommand,
  ROOT,
  type RunningServer,
  startServer,
} from "./measuring/servers.ts";
import { createModel } from "./measuring/setup.ts";
import { fixed, percentile, sum } from "./measuring/stats.ts";

const TIMES = [0.5, 1, 2, 4];
const KEYS = 4;
/** Of a paced node, which computes nothing. */
const EMBEDDED_MODEL = join(ROOT, "src/models/embedded/tiny.gguf");
const PROMPT_WORDS = 24;
/** Requests that tell the capacity, and those that warm up before. */
const CAPACITY_REQUESTS = 40;
const WARM_REQUESTS = 4;
const CLIENTS_PER_SLOT = 3;
/** Requests of the one key that floods the node. */
const FLOOD_REQUESTS = 100;
/** Shorter waits say more about rounding than about expectations. Seconds. */
const TOLD_WAIT_MIN = 1;

interface Options {
  readonly odist: string | undefined;
  readonly model: string;
  /** Milliseconds a token of a paced engine; undefined = the model computes. */
  readonly paced: string | undefined;
  /** Sources of nodes, measured in turn. */
  readonly sources: readonly string[];
  /** Of the capacity, what is asked for. */
  readonly times: readonly number[];
  readonly slots: number;
  readonly seconds: number;
  readonly tokens: number;
  readonly deadline: number;
  readonly outFolder: string;
}

interface Asked {
  readonly key: number;
  readonly status: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly eta: number | undefined;
  /** Seconds for a slot; 0 = it had one at once. */
  readonly waited: number;
  readonly tokens: number;
}

/** What a node does at most. */
interface Capacity {
  readonly requestsPerSecond: number;
  readonly tokensPerSecond: number;
}

/** Sends requests to one node, each on the account of a key. */
class Asker {
  readonly #origin: string;
  readonly #keys: readonly string[];
  readonly #options: Options;
  #count = 0;

  constructor(origin: string, keys: readonly string[], options: Options) {
    this.#origin = origin;
    this.#keys = keys;
    this.#options = options;
  }

  async ask(key: number, deadline?: number): Promise<Asked> {
    const startedMs = performance.now();
    const response = await fetch(`${this.#origin}/api/generate`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${this.#keys[key]}`,
        ...(deadline === undefined ? {} : { "x-odist-deadline": String(deadline) }),
      },
      body: JSON.stringify({
        ...{ model: "bench", prompt: promptOf(++this.#count, PROMPT_WORDS), stream: false },
        options: { temperature: 0, num_predict: this.#options.tokens },
      }),
    });
    const { eval_count: tokens = 0 } = await response.json();
    const told = response.headers.get("x-odist-queue") ?? "";
    const figure = (name: string) => {
      const [, text] = new RegExp(`${name}=([0-9.]+)`).exec(told) ?? [];
      return text === undefined ? undefined : Number(text);
    };
    const { status } = response;
    const [eta, waited = 0] = [figure("eta"), figure("waited")];
    return { key, status, startedMs, endedMs: performance.now(), eta, waited, tokens };
  }

  /** With all slots busy, and somebody waiting for each: what passes between two requests of a client is no slot's time. */
  async capacity(): Promise<Capacity> {
    await this.#closedLoop(WARM_REQUESTS);
    const startedMs = performance.now();
    const tokens = await this.#closedLoop(CAPACITY_REQUESTS);
    const seconds = (performance.now() - startedMs) / 1_000;
    return { requestsPerSecond: CAPACITY_REQUESTS / seconds, tokensPerSecond: tokens / seconds };
  }

  /** @returns Tokens of all answers. */
  async #closedLoop(count: number): Promise<number> {
    let [left, tokens] = [count, 0];
    await Promise.all(Array.from({ length: CLIENTS_PER_SLOT * this.#options.slots }, async () => {
      while (left-- > 0) {
        const asked = await this.ask(Math.abs(left) % KEYS);
        tokens += asked.tokens;
      }
    }));
    return tokens;
  }

  /** Requests that come whatever becomes of those before. */
  async openLoop(perSecond: number, random: Random): Promise<readonly Asked[]> {
    const { seconds, deadline } = this.#options;
    const asked: Promise<Asked>[] = [];
    const endMs = performance.now() + seconds * 1_000;
    for (let atMs = performance.now(); atMs < endMs;) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - performance.now())));
      asked.push(this.ask(random.below(KEYS), deadline));
      atMs += -Math.log(1 - random.uint32() / 2 ** 32) * 1_000 / perSecond;
    }
    return await Promise.all(asked);
  }

  /** How long the first request of one key waits for a slot while another's flood waits. Seconds. */
  async behindFlood(): Promise<{ readonly waited: number; readonly turn: number }> {
    const flood = Array.from({ length: FLOOD_REQUESTS }, () => this.ask(0));
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const { waited } = await this.ask(1);
    const all = await Promise.all(flood);
    const turns = all.map(({ startedMs, endedMs, waited }) =>
      (endedMs - startedMs) / 1_000 - waited
    );
    return { waited, turn: Math.max(...turns) };
  }
}

/** One line of the table. */
function lineOf(
  times: number,
  all: readonly Asked[],
  by: Options & { tokensPerSecond: number },
): string {
  const endMs = (all[0]?.startedMs ?? 0) + by.seconds * 1_000;
  const inTime = all.filter(({ status, startedMs, endedMs }) =>
    status === 200 && endedMs <= endMs && endedMs - startedMs <= by.deadline * 1_000
  );
  const late =
    all.filter(({ status, startedMs, endedMs }) =>
      status === 200 && endedMs - startedMs > by.deadline * 1_000
    ).length;
  const shares = Array.from(
    { length: KEYS },
    (_, key) => inTime.filter((one) => one.key === key).length,
  );
  const jain = sum(shares) ** 2 / (KEYS * sum(shares.map((share) => share * share)));
  const errors = all.flatMap(({ eta, waited, status }) =>
    status !== 200 || eta === undefined || waited < TOLD_WAIT_MIN
      ? []
      : [Math.abs(eta - waited) / waited]
  );
  const error = (share: number) =>
    errors.length === 0 ? "-" : `${fixed(100 * percentile(errors, share), 0)} %`;
  const good = sum(inTime.map(({ tokens }) => tokens)) / (by.tokensPerSecond * by.seconds);
  const refused = all.filter(({ status }) => status === 503).length;
  return `| ${times} | ${all.length} | ${inTime.length} | ${late} | ${refused} | ` +
    `${fixed(100 * good, 0)} % | ${fixed(jain, 3)} | ${errors.length} | ` +
    `${error(0.5)} | ${error(0.9)} |`;
}

async function makeKeys(origin: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let at = 0; at < KEYS; at++) {
    const body = JSON.stringify({ label: `bench ${at}` });
    const made = await fetch(`${origin}/api/cluster/keys`, { method: "POST", body });
    if (made.status !== 201) throw new Error(`no key was made: ${await made.text()}`);
    keys.push((await made.json()).key);
  }
  return keys;
}

/** A node of some sources, that measures itself. */
class Subject implements AsyncDisposable {
  readonly name: string;
  readonly asker: Asker;
  readonly #options: Options;
  readonly #server: RunningServer;
  #before: Capacity | undefined;

  private constructor(
    options: Options,
    of: { readonly name: string; readonly asker: Asker; readonly server: RunningServer },
  ) {
    this.name = of.name;
    this.asker = of.asker;
    this.#options = options;
    this.#server = of.server;
  }

  static async start(options: Options, sources: string, dataFolder: string): Promise<Subject> {
    const command = odistCommand({
      binary: options.odist,
      dataFolder,
      logPath: join(options.outFolder, `odist-${basename(sources)}.log`),
      settings: { ODIST_SLOTS: String(options.slots), ODIST_THREADS: "1" },
    });
    const run = ["run", "-A", "--no-check", "--unstable-net", "bench/pacing/paced_node.ts"];
    const server = await startServer(
      options.paced === undefined
        ? command
        : { ...command, args: [...run, sources, options.paced, "serve"] },
    );
    await createModel(server.origin, { name: "bench", path: options.model });
    const asker = new Asker(server.origin, await makeKeys(server.origin), options);
    return new Subject(options, { name: basename(sources), asker, server });
  }

  /** One row of the table. */
  async row(times: number): Promise<string> {
    const before = this.#before ?? await this.asker.capacity();
    const all = await this.asker.openLoop(times * before.requestsPerSecond, new Random(times * 8));
    // Other programs of the machine come and go.
    const after = this.#before = await this.asker.capacity();
    const tokensPerSecond = (before.tokensPerSecond + after.tokensPerSecond) / 2;
    const row = lineOf(times, all, { ...this.#options, tokensPerSecond });
    const told = [before, after].map((one) => fixed(one.tokensPerSecond, 1)).join(", ");
    return `| ${this.name} | ${told} ${row}`;
  }

  /** How long another key waits behind one's flood. */
  async flood(): Promise<string> {
    const { waited, turn } = await this.asker.behindFlood();
    return `- ${this.name}: another key's first request waited ${
      fixed(waited, 2)
    } s behind ${FLOOD_REQUESTS} of one; the longest turn was ${fixed(turn, 2)} s`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

async function measure(options: Options, dataFolder: string): Promise<void> {
  const conditions = await describeMachine();
  const { tokens, slots, paced, sources, seconds, deadline } = options;
  const engine = paced === undefined ? "computed" : `paced, ${paced} ms a token`;
  const lines = [
    "# More than a node can do",
    "",
    `- answers of at most ${tokens} tokens, ${engine}; ${slots} slots, ${seconds} s each, deadline ${deadline} s; capacity in tokens/s, before and after`,
    "",
    "| sources | capacity | times | asked | in time | late | refused | goodput | Jain | told | ETA error p50 | p90 |",
    "| ------- | -------- | ----- | ----- | ------- | ---- | ------- | ------- | ---- | ---- | ------------- | --- |",
  ];
  await using stack = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const [at, folder] of sources.entries()) {
    subjects.push(stack.use(await Subject.start(options, folder, join(dataFolder, String(at)))));
  }
  for (const times of options.times) {
    for (const subject of subjects) {
      lines.push(await subject.row(times));
      console.log(lines.at(-1));
    }
  }
  lines.push("");
  for (const subject of subjects) lines.push(await subject.flood());
  lines.push(...Object.entries(conditions).map(([name, value]) => `- ${name}: ${value}`), "");
  await Deno.writeTextFile(join(options.outFolder, "overload.md"), lines.join("\n"));
  console.log(lines.join("\n"));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      odist: { type: "string" },
      model: { type: "string" },
      paced: { type: "string" },
      against: { type: "string" },
      times: { type: "string", default: TIMES.join(",") },
      slots: { type: "string", default: "2" },
      seconds: { type: "string", default: "40" },
      tokens: { type: "string", default: "24" },
      deadline: { type: "string", default: "12" },
      out: { type: "string", default: artifactsFolder("bench-overload") },
    },
  });
  const { paced, against } = values;
  const model = values.model ?? (paced === undefined ? undefined : EMBEDDED_MODEL);
  if (model === undefined) throw new Error("--model FILE.gguf or --paced MS is required");
  if (against !== undefined && paced === undefined) throw new Error("--against needs --paced MS");
  const options = {
    odist: values.odist,
    model,
    paced,
    sources: [ROOT, ...(against === undefined ? [] : [resolve(against)])],
    times: values.times.split(",").map(Number),
    slots: Number(values.slots),
    seconds: Number(values.seconds),
    tokens: Number(values.tokens),
    deadline: Number(values.deadline),
    outFolder: values.out,
  };
  await Deno.mkdir(options.outFolder, { recursive: true });
  await inDataFolder((dataFolder) => measure(options, dataFolder));
}

if (import.meta.main) await main();
