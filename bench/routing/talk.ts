/**
 * Conversations that share a scaffold, as their clients hold them: who asks whom is said from outside.
 *
 * @module
 */
import { promptOf } from "../measuring/prompts.ts";

const RETRIES_MAX = 20;
const RETRY_MS = 1_000;
/** Numbers of prompts: of what nobody knows, and of what is asked. */
const UNKNOWN_FROM = 100_000;
const ASKED_FROM = 1_000;

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** One turn as its client saw it. */
export interface Turn {
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly ttftMs: number;
  readonly text: string;
  /** How often it was refused for now before. */
  readonly refused: number;
}

/** Who is asked, and hears when it has answered. */
export interface Asked {
  readonly origin: string;
  readonly answered: (messages: readonly Message[]) => void;
}

/** Where turns go. */
export interface Balancer {
  /** Of two, 0 or 1. */
  choose(model: number, messages: readonly Message[]): Asked;
  /** Called between two turns, while nobody is answered. */
  strike?(what: "kill" | "restart"): Promise<void>;
  readonly models: readonly string[];
}

/** How much is said. */
export interface Extent {
  readonly scaffoldWords: number;
  readonly askedWords: number;
  readonly answerTokens: number;
  readonly conversations: number;
  readonly turns: number;
  /** Turns that are answered at a time. */
  readonly inFlight: number;
  /** Pairs of a turn that is known but for its end and a prompt of the same length that nobody knows, one after the other. */
  readonly pairs: number;
}

/** What came of all of them. */
export interface Figures {
  readonly turns: readonly Turn[];
  /** While nothing else was answered. */
  readonly known: readonly Turn[];
  readonly unknown: readonly Turn[];
}

interface AskedTurn {
  /** Which of the two. */
  readonly model: number;
  readonly messages: readonly Message[];
  readonly answerTokens: number;
}

/** As a client does that is told to come again. @throws Error for any other answer but a whole one. */
async function askTurn(
  balancer: Balancer,
  asked: AskedTurn,
): Promise<Turn> {
  for (let refused = 0;; refused++) {
    const turn = await tryTurn(balancer, asked);
    if (turn !== undefined) return { ...turn, refused };
    if (refused === RETRIES_MAX) throw new Error(`Refused ${refused + 1} times`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Sends one turn and reads it to its end; undefined = refused for now. */
async function tryTurn(
  balancer: Balancer,
  { model, messages, answerTokens }: AskedTurn,
): Promise<Omit<Turn, "refused"> | undefined> {
  const { origin, answered } = balancer.choose(model, messages);
  const sentMs = performance.now();
  const response = await fetch(`${origin}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ model: balancer.models[model], messages, stream: true },
      ...{ max_tokens: answerTokens, temperature: 0, cache_prompt: true },
      stream_options: { include_usage: true },
    }),
  });
  if (response.status === 503) {
    console.error(`${origin}: ${await response.text()}`);
    answered([]);
    return undefined;
  }
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
  answered([...messages, { role: "assistant", content: text }]);
  return { ...known, ttftMs, text };
}

/** All turns of all conversations, some at a time; in the middle a node is killed, and two turns later it is back. */
export async function converse(extent: Extent, balancer: Balancer): Promise<Figures> {
  const system: Message = { role: "system", content: promptOf(1, extent.scaffoldWords) };
  const { answerTokens } = extent;
  const talks = Array.from({ length: extent.conversations }, (_, index) => ({
    model: index % balancer.models.length,
    messages: [system],
  }));
  const say = async (talk: typeof talks[number], number: number) => {
    const content = promptOf(ASKED_FROM + number, extent.askedWords);
    talk.messages.push({ role: "user", content });
    const answered = await askTurn(balancer, { ...talk, answerTokens });
    talk.messages.push({ role: "assistant", content: answered.text });
    return answered;
  };
  const turns: Turn[] = [];
  const all = Array.from({ length: extent.turns }, () => talks).flat();
  const middle = Math.floor(all.length / 2);
  for (const [from, to] of [[0, middle], [middle, middle + 2], [middle + 2, all.length]] as const) {
    if (from === middle) await balancer.strike?.("kill");
    if (from === middle + 2) await balancer.strike?.("restart");
    const open = all.slice(from, to).map((talk, at) => ({ talk, number: from + at })).values();
    const client = async () => {
      for (const { talk, number } of open) {
        turns.push(await say(talk, number));
        console.error(`${turns.length} of ${all.length} turns`);
      }
    };
    await Promise.all(Array.from({ length: extent.inFlight }, client));
  }
  const [known, unknown]: [Turn[], Turn[]] = [[], []];
  for (let pair = 0; pair < extent.pairs; pair++) {
    const talk = talks[pair % talks.length];
    if (talk === undefined) break;
    known.push(await say(talk, all.length + pair));
    const words = talk.messages.map(({ content }) => content).join(" ").split(" ").length;
    const content = promptOf(UNKNOWN_FROM + pair, words);
    unknown.push(
      await askTurn(balancer, { ...talk, messages: [{ role: "user", content }], answerTokens }),
    );
  }
  return { turns, known, unknown };
}
