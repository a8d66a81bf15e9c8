/**
 * What a node does under more than it can do: an open loop of 0.5 to 4 times its capacity from four keys, each request with a
 * deadline. How much of the capacity are answers in time, how fair is that, and how true was what they were told of their wait?
 *
 * Usage: `deno task bench:overload [--odist FILE] [--model FILE.gguf] [--slots 2] [--seconds 40] [--tokens 24] [--deadline SECONDS] [--quick]
 * [--out FOLDER]`. Without a deadline it is sixteen times what an answer takes then; without a model SmolLM2. With `--paced MS` nothing is computed: each token takes so long, and answers differ in length. `--against FOLDER` measures
 * a paced node of other sources in turn with this one's.
 *
 * @module
 */
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { ensureBenchModel } from "./comparing/assets.ts";
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
/** Requests that warm up before others tell the capacity. */
const WARM_REQUESTS = 4;
const CLIENTS_PER_SLOT = 3;
/** Where none is given, a deadline is so many times what an answer takes on the busy node. */
const DEADLINE_TURNS = 16;
/** How much is run: requests that tell the capacity, those of the one key that floods the node, and for how long they come. */
const EXTENTS = {
  quick: { capacityRequests: 24, floodRequests: 50, seconds: 20 },
  whole: { capacityRequests: 40, floodRequests: 100, seconds: 40 },
};
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
  /** Seconds; undefined = by the capacity. */
  readonly deadline: number | undefined;
  readonly capacityRequests: number;
  readonly floodRequests: number;
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
    const { capacityRequests } = this.#options;
    const tokens = await this.#closedLoop(capacityRequests);
    const seconds = (performance.now() - startedMs) / 1_000;
    return { requestsPerSecond: capacityRequests / seconds, tokensPerSecond: tokens / seconds };
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
  async openLoop(
    perSecond: number,
    { random, deadline }: { readonly random: Random; readonly deadline: number },
  ): Promise<readonly Asked[]> {
    const { seconds } = this.#options;
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
    const { floodRequests } = this.#options;
    const ended: Asked[] = [];
    const first = Promise.withResolvers<void>();
    const flood = Array.from({ length: floodRequests }, async () => {
      ended.push(await this.ask(0));
      first.resolve();
    });
    await first.promise;
    const { waited, endedMs } = await this.ask(1);
    // Those beside which it waited and ran: the machine may be quicker or slower later.
    const turns = ended.filter((one) => one.endedMs <= endedMs).map((one) =>
      (one.endedMs - one.startedMs) / 1_000 - one.waited
    );
    await Promise.all(flood);
    return { waited, turn: Math.max(...turns) };
  }
}

/** One line of the table. */
function lineOf(
  times: number,
  all: readonly Asked[],
  by: Options & { readonly tokensPerSecond: number; readonly deadline: number },
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
  const errors = etaErrors(all);
  const good = sum(inTime.map(({ tokens }) => tokens)) / (by.tokensPerSecond * by.seconds);
  const refused = all.filter(({ status }) => status === 503).length;
  return `| ${times} | ${all.length} | ${inTime.length} | ${late} | ${refused} | ` +
    `${fixed(100 * good, 0)} % | ${fixed(jain, 3)} | ${errors.length} | ` +
    `${errorAt(errors, 0.5)} | ${errorAt(errors, 0.9)} |`;
}

/** How far what was told of waits was off, as a part of the wait. */
function etaErrors(all: readonly Asked[]): readonly number[] {
  return all.flatMap(({ eta, waited, status }) =>
    status !== 200 || eta === undefined || waited < TOLD_WAIT_MIN
      ? []
      : [Math.abs(eta - waited) / waited]
  );
}

function errorAt(errors: readonly number[], share: number): string {
  return errors.length === 0 ? "-" : `${fixed(100 * percentile(errors, share), 0)} %`;
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
  /** Requests of all rows. */
  readonly asked: { readonly times: number; readonly all: readonly Asked[] }[] = [];

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
    const turnSeconds = this.#options.slots / before.requestsPerSecond;
    const deadline = this.#options.deadline ??
      Math.round(1_000 * DEADLINE_TURNS * turnSeconds) / 1_000;
    const random = new Random(times * 8);
    const all = await this.asker.openLoop(times * before.requestsPerSecond, { random, deadline });
    this.asked.push({ times, all });
    // Other programs of the machine come and go.
    const after = this.#before = await this.asker.capacity();
    const tokensPerSecond = (before.tokensPerSecond + after.tokensPerSecond) / 2;
    const row = lineOf(times, all, { ...this.#options, tokensPerSecond, deadline });
    const told = [before, after].map((one) => fixed(one.tokensPerSecond, 1)).join(", ");
    return `| ${this.name} | ${told} | ${fixed(deadline, 1)} s ${row}`;
  }

  /** How long another key waits behind one's flood. */
  async flood(): Promise<string> {
    const { waited, turn } = await this.asker.behindFlood();
    return `- ${this.name}: another key's first request waited ${
      fixed(waited, 2)
    } s behind ${this.#options.floodRequests} of one; the longest turn until then was ${
      fixed(turn, 2)
    } s`;
  }

  /** Of all rows together. */
  told(): string {
    const errors = etaErrors(this.asked.flatMap(({ all }) => all));
    return `- ${this.name}: what ${errors.length} requests of all rows were told of their wait was off by ${
      errorAt(errors, 0.5)
    } (p50), ${errorAt(errors, 0.9)} (p90)`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

async function measure(options: Options, dataFolder: string): Promise<void> {
  const conditions = await describeMachine();
  const { tokens, slots, paced, sources, seconds } = options;
  const engine = paced === undefined ? "computed" : `paced, ${paced} ms a token`;
  const lines = [
    "# More than a node can do",
    "",
    `- answers of at most ${tokens} tokens, ${engine}; ${slots} slots, ${seconds} s each; capacity in tokens/s, before and after`,
    "",
    "| sources | capacity | deadline | times | asked | in time | late | refused | goodput | Jain | told | ETA error p50 | p90 |",
    "| ------- | -------- | -------- | ----- | ----- | ------- | ---- | ------- | ------- | ---- | ---- | ------------- | --- |",
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
  for (const subject of subjects) lines.push(subject.told(), await subject.flood());
  lines.push(...Object.entries(conditions).map(([name, value]) => `- ${name}: ${value}`), "");
  await Deno.writeTextFile(join(options.outFolder, "overload.md"), lines.join("\n"));
  const rows = subjects.map(({ name, asked }) => ({ name, asked }));
  await Deno.writeTextFile(join(options.outFolder, "overload.json"), JSON.stringify(rows));
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
      seconds: { type: "string" },
      tokens: { type: "string", default: "24" },
      deadline: { type: "string" },
      quick: { type: "boolean", default: false },
      out: { type: "string", default: artifactsFolder("bench-overload") },
    },
  });
  const { paced, against, deadline } = values;
  const model = values.model ??
    (paced === undefined ? (await ensureBenchModel()).path : EMBEDDED_MODEL);
  const extent = values.quick ? EXTENTS.quick : EXTENTS.whole;
  if (against !== undefined && paced === undefined) throw new Error("--against needs --paced MS");
  const options: Options = {
    ...extent,
    odist: values.odist,
    model,
    paced,
    sources: [ROOT, ...(against === undefined ? [] : [resolve(against)])],
    times: values.times.split(",").map(Number),
    slots: Number(values.slots),
    seconds: Number(values.seconds ?? extent.seconds),
    tokens: Number(values.tokens),
    deadline: deadline === undefined ? undefined : Number(deadline),
    outFolder: values.out,
  };
  await Deno.mkdir(options.outFolder, { recursive: true });
  await inDataFolder((dataFolder) => measure(options, dataFolder));
}

if (import.meta.main) await main();
