/**
 * Rows of the batches that drafts are computed in: the token drawn last and what may follow it. Even, as a policy may ask for rows
 * in pairs.
 */
export const DRAFTED_ROWS = [2, 4, 8, 16] as const;
/** Tokens of one draft at most. */
export const DRAFT_TOKENS_MAX = Math.max(...DRAFTED_ROWS) - 1;

/**
 * A draft is computed when so much more of the answer is expected of the time it takes: what drawing and telling a token cost is in
 * no batch, and a guess of how the answer goes on may be wrong.
 */
const GAIN_MIN = 1.15;
/** Weight of a new measurement beside those before it. */
const LEARNT = 1 / 8;
/** Weight of what the proof measured, for each plain batch: one that was held up is forgotten in time. */
const FORGOTTEN = 1 / 64;
/** A batch that took longer or shorter by more than this factor was held up, or the one before it was. */
const OUTLIER_FACTOR = 2;

/** What a batch of several rows of one sequence takes, in batches of one row: as the proof measured it, and as it is. */
export class DraftCosts {
  readonly #measured: readonly number[];
  readonly #present: number[];
  /** Milliseconds of a batch of one row; undefined = none was computed yet. */
  #oneMs: number | undefined;

  /** `measured`: one for each of {@link DRAFTED_ROWS}, > 0. */
  constructor(measured: readonly number[]) {
    this.#measured = measured;
    this.#present = [...measured];
  }

  /** Whether any answer could be worth a draft: one that says again, word for word, what was said. */
  get mayPay(): boolean {
    return this.draftTokens(1, DRAFT_TOKENS_MAX) > 0;
  }

  /** A batch of an answer that was computed alone took so many milliseconds. */
  took(rows: number, ms: number): void {
    if (rows === 1) return this.#tookOne(ms);
    const index = DRAFTED_ROWS.findIndex((each) => each === rows);
    const present = this.#present[index];
    if (present === undefined || this.#oneMs === undefined || this.#oneMs <= 0) return;
    const seen = clamped(ms / this.#oneMs, present);
    this.#present[index] = present + (seen - present) * LEARNT;
  }

  #tookOne(ms: number): void {
    const seen = this.#oneMs === undefined ? ms : clamped(ms, this.#oneMs);
    this.#oneMs = this.#oneMs === undefined ? ms : this.#oneMs + (seen - this.#oneMs) * LEARNT;
    for (const [index, measured] of this.#measured.entries()) {
      const present = this.#present[index] ?? measured;
      this.#present[index] = present + (measured - present) * FORGOTTEN;
    }
  }

  /**
   * How many tokens are worth computing ahead; 0 = none are.
   *
   * @param rate Probability that a token of the draft is the one that is drawn, where those before it were.
   * @param tokensMax What there is of a draft, and room for.
   */
  draftTokens(rate: number, tokensMax: number): number {
    let best = { tokens: 0, gain: GAIN_MIN };
    for (const [index, rows] of DRAFTED_ROWS.entries()) {
      const cost = this.#present[index];
      const tokens = rows - 1;
      if (cost === undefined || tokens > tokensMax) continue;
      const gain = expectedTokens(rate, tokens) / cost;
      if (gain > best.gain) best = { tokens, gain };
    }
    return best.tokens;
  }
}

/** Tokens that a batch adds to the answer: one in any case, and of the draft those before the first that is not drawn. */
function expectedTokens(rate: number, draftTokens: number): number {
  let [sum, power] = [1, 1];
  for (let each = 0; each < draftTokens; each++) sum += power *= rate;
  return sum;
}

function clamped(value: number, present: number): number {
  return Math.min(Math.max(value, present / OUTLIER_FACTOR), present * OUTLIER_FACTOR);
}
