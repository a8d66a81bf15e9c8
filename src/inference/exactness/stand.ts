import { DRAFT_TOKENS_MAX } from "../../core/speculation/mod.ts";
import type { PolicyTraits } from "./policies.ts";
import { takeRows } from "./rows.ts";

/** Two sequences of fixed tokens in a context of their own. */
export interface ProofStand {
  /** Tokens of one sequence at most. */
  readonly cells: number;
  /** Lets a sequence hold its first `count` cells and no others; false where memory can't be cut. */
  rewind(sequence: number, count: number): boolean;
  /**
   * Computes each part's rows in one batch and digests the logits behind the last one of the first part.
   *
   * @throws UnavailableError `load_failed` when the library fails.
   */
  compute(parts: readonly ProofRows[]): string;
  /** The same of one sequence's rows, at most {@link DRAFTED_ROWS_MAX}: digests the logits behind each. */
  computeEach(rows: ProofRows): readonly string[];
  /** From here on so many threads compute. */
  useThreads(threads: number): void;
  close(): void;
}

/** Positions [from, to) of one sequence. */
export interface ProofRows {
  readonly sequence: number;
  readonly from: number;
  readonly to: number;
}

/** Rows of one batch that all have an output, at most. */
export const DRAFTED_ROWS_MAX = DRAFT_TOKENS_MAX + 1;
/** Tokens of one batch at most, over both sequences. */
export const STAND_BATCH_TOKENS = 512;
/** What one sequence has of it. */
const SEQUENCE_ROWS_MAX = STAND_BATCH_TOKENS - 64;

/** One sequence of a stand, computed a batch at a time as a policy asks. */
export class Walk {
  readonly #stand: ProofStand;
  readonly #sequence: number;
  #computed = 0;

  constructor(stand: ProofStand, sequence: number) {
    this.#stand = stand;
    this.#sequence = sequence;
  }

  /** Tokens whose cells exist. */
  get computed(): number {
    return this.#computed;
  }

  /** False where memory can't be cut. */
  rewind(count: number): boolean {
    this.#computed = count;
    return this.#stand.rewind(this.#sequence, count);
  }

  /** What comes next on the way to `to`, at most `rows` tokens: it counts as computed. Undefined where memory can't be cut. */
  next(to: number, rows: number, traits: PolicyTraits): ProofRows | undefined {
    const pending = to - this.#computed;
    const count = Math.min(rows, traits.rowsMax, SEQUENCE_ROWS_MAX, pending);
    const taken = takeRows({ computed: this.#computed, pending, count }, traits);
    const isBack = taken.from < this.#computed;
    if (isBack && !this.#stand.rewind(this.#sequence, taken.from)) return undefined;
    this.#computed = taken.to;
    return { sequence: this.#sequence, ...taken };
  }
}
