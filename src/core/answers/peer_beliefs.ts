import { BoundedMap, type NodeId } from "../../base/mod.ts";
import type { CandidateLoad, RouteCandidate } from "../scheduler/mod.ts";
import { BROKEN_WORD_MS, DOUBT_MS } from "./limits.ts";
import { paysToMove } from "../kv_cache/mod.ts";
import { CELLS_BYTES_MAX, CELLS_KEEPERS_MAX, type Prompt } from "../../protocol/mod.ts";

/** Another node that holds a model, as gossip tells. */
export interface KnownHolder {
  readonly nodeId: NodeId;
  /** For people; "" shows the id. */
  readonly name: string;
  readonly health: "alive" | "suspect" | "down" | "asleep";
  /** See `RouteCandidate`. */
  readonly wakeMs?: number | undefined;
  readonly drained: boolean;
  /** Undefined = nothing was heard of it. */
  readonly load: CandidateLoad | undefined;
  /** See `RouteCandidate`. */
  readonly numericClass?: string | undefined;
  /** Of beginnings of texts that it says it has computed, as `PrefixBook` makes them; absent = it doesn't say. */
  readonly prefixMarks?: ReadonlySet<number> | undefined;
}

/** A prompt and the model that is to compute it. */
export interface TracedPrompt {
  /** Its manifest's digest. */
  readonly model: string;
  readonly trace: PromptTrace;
}

/**
 * What a node believes of the others from its own requests, until gossip tells more: which were sent where and are not
 * counted there yet, who was just lost, and which prompts were computed where. All times are monotonic milliseconds.
 */
export class PeerBeliefs {
  /** Requests sent to a node and not given back, by when they were sent: its next report will count them. */
  readonly #sent = new Map<NodeId, Set<{ readonly atMs: number }>>();
  readonly #doubtedUntilMs = new Map<NodeId, number>();
  readonly #prefixes = new PrefixMemory();
  /** The same, but that a node that was lost may have kept it. */
  readonly #kept = new PrefixMemory();

  /** A request goes to a node; call what is returned when it is over there. */
  noteSent(nodeId: NodeId, nowMs: number): () => void {
    const sent = this.#sent.get(nodeId) ?? new Set<{ readonly atMs: number }>();
    this.#sent.set(nodeId, sent);
    const entry = { atMs: nowMs };
    sent.add(entry);
    return () => {
      sent.delete(entry);
      if (sent.size === 0 && this.#sent.get(nodeId) === sent) this.#sent.delete(nodeId);
    };
  }

  /** A node gave a slot: it is there. */
  trust(nodeId: NodeId): void {
    this.#doubtedUntilMs.delete(nodeId);
  }

  /** A node was lost: what it had computed is gone, and it ranks behind others for a while. */
  doubt(nodeId: NodeId, nowMs: number): void {
    this.#prefixes.forget(nodeId);
    this.#doubtUntil(nodeId, { nowMs, forMs: DOUBT_MS });
  }

  /** A node did not have what it says it holds: it ranks behind others for longer. */
  doubtWord(nodeId: NodeId, nowMs: number): void {
    this.#doubtUntil(nodeId, { nowMs, forMs: BROKEN_WORD_MS });
  }

  #doubtUntil(
    nodeId: NodeId,
    { nowMs, forMs }: { readonly nowMs: number; readonly forMs: number },
  ): void {
    // Those that ended go here, so that nodes of the past don't add up.
    for (const [doubted, untilMs] of this.#doubtedUntilMs) {
      if (untilMs <= nowMs) this.#doubtedUntilMs.delete(doubted);
    }
    this.#doubtedUntilMs.set(nodeId, nowMs + forMs);
  }

  /** A node has computed a prompt. */
  noteComputed(nodeId: NodeId, { model, trace }: TracedPrompt): void {
    this.#prefixes.note({ model, nodeId }, trace);
    this.#kept.note({ model, nodeId }, trace);
  }

  /**
   * Who may still have more of a prompt than the node that is to compute it, best first: those under which the request ran
   * and that are there all the same, then those that computed its beginning.
   */
  keepers(
    chosen: NodeId,
    of: {
      readonly prompt: TracedPrompt;
      readonly avoid: readonly NodeId[];
      readonly candidates: readonly RouteCandidate[];
    },
  ): readonly NodeId[] {
    const { prompt: { model, trace }, avoid, candidates } = of;
    const told = new Map(candidates.map(({ nodeId, residentTokens }) => [nodeId, residentTokens]));
    const charsAt = (nodeId: NodeId) =>
      Math.max(
        this.#kept.residentChars({ model, nodeId }, trace),
        (told.get(nodeId) ?? 0) * CHARS_PER_TOKEN,
      );
    const there = candidates.filter(({ nodeId, health }) => nodeId !== chosen && health === "alive")
      .map(({ nodeId }) => ({ nodeId, ran: avoid.indexOf(nodeId), chars: charsAt(nodeId) }))
      .filter(({ ran, chars }) => ran >= 0 || chars > charsAt(chosen));
    return there.toSorted((a, b) => b.ran - a.ran || b.chars - a.chars)
      .slice(0, CELLS_KEEPERS_MAX).map(({ nodeId }) => nodeId);
  }

  /** A holder as a candidate for one request; what of the prompt it has computed is still to be said. */
  candidate(holder: KnownHolder, nowMs: number): RouteCandidate {
    const { nodeId, name, drained, load, wakeMs, numericClass } = holder;
    const reportedMs = nowMs - (load?.ageMs ?? Infinity);
    const sent = [...this.#sent.get(nodeId) ?? []].filter(({ atMs }) => atMs >= reportedMs);
    const isDoubted = (this.#doubtedUntilMs.get(nodeId) ?? -Infinity) > nowMs;
    return {
      nodeId,
      name,
      isSelf: false,
      health: isDoubted && holder.health === "alive" ? "suspect" : holder.health,
      drained,
      ...wakeMs !== undefined && { wakeMs },
      load,
      numericClass,
      sentSinceReport: sent.length,
      residentTokens: 0,
    };
  }

  /**
   * With the part of the prompt that the candidate is believed to have computed.
   *
   * @param toldChars What it says itself that it can reuse, on its disk included.
   */
  withResident(
    candidate: RouteCandidate,
    { model, trace }: TracedPrompt,
    toldChars = 0,
  ): RouteCandidate {
    // A runner that was started since has computed nothing.
    const sentChars = candidate.load?.state === "loaded"
      ? this.#prefixes.residentChars({ model, nodeId: candidate.nodeId }, trace)
      : 0;
    const chars = Math.max(sentChars, toldChars);
    return { ...candidate, residentTokens: Math.floor(chars / CHARS_PER_TOKEN) };
  }
}

/** What moves of cells cost, as far as it is known. */
export interface MoveFigures {
  /** Of one token's cells. */
  readonly tokenBytes: number;
  /** As moves to this node were measured; undefined = none was. Milliseconds. */
  readonly bytesPerMs: number | undefined;
}

/**
 * Each candidate with what it could fetch of the prompt from the one that is there and has most, where that is sooner than to
 * compute it: the same rule as the runner's, which asks the keeper itself. A keeper gives all of a beginning, what is there
 * already included. Not where the model would be loaded first: conversations would spread, and drive each other's models out.
 */
export function withMoves(
  candidates: readonly RouteCandidate[],
  { tokenBytes, bytesPerMs }: MoveFigures,
): readonly RouteCandidate[] {
  if (bytesPerMs === undefined) return candidates;
  const there = candidates.filter(({ health }) => health === "alive");
  const heldTokens = Math.max(0, ...there.map(({ residentTokens }) => residentTokens));
  return candidates.map((candidate) => {
    const { residentTokens, load } = candidate;
    const perMinute = load?.prefillTokensPerMinute ?? 0;
    const cells = {
      bytes: heldTokens * tokenBytes,
      bytesPerMs,
      savedTokens: heldTokens - residentTokens,
      msPerToken: perMinute > 0 ? MS_PER_MINUTE / perMinute : undefined,
    };
    const isNothing = load?.state !== "loaded" || cells.savedTokens <= 0 ||
      cells.bytes > CELLS_BYTES_MAX;
    if (isNothing || !paysToMove(cells)) return candidate;
    const move = { savedTokens: cells.savedTokens, ms: cells.bytes / bytesPerMs };
    return { ...candidate, move };
  });
}

const MS_PER_MINUTE = 60_000;

/** Characters of a prompt that make one token, about: English prose has four, and others come out as more work. */
const CHARS_PER_TOKEN = 4;

/** Tokens that `prompt` will come to, without a vocabulary. */
export function estimatePromptTokens(prompt: Prompt): number {
  if (prompt.kind === "tokens") return prompt.tokens.length;
  return (prompt.tokensBefore?.length ?? 0) + Math.ceil(prompt.text.length / CHARS_PER_TOKEN);
}

/** Characters that are compared as one. */
export const BLOCK_CHARS = 256;
/** Blocks of one prompt that are remembered; what is behind them counts as not computed. */
export const BLOCKS_MAX = 512;
/** Prompts believed to be in a node's slots; older ones have been overwritten. */
const PROMPTS_PER_NODE_MAX = 8;
/** Pairs of node and model; the one unused for longest goes. */
const PAIRS_MAX = 256;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** A prompt as it is remembered: a hash of each beginning of it that is whole blocks long. */
export type PromptTrace = readonly number[];

/** The trace of a prompt's text. Costs a pass over its first 128 Ki characters. */
export function traceOf(text: string): PromptTrace {
  const trace: number[] = [];
  const blockCount = Math.min(BLOCKS_MAX, Math.floor(text.length / BLOCK_CHARS));
  let hash = FNV_OFFSET;
  for (let at = 0; at < blockCount * BLOCK_CHARS; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
    if ((at + 1) % BLOCK_CHARS === 0) trace.push(hash);
  }
  return trace;
}

/**
 * Which prompts were sent where, so that a conversation goes on where its beginning is computed already. A belief only:
 * it makes a node look quicker, and when it is wrong the prompt is computed anew.
 */
export class PrefixMemory {
  /** By model and node, in order of use; the newest prompt last. */
  readonly #prompts = new BoundedMap<string, PromptTrace[]>(PAIRS_MAX);

  /** A node has computed a prompt. `model` is its manifest's digest. */
  note(at: { readonly model: string; readonly nodeId: NodeId }, trace: PromptTrace): void {
    if (trace.length === 0) return;
    const key = keyOf(at);
    // What it continues is overwritten by it.
    const others = (this.#prompts.get(key) ?? []).filter((old) =>
      commonBlocks(old, trace) < old.length
    );
    this.#prompts.set(key, [...others, trace].slice(-PROMPTS_PER_NODE_MAX));
  }

  /** Characters at the front of a prompt that the node is believed to have computed. */
  residentChars(
    at: { readonly model: string; readonly nodeId: NodeId },
    trace: PromptTrace,
  ): number {
    const known = this.#prompts.get(keyOf(at)) ?? [];
    return Math.max(0, ...known.map((old) => commonBlocks(old, trace))) * BLOCK_CHARS;
  }

  /** A node lost what it had. */
  forget(nodeId: NodeId): void {
    for (const key of this.#prompts.keys()) {
      if (key.startsWith(nodeId)) this.#prompts.delete(key);
    }
  }
}

/** Each hash stands for all that is before it: where two agree, so do all earlier ones. */
export function commonBlocks(one: PromptTrace, other: PromptTrace): number {
  let low = 0;
  let high = Math.min(one.length, other.length);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (one[middle - 1] === other[middle - 1]) low = middle;
    else high = middle - 1;
  }
  return low;
}

function keyOf(at: { readonly model: string; readonly nodeId: NodeId }): string {
  return `${at.nodeId} ${at.model}`;
}
