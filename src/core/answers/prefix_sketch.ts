import { BLOCK_CHARS, BLOCKS_MAX, commonBlocks, type PromptTrace } from "./peer_beliefs.ts";

/** Beginnings of a prompt up to so many blocks are told one by one. */
const FINE_BLOCKS = 16;
/** Behind them, each is longer than the one before by this part of it: what is told of a prompt grows with its logarithm. */
const COARSE_PART = 1 / 8;
/** Prompts of one model that a node remembers to have computed; the oldest goes. */
const PROMPTS_MAX = 256;
/** What came of a prompt's beginning may be less than was believed by this part: characters are only about in step with tokens. */
const SLACK_PART = 1 / 4;

/** Of how many blocks the beginnings are that nodes tell each other of. */
const TOLD_BLOCKS: readonly number[] = toldBlocks();

function toldBlocks(): readonly number[] {
  const told: number[] = [];
  for (let blocks = 1; blocks <= BLOCKS_MAX;) {
    told.push(blocks);
    blocks += blocks < FINE_BLOCKS ? 1 : Math.floor(blocks * COARSE_PART);
  }
  return told;
}

/** Characters at the front of a prompt of which a sketch has the mark: less than was computed by an eighth at most, or a block. */
export function sketchedChars(trace: PromptTrace, marks: ReadonlySet<number>): number {
  // Who tells of a beginning tells of all shorter ones: of a thousand nodes most have not even the shortest.
  let [low, high] = [0, TOLD_BLOCKS.length];
  const isMarked = (count: number) => {
    const mark = trace[(TOLD_BLOCKS[count - 1] ?? 0) - 1];
    return mark !== undefined && marks.has(mark >>> 0);
  };
  if (marks.size === 0 || !isMarked(1)) return 0;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (isMarked(middle)) low = middle;
    else high = middle - 1;
  }
  return (TOLD_BLOCKS[low - 1] ?? 0) * BLOCK_CHARS;
}

/** Which texts a node has computed of one model, and may still have the cells of. */
export class PrefixBook {
  /** The newest last. */
  #traces: readonly PromptTrace[] = [];

  /** A text was computed: a prompt, or one with its answer. */
  note(trace: PromptTrace): void {
    if (trace.length === 0) return;
    const others = this.#traces.filter((old) => commonBlocks(old, trace) < old.length);
    this.#traces = [...others, trace].slice(-PROMPTS_MAX);
  }

  /** Of this prompt the runner found so many characters computed, and no more: what was believed beyond them is gone. */
  correct(trace: PromptTrace, foundChars: number): void {
    this.#traces = this.#traces.flatMap((old) => {
      const believed = commonBlocks(old, trace) * BLOCK_CHARS;
      if (foundChars >= believed * (1 - SLACK_PART) - BLOCK_CHARS) return [old];
      const left = old.slice(0, Math.floor(foundChars / BLOCK_CHARS));
      return left.length === 0 ? [] : [left];
    });
  }

  /** Characters at the front of a prompt that were computed. */
  computedChars(trace: PromptTrace): number {
    return Math.max(0, ...this.#traces.map((old) => commonBlocks(old, trace))) * BLOCK_CHARS;
  }

  /** What is told of it: of the newest texts first, at most so many, none twice. */
  marks(marksMax: number): readonly number[] {
    const marks = new Set<number>();
    for (const trace of this.#traces.toReversed()) {
      for (const blocks of TOLD_BLOCKS) {
        const mark = trace[blocks - 1];
        if (mark === undefined) break;
        if (marks.size >= marksMax) return [...marks];
        marks.add(mark >>> 0);
      }
    }
    return [...marks];
  }
}
