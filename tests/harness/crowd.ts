/**
 * Many clients at once on a cluster under test, and what became of each of their requests.
 *
 * @module
 */
// The recipe as people copy it.
import { resumingFetch } from "../../docs/examples/resuming_fetch.js";
import type { ClusterNode } from "./cluster_node.ts";
import { parseLines } from "./json_lines.ts";

/** Longer than anybody waits in a queue here: who leaves one for another node waits in both. A killed node is missed at once. */
const SILENCE_MS = 60_000;
const PROMPTS = [
  "Tell me a story about a fox.",
  "Once upon a time, a bear",
  "One day, a bird",
  "Why does it rain?",
];

/** Whoever can be asked, a cluster under test as a rule. */
export interface AskedCluster {
  readonly running: readonly string[];
  client(name: string): Pick<ClusterNode, "fetch" | "origin">;
}

/** One request and what came of it. */
export interface Outcome {
  /** Where it was computed; undefined when nobody said. */
  readonly node: string | undefined;
  readonly sentAtMs: number;
  readonly ms: number;
  readonly text: string;
  /** Bytes of both bodies. */
  readonly bytes: number;
  /** Why it has no whole answer. */
  readonly failure?: string;
  /** Refused before anything was begun, with a time after which to come again. */
  readonly isPutOff?: boolean;
}

/** What is asked; greedy, so that the same words give the same answer. */
export interface Asked {
  readonly model?: string;
  readonly tokens?: number;
  readonly prompt?: string;
}

export function bodyOf({ model = "tiny", tokens = 8, prompt = PROMPTS[0] }: Asked): object {
  const options = { temperature: 0, num_predict: tokens };
  return { model, prompt, options };
}

/** The prompts that a crowd asks in turn. */
export function promptOf(number: number): string {
  return PROMPTS[number % PROMPTS.length] ?? "";
}

/** Asks one node, once, and reads to the end. */
export async function ask(
  cluster: AskedCluster,
  name: string,
  asked: Asked = {},
): Promise<Outcome> {
  const body = JSON.stringify(bodyOf(asked));
  const sentAtMs = performance.now();
  const outcome = (rest: Omit<Outcome, "sentAtMs" | "ms" | "bytes">, answer = "") => ({
    sentAtMs,
    ms: performance.now() - sentAtMs,
    bytes: body.length + answer.length,
    ...rest,
  });
  let node: string | undefined;
  try {
    const response = await cluster.client(name).fetch("/api/generate", { method: "POST", body });
    node = response.headers.get("x-odist-node") ?? undefined;
    const answer = await response.text();
    if (response.ok) return outcome({ node, ...wholeText(answer) }, answer);
    const isPutOff = response.status === 503 && response.headers.has("retry-after");
    const failure = `${response.status} ${answer}`;
    return outcome({ node, text: "", failure, isPutOff }, answer);
  } catch (error) {
    return outcome({ node, text: "", failure: String(error) });
  }
}

/** Asks as the documented recipe does: whoever dies, the rest of the answer is read at another node. */
export async function askToTheEnd(cluster: AskedCluster, asked: Asked = {}): Promise<Outcome> {
  const origins = cluster.running.map((name) => cluster.client(name).origin);
  const turn = Math.floor(Math.random() * origins.length);
  const nodes = [...origins.slice(turn), ...origins.slice(0, turn)];
  const sentAtMs = performance.now();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const settings = { silenceMs: SILENCE_MS, attempts: 60 };
  try {
    for await (const part of resumingFetch(nodes, "/api/generate", bodyOf(asked), settings)) {
      parts.push(part as Uint8Array<ArrayBuffer>);
    }
  } catch (error) {
    return { ...lost(sentAtMs), failure: String(error) };
  }
  const answer = await new Blob(parts).text();
  return { ...lost(sentAtMs), bytes: answer.length, ...wholeText(answer) };
}

function lost(sentAtMs: number): Outcome {
  return { node: undefined, sentAtMs, ms: performance.now() - sentAtMs, text: "", bytes: 0 };
}

/** The text of an answer's lines, or why it is not whole. */
export function wholeText(answer: string): { readonly text: string; readonly failure?: string } {
  const lines = parseLines(answer);
  const text = lines.map(({ response }) => response ?? "").join("");
  const last = lines.at(-1);
  if (last?.["done"] === true) return { text };
  return { text, failure: `cut short: ${JSON.stringify(last ?? answer)}` };
}

/** Sends `count` requests, `atOnce` of them at any time. */
export async function crowd(
  count: number,
  atOnce: number,
  one: (number: number) => Promise<Outcome>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  const client = async () => {
    while (next < count) outcomes.push(await one(next++));
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  return outcomes;
}

/** So many clients that ask again and again while `during` runs; what is under way then is read to its end. */
export async function crowdDuring(
  atOnce: number,
  one: (number: number) => Promise<Outcome>,
  during: () => Promise<void>,
): Promise<Outcome[]> {
  let isOver = false;
  let number = 0;
  const outcomes: Outcome[] = [];
  const client = async () => {
    while (!isOver) outcomes.push(await one(number++));
  };
  const clients = Promise.all(Array.from({ length: atOnce }, client));
  try {
    await during();
  } finally {
    isOver = true;
    await clients;
  }
  return outcomes;
}

/** What a crowd got, in figures. */
export interface Tally {
  readonly count: number;
  readonly failures: readonly string[];
  readonly putOff: number;
  /** Of whole answers, over the time from the first request to the last answer. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Whole answers by the node that computed them. */
  readonly byNode: Readonly<Record<string, number>>;
}

export function tally(outcomes: readonly Outcome[]): Tally {
  const whole = outcomes.filter(({ failure }) => failure === undefined);
  const failed = outcomes.filter(({ failure, isPutOff }) => failure !== undefined && !isPutOff);
  const ms = whole.map((outcome) => outcome.ms).toSorted((a, b) => a - b);
  const at = (share: number) => ms[Math.min(ms.length - 1, Math.floor(ms.length * share))] ?? NaN;
  const startMs = Math.min(...outcomes.map(({ sentAtMs }) => sentAtMs));
  const endMs = Math.max(...outcomes.map((outcome) => outcome.sentAtMs + outcome.ms));
  const nodes = Map.groupBy(whole, ({ node }) => node ?? "?");
  return {
    count: outcomes.length,
    failures: failed.map(({ failure = "" }) => failure),
    putOff: outcomes.filter(({ isPutOff }) => isPutOff).length,
    perSecond: whole.length / ((endMs - startMs) / 1_000),
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    byNode: Object.fromEntries([...nodes].map(([node, its]) => [node, its.length])),
  };
}

/** A tally on one line. */
export function tallyText({ count, failures, putOff, perSecond, p50Ms, p95Ms }: Tally): string {
  const refused = putOff === 0 ? "" : `, ${putOff} put off`;
  return `${count} requests, ${failures.length} lost${refused}, ${perSecond.toFixed(1)}/s, ` +
    `p50 ${Math.round(p50Ms)} ms, p95 ${Math.round(p95Ms)} ms`;
}

/** Memory of a node and of all processes that it started, in bytes. Linux only. */
export async function residentBytes(pid: number): Promise<number> {
  const { stdout } = await new Deno.Command("ps", { args: ["-A", "-o", "ppid=,pid=,rss="] })
    .output();
  const rows = new TextDecoder().decode(stdout).trim().split("\n")
    .map((row) => row.trim().split(/\s+/).map(Number));
  const family = new Set([pid]);
  // Children follow their parents or don't: so often as a family is deep.
  for (let depth = 0; depth < 4; depth++) {
    for (const [parent = 0, child = 0] of rows) if (family.has(parent)) family.add(child);
  }
  return rows.reduce((sum, [, child = 0, kib = 0]) => sum + (family.has(child) ? kib : 0), 0) *
    1024;
}
