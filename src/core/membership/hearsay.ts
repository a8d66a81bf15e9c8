import type { NodeId } from "../../base/mod.ts";

/** Members whose word about one other is remembered. More than are ever needed. */
const VOICES_MAX = 8;

/**
 * Who told of a later life of a member. Lives begin rarely and their subject says so itself, but whoever passes the news
 * on could make it up: it would cut the member off from everybody who believes it.
 */
export class Hearsay {
  /** By subject, then by who spoke: the latest boot it told of. */
  readonly #heard = new Map<NodeId, Map<NodeId, number>>();

  /** Notes what `from` says, and returns how many told of this life of the subject or of a later one. */
  add(from: NodeId, claim: { readonly nodeId: NodeId; readonly bootEpoch: number }): number {
    const voices = this.#heard.get(claim.nodeId) ?? new Map<NodeId, number>();
    this.#heard.set(claim.nodeId, voices);
    const [oldest] = voices.keys();
    if (voices.size >= VOICES_MAX && oldest !== undefined && !voices.has(from)) {
      voices.delete(oldest);
    }
    voices.set(from, Math.max(claim.bootEpoch, voices.get(from) ?? 0));
    return [...voices.values()].filter((bootEpoch) => bootEpoch >= claim.bootEpoch).length;
  }

  forget(nodeId: NodeId): void {
    this.#heard.delete(nodeId);
  }
}
