/**
 * What a node does under more than it can do: an open loop of 0.5 to 4 times its capacity from four keys, each request with a
 * deadline. How much of the capacity are answers in time, how fair is that, and how true was what they were told of their wait?
 *
 * Usage: `deno task bench:overload [--odist FILE] --model FILE.gguf [--slots 2] [--seconds 40] [--tokens 24] [--deadline 12] [--out FOLDER]`.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { describeMachine } from "./measuring/machine.ts";
import { promptOf } from "./measuring/prompts.ts";
import { inDataFolder, odistCommand, ROOT, startServer } from "./measuring/servers.ts";
import { createModel } from "./measuring/setup.ts";
import { fixed, percentile, sum } from "./measuring/stats.ts";

const TIMES = [0.5, 1, 2, 4];
const KEYS = 4;
const PROMPT_WORDS = 24;
/** Requests that tell the capacity, and those that warm up before. */
const CAPACITY_REQUESTS = 20;
const WARM_REQUESTS = 4;
/** Requests of the one key that floods the node. */
const FLOOD_REQUESTS = 100;
/** Shorter waits say more about rounding than about expectations. Seconds. */
const TOLD_WAIT_MIN = 1;

interface Options {
  readonly odist: string | undefined;
  readonly model: string;
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
    await response.text();
    const told = response.headers.get("x-odist-queue") ?? "";
    const figure = (name: string) => {
      const [, text] = new RegExp(`${name}=([0-9.]+)`).exec(told) ?? [];
      return text === undefined ? undefined : Number(text);
    };
    const { status } = response;
    const [eta, waited = 0] = [figure("eta"), figure("waited")];
    return { key, status, startedMs, endedMs: performance.now(), eta, waited };
  }

  /** Requests a second with all slots busy. */
  async capacity(): Promise<number> {
    await this.#closedLoop(WARM_REQUESTS);
    const startedMs = performance.now();
    await this.#closedLoop(CAPACITY_REQUESTS);
    return CAPACITY_REQUESTS / ((performance.now() - startedMs) / 1_000);
  }

  async #closedLoop(count: number): Promise<void> {
    let left = count;
    await Promise.all(Array.from({ length: this.#options.slots }, async () => {
      while (left-- > 0) await this.ask(left % KEYS);
    }));
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
function lineOf(times: number, all: readonly Asked[], by: Options & { capacity: number }): string {
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
  const good = inTime.length / (by.capacity * by.seconds);
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

async function measure(options: Options, dataFolder: string): Promise<void> {
  const conditions = await describeMachine();
  await using server = await startServer(odistCommand({
    binary: options.odist,
    dataFolder,
    logPath: join(options.outFolder, "odist.log"),
    settings: { ODIST_SLOTS: String(options.slots), ODIST_THREADS: "1" },
  }));
  await createModel(server.origin, { name: "bench", path: options.model });
  const asker = new Asker(server.origin, await makeKeys(server.origin), options);
  const lines = [
    "# More than a node can do",
    "",
    `- answers of ${options.tokens} tokens, ${options.slots} slots; capacity in requests/s, before and after`,
    "",
    "| capacity | times | asked | in time | late | refused | goodput | Jain | told | ETA error p50 | p90 |",
    "| -------- | ----- | ----- | ------- | ---- | ------- | ------- | ---- | ---- | ------------- | --- |",
  ];
  let before = await asker.capacity();
  for (const times of TIMES) {
    const all = await asker.openLoop(times * before, new Random(times * 8));
    // Other programs of the machine come and go.
    const after = await asker.capacity();
    const row = lineOf(times, all, { ...options, capacity: (before + after) / 2 });
    lines.push(`| ${fixed(before, 2)}, ${fixed(after, 2)} ${row}`);
    console.log(lines.at(-1));
    before = after;
  }
  const { waited, turn } = await asker.behindFlood();
  lines.push(
    "",
    `- another key's first request waited ${
      fixed(waited, 2)
    } s behind ${FLOOD_REQUESTS} of one; the longest turn was ${fixed(turn, 2)} s`,
    ...Object.entries(conditions).map(([name, value]) => `- ${name}: ${value}`),
    "",
  );
  await Deno.writeTextFile(join(options.outFolder, "overload.md"), lines.join("\n"));
  console.log(lines.join("\n"));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      odist: { type: "string" },
      model: { type: "string" },
      slots: { type: "string", default: "2" },
      seconds: { type: "string", default: "40" },
      tokens: { type: "string", default: "24" },
      deadline: { type: "string", default: "12" },
      out: { type: "string", default: join(ROOT, "test-artifacts", "bench-overload") },
    },
  });
  if (values.model === undefined) throw new Error("--model FILE.gguf is required");
  const options = {
    odist: values.odist,
    model: values.model,
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
