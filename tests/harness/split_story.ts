/**
 * An answer of a model that a cluster's nodes compute together, told while they die: what the tests and the bench of such deaths do.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { TestCluster } from "./cluster.ts";
import { streamedLines } from "./json_lines.ts";
import { runnersOf } from "./runners.ts";

/** `tiny` takes 96 MiB whole, and 90 without layers. */
export const SPLIT_ENVIRONMENT = { ODIST_MEMORY_LIMIT: "94MiB", ODIST_THREADS: "1" };
/** Of each answer. */
export const STORY_TOKENS = 90;
/** Lines at which somebody dies. */
export const STORY_MOMENTS = { first: 1, middle: STORY_TOKENS >> 1, last: STORY_TOKENS - 4 };

/** What a client got. */
export interface Story {
  readonly text: string;
  readonly last: Readonly<Record<string, unknown>>;
  /** The longest pause between two lines; milliseconds. */
  readonly pauseMs: number;
}

/** Who computes. */
export type SplitRole = "worker" | "leader";

/** One streamed answer of n1; `onLine` is called with each line's number, from 1. */
export async function tellStory(
  cluster: TestCluster,
  onLine: (line: number) => Promise<void> = async () => {},
): Promise<Story> {
  const response = await cluster.client("n1").fetch("/api/generate", {
    method: "POST",
    body: JSON.stringify({
      model: "tiny",
      prompt: "Tell me a story about a fox.",
      options: { temperature: 0, num_predict: STORY_TOKENS },
    }),
  });
  assert.equal(response.status, 200);
  let [text, count, pauseMs] = ["", 0, 0];
  let last: Record<string, unknown> = {};
  let seenMs = performance.now();
  for await (const line of streamedLines(response)) {
    pauseMs = Math.max(pauseMs, performance.now() - seenMs);
    text += String(line["response"] ?? "");
    last = line;
    await onLine(++count);
    seenMs = performance.now();
  }
  return { text, last, pauseMs };
}

/** Asserts that every token that was drawn is in the text, once and in order. */
export async function isWhole(cluster: TestCluster, { text, last }: Story): Promise<void> {
  assert.equal(last["done"], true, JSON.stringify(last));
  assert.equal(last["eval_count"], STORY_TOKENS);
  const tokens = (last["context"] as number[]).slice(-STORY_TOKENS);
  // The runner may have died after its last token: whoever asks for anything else asks again.
  const drawn = await cluster.until("tokens become text", async () => {
    const body = { model: "tiny", tokens };
    const answer = await cluster.client("n1").request("POST", "/api/detokenize", { body });
    return answer.status === 200 && answer.body;
  });
  assert.equal(text, drawn["content"]);
}

/** The node that leads, and one with a worker. */
export async function splitRoles(
  cluster: TestCluster,
): Promise<Readonly<Record<SplitRole, string>>> {
  for (const leader of cluster.running) {
    const { models = [] } = await cluster.client(leader).ask("GET", "/api/ps");
    const rows = models as { node: string; shards?: { node: string }[] }[];
    const model = rows.find(({ node, shards }) => node === leader && shards !== undefined);
    const worker = model?.shards?.find(({ node }) => node !== leader)?.node;
    if (worker !== undefined) return { leader, worker };
  }
  throw new Error("no node leads a split model");
}

/** When the node that was asked noticed, after `sinceMs`, that it has lost its runner; milliseconds. undefined = it was over by then. */
export function noticedAfterMs(cluster: TestCluster, sinceMs: number): number | undefined {
  const losses = cluster.client("n1").printed.matchAll(/^(\S+) WARN +answer_lost_its_runner/gm);
  const times = [...losses].map(([, time = ""]) => Date.parse(time) - sinceMs);
  return times.find((ms) => ms >= 0);
}

/** Ends, or halts, the only process with llama.cpp that a node has. */
export async function signalRunner(
  cluster: TestCluster,
  node: string,
  signal: Deno.Signal,
): Promise<void> {
  const pids = await runnersOf(cluster.client(node).pid);
  assert.equal(pids.length, 1, `${node} has one runner: ${pids}`);
  for (const pid of pids) Deno.kill(pid, signal);
}

/** Resolves when nobody has the model any more: the next one that asks has it loaded. */
export async function unloadStory(cluster: TestCluster): Promise<void> {
  for (const name of cluster.running) {
    await cluster.client(name).ask("POST", "/api/generate", {
      model: "tiny",
      keep_alive: 0,
      stream: false,
    });
  }
  await cluster.until("no runner is left", async () => {
    const pids = await Promise.all(
      cluster.running.map((name) => runnersOf(cluster.client(name).pid)),
    );
    return pids.flat().length === 0;
  });
}

/** Who lends a worker to whom, as soon as somebody does it after `sinceMs` (of the wall clock); and the worker's process. */
export async function lending(
  cluster: TestCluster,
  sinceMs: number,
): Promise<Readonly<Record<SplitRole, string>> & { readonly workerPid: number }> {
  const { members } = await cluster.status("n1");
  return await cluster.until("a worker is lent", async () => {
    for (const worker of cluster.running) {
      for (const line of cluster.client(worker).printed.split("\n").toReversed()) {
        const [, time = "", peer, pid] =
          /^(\S+) INFO +worker_lent .*peer=(\S+).* processId=(\d+)/.exec(line) ?? [];
        const leader = members.find(({ node_id }) => node_id === peer)?.name;
        if (leader === undefined) continue;
        if (Date.parse(time) < sinceMs) break;
        return await Promise.resolve({ worker, leader, workerPid: Number(pid) });
      }
    }
    return undefined;
  });
}
