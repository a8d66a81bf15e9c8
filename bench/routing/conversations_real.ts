/**
 * Conversations with one scaffold on real nodes: what of their prompts is computed again by what the answers themselves say, and
 * how much sooner a turn begins whose prompt is known. They ask the nodes in turn; one node is killed in the middle and comes
 * back. Then the same conversations on one llama-server with its cache of prompts in memory (`--cache-ram`), which is not
 * killed. Run by `deno task bench:conversations -- --real [--quick]`.
 *
 * @module
 */
import { TestCluster } from "../../tests/harness/cluster.ts";
import { realModel } from "../../tests/harness/real_models.ts";
import { ensureLlamaServer } from "../comparing/assets.ts";
import { describeMachine } from "../measuring/machine.ts";
import { llamaServerCommand, startServer } from "../measuring/servers.ts";
import { createModel } from "../measuring/setup.ts";
import { fixed, median, sum } from "../measuring/stats.ts";
import { promptOf } from "../measuring/prompts.ts";

/** How much is run. */
interface Extent {
  readonly nodes: number;
  readonly conversations: number;
  readonly turns: number;
  /** Prompts of the scaffold's length that nobody knows, to compare with. */
  readonly unknown: number;
}

const EXTENTS = {
  quick: { nodes: 2, conversations: 3, turns: 3, unknown: 3 },
  whole: { nodes: 3, conversations: 8, turns: 6, unknown: 5 },
} as const;
/** About 1,000 tokens of SmolLM2. */
const SCAFFOLD_WORDS = 830;
const ASKED_WORDS = 40;
const ANSWER_TOKENS = 16;
const CONTEXT_TOKENS = 4_096;
const SLOTS = 2;
const CACHE_RAM_MIB = 1_024;
const MODEL = "smollm2";
/** Until all nodes have the model, and until a killed one is a member again. */
const SETTLE_MS_MAX = 60_000;
const ENVIRONMENT = {
  ODIST_SLOTS: String(SLOTS),
  ODIST_CONTEXT: String(CONTEXT_TOKENS),
  ODIST_REPLICAS: "3",
  ODIST_REPLICATE_AFTER: "0s",
};

interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** One turn as its client saw it. */
interface Turn {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly ttftMs: number;
  readonly text: string;
}

/** Sends one turn and reads it to its end. @throws Error for any answer but a whole one. */
async function askTurn(origin: string, messages: readonly Message[]): Promise<Turn> {
  const sentMs = performance.now();
  const response = await fetch(`${origin}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ model: MODEL, messages, stream: true, stream_options: { include_usage: true } },
      ...{ max_tokens: ANSWER_TOKENS, temperature: 0, cache_prompt: true },
    }),
  });
  if (!response.ok || response.body === null) {
    throw new Error(`${origin} answered ${response.status}: ${await response.text()}`);
  }
  let [text, rest, ttftMs] = ["", "", NaN];
  let known: { readonly promptTokens: number; readonly cachedTokens: number } | undefined;
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((one) => one.startsWith("data: {"))) {
      const { choices, usage, timings, error } = JSON.parse(line.slice("data: ".length));
      if (error !== undefined) throw new Error(`${origin}: ${JSON.stringify(error)}`);
      const piece = choices?.[0]?.delta?.content ?? "";
      if (piece !== "" && Number.isNaN(ttftMs)) ttftMs = performance.now() - sentMs;
      text += piece;
      const promptTokens = usage?.prompt_tokens;
      if (promptTokens === undefined) continue;
      // llama-server says what it computed, odist what it had.
      const cachedTokens = timings?.prompt_n === undefined
        ? usage.prompt_tokens_details?.cached_tokens
        : promptTokens - timings.prompt_n;
      known = { promptTokens, cachedTokens: Number(cachedTokens) };
    }
  }
  if (known === undefined || Number.isNaN(ttftMs)) throw new Error(`${origin} ended too soon`);
  return { ...known, ttftMs, text };
}

/** What came of all of them. */
interface Figures {
  readonly turns: readonly Turn[];
  readonly later: readonly Turn[];
  readonly unknown: readonly Turn[];
}

/** One turn of each conversation after the other, so that no wait for a slot is in the times. */
async function converse(
  extent: Extent,
  originOf: (turn: number) => string,
  strike: (turn: number) => Promise<void> = () => Promise.resolve(),
): Promise<Figures> {
  const unknown: Turn[] = [];
  for (let index = 0; index < extent.unknown; index++) {
    const content = promptOf(1_000 + index, SCAFFOLD_WORDS);
    const question: Message = { role: "user", content: "Go on." };
    unknown.push(await askTurn(originOf(index), [{ role: "system", content }, question]));
  }
  const system: Message = { role: "system", content: promptOf(1, SCAFFOLD_WORDS) };
  const talks = Array.from({ length: extent.conversations }, () => [system]);
  const turns: Turn[] = [];
  const later: Turn[] = [];
  for (let turn = 0; turn < extent.turns; turn++) {
    for (const [index, messages] of talks.entries()) {
      await strike(turns.length);
      const number = 100 + turn * extent.conversations + index;
      messages.push({ role: "user", content: promptOf(number, ASKED_WORDS) });
      const answered = await askTurn(originOf(turns.length), messages);
      messages.push({ role: "assistant", content: answered.text });
      turns.push(answered);
      if (turn > 0) later.push(answered);
    }
  }
  return { turns, later, unknown };
}

async function bytesIn(folder: string): Promise<number> {
  const { stdout } = await new Deno.Command("du", { args: ["-sb", folder] }).output();
  return Number.parseInt(new TextDecoder().decode(stdout), 10);
}

async function converseWithOdist(extent: Extent, modelPath: string): Promise<Figures> {
  await using cluster = await TestCluster.start(extent.nodes, { environment: ENVIRONMENT });
  const { names } = cluster;
  await createModel(cluster.client("n1").origin, { name: MODEL, path: modelPath });
  const { size } = await Deno.stat(modelPath);
  await cluster.until("all nodes have the model", async () => {
    const held = await Promise.all(names.map((name) => bytesIn(cluster.client(name).homeFolder)));
    return held.every((bytes) => bytes >= size);
  }, SETTLE_MS_MAX);
  const whole = extent.conversations * extent.turns;
  const [, victim = ""] = names;
  return await converse(
    extent,
    (turn) => {
      const running = cluster.running;
      return cluster.client(running[turn % running.length] ?? "n1").origin;
    },
    async (turn) => {
      if (turn === Math.floor(whole / 2)) await cluster.kill(victim);
      if (turn !== Math.floor(whole / 2) + 2) return;
      await cluster.restart(victim);
      await cluster.healthy(names.length);
    },
  );
}

async function converseWithLlamaServer(extent: Extent, modelPath: string): Promise<Figures> {
  const logPath = await Deno.makeTempFile({ prefix: "llama-server-", suffix: ".log" });
  const command = llamaServerCommand({
    ...{ binary: await ensureLlamaServer(), modelPath, logPath },
    ...{ slots: SLOTS, contextTokens: CONTEXT_TOKENS, threads: 1 },
  });
  const args = command.args.map((argument, at) =>
    command.args[at - 1] === "--cache-ram" ? String(CACHE_RAM_MIB) : argument
  );
  await using server = await startServer({ ...command, args });
  const figures = await converse(extent, () => server.origin);
  await Deno.remove(logPath);
  return figures;
}

function printFigures(name: string, { turns, later, unknown }: Figures): void {
  const all = sum(turns.map(({ promptTokens }) => promptTokens));
  const cached = sum(turns.map(({ cachedTokens }) => cachedTokens));
  const timeOf = (some: readonly Turn[]) => median(some.map(({ ttftMs }) => ttftMs));
  console.log(
    `${name.padEnd(24)} ${String(all).padStart(8)} ${String(all - cached).padStart(9)} ` +
      `${`${fixed(100 * (all - cached) / all, 1)} %`.padStart(8)} ` +
      `${fixed(timeOf(unknown), 0).padStart(9)} ms ${fixed(timeOf(later), 0).padStart(8)} ms ` +
      `${fixed(timeOf(unknown) / timeOf(later), 1).padStart(7)} x`,
  );
}

/** Prints what real nodes and llama-server compute of the same conversations. */
export async function measureReal(isQuick: boolean): Promise<void> {
  const extent = isQuick ? EXTENTS.quick : EXTENTS.whole;
  const { path, missing } = await realModel("smollm2");
  if (missing !== "") throw new Error(`There is no model to measure with${missing}`);
  console.log(JSON.stringify(await describeMachine()));
  console.log(
    `${extent.conversations} conversations of ${extent.turns} turns with one scaffold of ${SCAFFOLD_WORDS} words, SmolLM2, one thread; ` +
      `${extent.nodes} nodes, one of them killed in the middle\n`,
  );
  console.log(
    "server                     prompt  computed  of them  TTFT: unknown    a turn    ratio",
  );
  printFigures(`odist, ${extent.nodes} nodes`, await converseWithOdist(extent, path));
  printFigures("llama-server, 1 node", await converseWithLlamaServer(extent, path));
}
