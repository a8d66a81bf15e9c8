import type { NodeId } from "../../base/mod.ts";
import {
  type CandidateLoad,
  PrefixMemory,
  type PromptTrace,
  type RouteCandidate,
} from "../scheduler/mod.ts";
import { BROKEN_WORD_MS, DOUBT_MS } from "./limits.ts";
import type { Prompt } from "../../protocol/mod.ts";

/** Another node that holds a model, as gossip tells. */
export interface KnownHolder {
  readonly nodeId: NodeId;
  /** For people; "" shows the id. */
  readonly name: string;
  readonly health: "alive" | "suspect" | "down";
  readonly drained: boolean;
  /** Undefined = nothing was heard of it. */
  readonly load: CandidateLoad | undefined;
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
  }

  /** A holder as a candidate for one request; what of the prompt it has computed is still to be said. */
  candidate(holder: KnownHolder, nowMs: number): RouteCandidate {
    const { nodeId, name, drained, load } = holder;
    const reportedMs = nowMs - (load?.ageMs ?? Infinity);
    const sent = [...this.#sent.get(nodeId) ?? []].filter(({ atMs }) => atMs >= reportedMs);
    const isDoubted = (this.#doubtedUntilMs.get(nodeId) ?? -Infinity) > nowMs;
    return {
      nodeId,
      name,
      isSelf: false,
      health: isDoubted && holder.health === "alive" ? "suspect" : holder.health,
      drained,
      load,
      sentSinceReport: sent.length,
      residentTokens: 0,
    };
  }

  /** With the part of the prompt that the candidate is believed to have computed. */
  withResident(candidate: RouteCandidate, { model, trace }: TracedPrompt): RouteCandidate {
    // A runner that was started since has computed nothing.
    if (candidate.load?.state !== "loaded") return candidate;
    const chars = this.#prefixes.residentChars({ model, nodeId: candidate.nodeId }, trace);
    return { ...candidate, residentTokens: Math.floor(chars / CHARS_PER_TOKEN) };
  }
}

/** Characters of a prompt that make one token, about: English prose has four, and others come out as more work. */
const CHARS_PER_TOKEN = 4;

/** Tokens that `prompt` will come to, without a vocabulary. */
export function estimatePromptTokens(prompt: Prompt): number {
  if (prompt.kind === "tokens") return prompt.tokens.length;
  return (prompt.tokensBefore?.length ?? 0) + Math.ceil(prompt.text.length / CHARS_PER_TOKEN);
}
