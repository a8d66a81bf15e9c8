/** A token and the natural logarithm of its probability. */
export interface ScoredToken {
  readonly token: number;
  readonly logprob: number;
}

/** The chosen token's log probability and the likeliest tokens, before any sampler changed the odds. */
export interface ScoredChoice {
  readonly logprob: number;
  /** Likeliest first; ties by token. */
  readonly top: readonly ScoredToken[];
}

/** Softmax over all logits. `topCount` >= 0. */
export function scoreChoice(logits: Float32Array, token: number, topCount: number): ScoredChoice {
  let max = -Infinity;
  for (const logit of logits) if (logit > max) max = logit;
  let sum = 0;
  // The largest logit is taken out first: exponents of raw logits overflow.
  for (const logit of logits) sum += Math.exp(logit - max);
  const normalizer = max + Math.log(sum);
  return {
    logprob: (logits[token] ?? -Infinity) - normalizer,
    top: likeliest(logits, topCount).map(([other, logit]) => ({
      token: other,
      logprob: logit - normalizer,
    })),
  };
}

/** Insertion into a short sorted list: most logits fail the first comparison. */
function likeliest(logits: Float32Array, count: number): [token: number, logit: number][] {
  const best: [number, number][] = [];
  if (count === 0) return best;
  let least = -Infinity;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] ?? -Infinity;
    if (best.length === count && logit <= least) continue;
    let at = best.length;
    while (at > 0 && (best[at - 1]?.[1] ?? Infinity) < logit) at--;
    best.splice(at, 0, [token, logit]);
    if (best.length > count) best.pop();
    least = best.at(-1)?.[1] ?? -Infinity;
  }
  return best;
}
