/**
 * A runner without a model: what a node and the ways to it cost shows where the engine takes a known time. It speaks the
 * runner's protocol on its standard input and output, and answers each prompt with a first token after `--first`
 * milliseconds and another one each `--pace`, up to the tokens asked for. All sequences share one beat, and what falls on
 * it is one frame, as that of a batch is.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { encodeFrame, FrameReader } from "../../src/inference/frames.ts";
import type {
  LoadedFacts,
  LoadSettings,
  RunnerCommand,
  RunnerReply,
  SequenceEvent,
} from "../../src/protocol/mod.ts";

/** Of every prompt. */
const CONTEXT_TOKENS = 4096;
const TOKEN = { token: 7, bytes: new TextEncoder().encode(" word") };
const MS_NS = 1_000_000;

/** An answer under way. */
interface Run {
  readonly wanted: number;
  made: number;
  /** Tokens that the node still has room for. */
  left: number;
}

/** Milliseconds. */
interface Pace {
  readonly first: number;
  readonly pace: number;
}

class PacedRunner {
  readonly #pace: Pace;
  readonly #runs = new Map<number, Run>();

  constructor(pace: Pace) {
    this.#pace = pace;
    setInterval(() => this.#beat(), pace.pace);
  }

  take(command: RunnerCommand): void {
    switch (command.kind) {
      case "load":
        return say({
          kind: "loaded",
          facts: factsOf(command.settings),
          confinement: "none: paced",
        });
      case "ping":
        return say({ kind: "pong" });
      case "generate": {
        const { id, request, unreadTokensMax } = command;
        const run = { wanted: request.predictTokensMax, made: 0, left: unreadTokensMax };
        const start = () => this.#start(id, run);
        if (this.#pace.first > 0) setTimeout(start, this.#pace.first);
        else start();
        return;
      }
      case "taken": {
        const run = this.#runs.get(command.id);
        if (run !== undefined) run.left += command.tokens;
        return;
      }
      case "cancel":
        if (this.#runs.delete(command.id)) tell([finished(command.id, 0, "cancelled")]);
        return;
      default:
        throw new Error(`A paced runner knows no ${command.kind}`);
    }
  }

  #start(id: number, run: Run): void {
    this.#runs.set(id, run);
    const started = { kind: "started", promptTokens: [1], cachedTokens: 0 } as const;
    tell([{ id, event: started }, ...this.#next(id, run)]);
  }

  #beat(): void {
    const events = [...this.#runs].flatMap(([id, run]) => this.#next(id, run));
    if (events.length > 0) tell(events);
  }

  #next(id: number, run: Run): Addressed[] {
    if (run.left === 0) return [];
    run.left--;
    const token: Addressed = { id, event: { kind: "tokens", tokens: [TOKEN] } };
    if (++run.made < run.wanted) return [token];
    this.#runs.delete(id);
    return [token, finished(id, run.made * this.#pace.pace, "length")];
  }
}

interface Addressed {
  readonly id: number;
  readonly event: SequenceEvent;
}

function finished(id: number, decodeMs: number, reason: "length" | "cancelled"): Addressed {
  return { id, event: { kind: "finished", reason, prefillNs: 1, decodeNs: decodeMs * MS_NS } };
}

function factsOf({ slots }: LoadSettings): LoadedFacts {
  return {
    contextTokens: CONTEXT_TOKENS,
    trainingContextTokens: CONTEXT_TOKENS,
    vocabularyTokens: 256,
    embeddingLength: 2,
    slots,
    memoryBytes: 1_000,
    deviceMemoryBytes: 0,
    bosText: "",
    eosText: "",
    canShift: true,
    numericClass: "paced",
  };
}

function tell(events: readonly Addressed[]): void {
  say({ kind: "events", events });
}

function say(reply: RunnerReply): void {
  const frame = encodeFrame(reply);
  for (let at = 0; at < frame.length;) at += Deno.stdout.writeSync(frame.subarray(at));
}

async function serve(pace: Pace): Promise<void> {
  const runner = new PacedRunner(pace);
  const reader = new FrameReader();
  for await (const chunk of Deno.stdin.readable) {
    for (const value of reader.push(chunk)) runner.take(value as RunnerCommand);
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    // The files that a runner may read follow.
    allowPositionals: true,
    options: {
      first: { type: "string", default: "0" },
      pace: { type: "string", default: "50" },
    },
  });
  await serve({ first: Number(values.first), pace: Number(values.pace) });
  Deno.exit(0);
}
