/** What tells how long a request will hold its slot. */
export interface WorkSize {
  /** Who shares a model and its options. */
  readonly line: string;
  /** Prompt tokens, estimated; >= 0. */
  readonly promptTokens: number;
  /** Tokens of the answer at most; Infinity = as many as it likes. */
  readonly answerTokensMax: number;
}

/** Weight of what is known against one new measurement: about the last 64 requests count. */
const DECAY = 63 / 64;
/** Kinds of requests that times are kept of at most; the one that was measured longest ago goes. */
const KINDS_MAX = 1_024;
/** What a request counts as until any was measured: all alike, which is fair among them. Milliseconds. */
const UNMEASURED_MS = 1_000;
/** Prompts must differ by so much for their lengths to tell anything. Tokens squared. */
const SPREAD_MIN = 64;

/** Sums of a straight line through times over prompt lengths, newest counting most. */
interface Fit {
  count: number;
  tokens: number;
  ms: number;
  tokensSquared: number;
  tokensTimesMs: number;
}

/**
 * How long requests hold their slots, prefill and decode alike, from what earlier ones of their kind did: of the same model,
 * with about the same bound on the answer. Longer prompts take longer by what was measured of that.
 */
export class SlotTimes {
  readonly #kinds = new Map<string, Fit>();

  /** One request's time in its slot. Milliseconds. */
  note(size: WorkSize, ms: number): void {
    // One that only looks at the model says nothing of answers.
    const kinds = size.answerTokensMax === 0 ? [kindOf(size)] : [kindOf(size), size.line];
    for (const kind of kinds) {
      const fit = this.#kinds.get(kind) ??
        { count: 0, tokens: 0, ms: 0, tokensSquared: 0, tokensTimesMs: 0 };
      this.#kinds.delete(kind);
      this.#kinds.set(kind, add(fit, size.promptTokens, ms));
    }
    for (const oldest of this.#kinds.keys()) {
      if (this.#kinds.size <= KINDS_MAX) break;
      this.#kinds.delete(oldest);
    }
  }

  /** Undefined = nothing of its model was measured. Milliseconds. */
  measured(size: WorkSize): number | undefined {
    const fit = this.#kinds.get(kindOf(size)) ?? this.#kinds.get(size.line);
    return fit === undefined ? undefined : valueAt(fit, size.promptTokens);
  }

  /** What it counts as among others, measured or not. Milliseconds, > 0. */
  expected(size: WorkSize): number {
    return Math.max(1, this.measured(size) ?? UNMEASURED_MS);
  }
}

function kindOf({ line, answerTokensMax }: WorkSize): string {
  const bound = Number.isFinite(answerTokensMax)
    ? Math.round(2 * Math.log2(answerTokensMax + 1))
    : "any";
  return `${line}\0${bound}`;
}

function add(fit: Fit, tokens: number, ms: number): Fit {
  return {
    count: fit.count * DECAY + 1,
    tokens: fit.tokens * DECAY + tokens,
    ms: fit.ms * DECAY + ms,
    tokensSquared: fit.tokensSquared * DECAY + tokens * tokens,
    tokensTimesMs: fit.tokensTimesMs * DECAY + tokens * ms,
  };
}

function valueAt(fit: Fit, tokens: number): number {
  const { count } = fit;
  const meanTokens = fit.tokens / count;
  const meanMs = fit.ms / count;
  const spread = fit.tokensSquared / count - meanTokens * meanTokens;
  if (spread < SPREAD_MIN) return meanMs;
  const slope = (fit.tokensTimesMs / count - meanTokens * meanMs) / spread;
  // Longer prompts never make an answer sooner: less than nothing is chance.
  return Math.max(meanMs / 8, meanMs + Math.max(0, slope) * (tokens - meanTokens));
}
