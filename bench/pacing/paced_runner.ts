/**
 * A runner that computes nothing: prompts and tokens take the time that they are said to, so that what a bench measures is
 * the node's own work. Each answer has a length of its own, drawn from its prompt.
 *
 * Usage: `paced_runner.ts [at-once,]MS_PER_TOKEN`, by a node as its runner. At once: a prompt takes no time, and its first
 * token comes with it; answers have the length that they are asked for.
 *
 * @module
 */
import { Random } from "../../src/base/random.ts";
import { encodeFrame, FrameReader } from "../../src/inference/frames.ts";
import type {
  AnswerToken,
  RunnerCommand,
  RunnerReply,
  SequenceEvent,
} from "../../src/protocol/mod.ts";

const [pace = "", isAtOnce = false] = Deno.args[0]?.startsWith("at-once,")
  ? [Deno.args[0].slice("at-once,".length), true]
  : [Deno.args[0]];
const msPerToken = Number(pace);
/** So many tokens of a prompt take the time of one of an answer. */
const PREFILL_TOKENS = 32;
const CHARS_PER_TOKEN = 4;
/** The shortest answer, as a part of the longest. */
const LENGTH_MIN = 0.25;
const TOKEN: AnswerToken = { token: 1, bytes: new TextEncoder().encode(" word") };

interface Run {
  readonly id: number;
  /** Turns until its prompt is read. */
  prefillLeft: number;
  tokensLeft: number;
}

const runs = new Map<number, Run>();
const encoder = new TextEncoder();

function send(reply: RunnerReply): void {
  const frame = encodeFrame(reply);
  let at = 0;
  while (at < frame.length) at += Deno.stdout.writeSync(frame.subarray(at));
}

function obey(command: RunnerCommand): void {
  switch (command.kind) {
    case "load": {
      const facts = {
        ...{ contextTokens: 4_096, trainingContextTokens: 4_096, vocabularyTokens: 256 },
        ...{ embeddingLength: 2, slots: command.settings.slots, memoryBytes: 1_000 },
        ...{ deviceMemoryBytes: 0, bosText: "", eosText: "", canShift: true },
        numericClass: "paced",
      };
      return send({ kind: "loaded", facts, confinement: "none" });
    }
    case "generate": {
      const { id, request } = command;
      const { prompt, predictTokensMax } = request;
      if (isAtOnce) {
        const run = { id, prefillLeft: 0, tokensLeft: predictTokensMax };
        runs.set(id, run);
        return tell([started(id), ...nextOf(run)]);
      }
      const text = prompt.kind === "text" ? prompt.text : prompt.tokens.join(" ");
      const promptTokens = encoder.encode(text).length / CHARS_PER_TOKEN;
      const share = LENGTH_MIN + (1 - LENGTH_MIN) * drawn(text);
      const tokensLeft = Math.max(1, Math.round(predictTokensMax * share));
      const prefillLeft = Math.ceil(promptTokens / PREFILL_TOKENS);
      return void runs.set(id, { id, prefillLeft, tokensLeft });
    }
    case "cancel":
      if (runs.delete(command.id)) tell([finished(command.id, "cancelled")]);
      return;
    case "ping":
      return send({ kind: "pong" });
    case "tokenize":
      return send({
        ...{ kind: "tokenized", id: command.id },
        tokens: [...encoder.encode(command.text)],
      });
    case "detokenize":
      return send({
        ...{ kind: "detokenized", id: command.id },
        bytes: Uint8Array.from(command.tokens),
      });
    case "cells_keep":
      return send({ kind: "cells_kept" });
  }
}

/** From 0 to 1, by the text alone. */
function drawn(text: string): number {
  let seed = 0;
  for (let at = 0; at < text.length; at++) seed = Math.imul(seed, 31) + text.charCodeAt(at) | 0;
  return new Random(seed).uint32() / 2 ** 32;
}

interface Addressed {
  readonly id: number;
  readonly event: SequenceEvent;
}

function tell(events: readonly Addressed[]): void {
  if (events.length > 0) send({ kind: "events", events });
}

function finished(id: number, reason: "end" | "length" | "cancelled"): Addressed {
  return { id, event: { kind: "finished", reason, prefillNs: 1, decodeNs: 1 } };
}

/** What all runs make in the time of one token, as a batch has it. */
function turn(): void {
  const events: Addressed[] = [];
  for (const run of runs.values()) {
    const { id } = run;
    if (run.prefillLeft > 0) {
      if (--run.prefillLeft > 0) continue;
      events.push(started(id));
      continue;
    }
    events.push(...nextOf(run));
  }
  tell(events);
}

function started(id: number): Addressed {
  return { id, event: { kind: "started", promptTokens: [1], cachedTokens: 0 } };
}

function nextOf(run: Run): Addressed[] {
  const { id } = run;
  const token: Addressed = { id, event: { kind: "tokens", tokens: [TOKEN] } };
  if (--run.tokensLeft > 0) return [token];
  runs.delete(id);
  return [token, finished(id, isAtOnce ? "length" : "end")];
}

/** Turns come by the clock, however late the one before was: a busy machine slows no paced engine down. */
async function keepPace(): Promise<void> {
  for (let dueMs = performance.now();;) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    for (; dueMs <= performance.now(); dueMs += msPerToken) turn();
  }
}

Deno.addSignalListener("SIGINT", () => {});
Deno.addSignalListener("SIGTERM", () => {});
void keepPace();
const reader = new FrameReader();
for await (const chunk of Deno.stdin.readable) {
  for (const value of reader.push(chunk)) obey(value as RunnerCommand);
}
Deno.exit(0);
