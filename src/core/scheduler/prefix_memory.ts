import { BoundedMap, type NodeId } from "../../base/mod.ts";

/** Characters that are compared as one. */
const BLOCK_CHARS = 256;
/** Blocks of one prompt that are remembered; what is behind them counts as not computed. */
const BLOCKS_MAX = 512;
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
function commonBlocks(one: PromptTrace, other: PromptTrace): number {
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
