import type { PolicyTraits } from "./policies.ts";
import { DRAFTED_ROWS } from "../../core/speculation/mod.ts";
import { DRAFTED_ROWS_MAX, type ProofRows, type ProofStand, Walk } from "./stand.ts";

/** More tokens than a tile of flash attention has rows. */
const FIRST_TOKENS = 72;
/** Of the stretches that begin before a number of cells where a kernel may change, 512 and 1,024, and end behind it. */
const STRETCH_TOKENS = 24;
const STRETCH_STARTS = [500, 1_012];
/** Cells that the whole proof takes of one sequence. */
export const PROOF_CELLS = 1_012 + STRETCH_TOKENS;
/** Prompt tokens of the second sequence, beside which the first is computed; then one each batch. */
const BESIDE_TOKENS = 24;
/** The last tokens of a stretch, one by one: more at the front, where a token costs least. */
const FIRST_SINGLES = 12;
const STRETCH_SINGLES = 8;
/** How often rows of drafts are computed: processor time is told in steps. */
const DRAFT_ROUNDS = 2;
/** Below it processor time can't be told from none. */
const SPENT_MS_MIN = 0.01;

/** How an attempt ended. `impossible`: the model's memory can't do what the policy wants. */
export type ProofEnd = "exact" | "differs" | "impossible" | "too_long";

/** What an attempt needs to know besides its stand. */
export interface ProofTerms {
  readonly traits: PolicyTraits;
  /** The number that answers are computed with. */
  readonly threads: number;
  /** Whether so many more tokens may be computed. Asked once, behind the first stretch. */
  readonly mayGoOn: (tokens: number) => boolean;
}

/** Positions [from, to), whose last few come one by one. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly singles: number;
  readonly chunks: readonly number[];
}

/** One policy's attempt: wherever two shapes end a batch at the same position, they must have given the same bits. */
export class Proof {
  readonly #stand: ProofStand;
  readonly #terms: ProofTerms;
  readonly #first: Walk;
  readonly #second: Walk;
  /** By position, of the first shape that ended a batch there. */
  readonly #digests = new Map<number, string>();
  /** What ended it. */
  #fault: "differs" | "impossible" | undefined;

  constructor(stand: ProofStand, terms: ProofTerms) {
    this.#stand = stand;
    this.#terms = terms;
    this.#first = new Walk(stand, 0);
    this.#second = new Walk(stand, 1);
  }

  /** The first tokens in all shapes: what depends on the shape mostly does so here. */
  runFirst(): ProofEnd {
    const to = Math.min(FIRST_TOKENS, this.#stand.cells);
    return this.#stretch({ from: 0, to, singles: FIRST_SINGLES, chunks: [7, 31, 32] });
  }

  /** The stretches behind it, as far as the window goes; after a first one that ended well. */
  runRest(): ProofEnd {
    const starts = STRETCH_STARTS.filter((start) => start + STRETCH_TOKENS <= this.#stand.cells);
    if (starts.length > 0 && !this.#terms.mayGoOn(tokensOf(starts))) return "too_long";
    // Whoever timed the stand meanwhile has left its own cells.
    if (!this.#first.rewind(0) || !this.#second.rewind(0)) return "impossible";
    for (const from of starts) {
      this.#advance(from, Infinity);
      if (this.#fault !== undefined) return this.#fault;
      const to = from + STRETCH_TOKENS;
      const end = this.#stretch({ from, to, singles: STRETCH_SINGLES, chunks: [7] });
      if (end !== "exact") return end;
    }
    return "exact";
  }

  /** Whether one thread gives the same bits; asked after a run that ended well. */
  holdsWithOneThread(): boolean {
    const to = this.#first.computed;
    if (!this.#first.rewind(Math.max(0, to - STRETCH_SINGLES))) return false;
    this.#stand.useThreads(1);
    this.#advance(to, 1);
    this.#stand.useThreads(this.#terms.threads);
    return this.#fault === undefined;
  }

  /**
   * What drafts cost: as many rows of one sequence as {@link DRAFTED_ROWS} says, all with an output, beside single ones. Asked
   * after a run that ended well; undefined where their logits differ, or the window is too short.
   *
   * @param spentMs Milliseconds that computing has taken so far.
   */
  draftCosts(spentMs: () => number): readonly number[] | undefined {
    // In a short window nothing lies behind the first stretch.
    const to = Math.max(this.#first.computed, Math.min(FIRST_TOKENS, this.#stand.cells));
    const from = to - DRAFTED_ROWS_MAX;
    if (from < 1) return undefined;
    this.#advance(to, Infinity);
    const singleMs = this.#leastMs({ from, to, rows: 1 }, spentMs);
    const costs = DRAFTED_ROWS.map((rows) =>
      this.#leastMs({ from, to, rows }, spentMs) / Math.max(singleMs, SPENT_MS_MIN)
    );
    return this.#fault === undefined ? costs : undefined;
  }

  /** The least that a batch of so many rows took, of all up to `to`, each gone twice. */
  #leastMs(
    { from, to, rows }: { readonly from: number; readonly to: number; readonly rows: number },
    spentMs: () => number,
  ): number {
    let least = Infinity;
    for (let round = 0; round < DRAFT_ROUNDS; round++) {
      if (!this.#first.rewind(from)) this.#fault = "impossible";
      while (this.#first.computed < to && this.#fault === undefined) {
        const own = this.#first.next(
          Math.min(to, this.#first.computed + rows),
          rows,
          this.#terms.traits,
        );
        if (own === undefined) {
          this.#fault = "impossible";
          return least;
        }
        const beganMs = spentMs();
        const digests = this.#stand.computeEach(own);
        least = Math.min(least, spentMs() - beganMs);
        digests.forEach((digest, index) => this.#note(own.from + index + 1, digest));
      }
    }
    return least;
  }

  /** Whole, in chunks, one by one, and beside another sequence. */
  #stretch({ from, to, singles, chunks }: Stretch): ProofEnd {
    const lead = Math.max(from, to - singles);
    const shapes = [
      ...[Infinity, ...chunks].map((rows) => () => this.#advance(to, rows)),
      () => {
        this.#advance(lead, Infinity);
        this.#advance(to, 1);
      },
      () => {
        this.#advance(lead, BESIDE_TOKENS, { isCrowded: true });
        this.#advance(to, 1, { isCrowded: true });
      },
    ];
    for (const shape of shapes) {
      if (!this.#first.rewind(from)) return "impossible";
      shape();
      if (this.#fault !== undefined) return this.#fault;
    }
    return "exact";
  }

  /** Computes the first sequence up to `to` in batches of at most `rows` tokens. */
  #advance(to: number, rows: number, how = { isCrowded: false }): void {
    while (this.#first.computed < to && this.#fault === undefined) {
      const own = this.#first.next(to, rows, this.#terms.traits);
      const others = how.isCrowded ? [this.#beside()] : [];
      const parts = [own, ...others].filter((part) => part !== undefined);
      if (own === undefined || parts.length <= others.length) {
        return void (this.#fault = "impossible");
      }
      this.#note(own.to, this.#stand.compute(parts));
    }
  }

  /** A shape gave these logits behind the token before `position`. */
  #note(position: number, digest: string): void {
    const before = this.#digests.get(position);
    if (before === undefined) this.#digests.set(position, digest);
    else if (before !== digest) this.#fault = "differs";
  }

  /** What the second sequence has of a crowded batch: a prompt, and then a token each time. */
  #beside(): ProofRows | undefined {
    const { cells } = this.#stand;
    if (this.#second.computed === cells) this.#second.rewind(0);
    const { computed } = this.#second;
    const to = computed === 0 ? Math.min(BESIDE_TOKENS, cells) : computed + 1;
    return this.#second.next(to, BESIDE_TOKENS, this.#terms.traits);
  }
}

/** How many tokens the stretches that are left take, with what lies before them. */
function tokensOf(starts: readonly number[]): number {
  const shapes = 4;
  return (starts.at(-1) ?? 0) + starts.length * shapes * STRETCH_TOKENS;
}
