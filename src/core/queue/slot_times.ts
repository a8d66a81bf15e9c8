import { BoundedMap, keepMap, type StateKeeper } from "../../base/mod.ts";

/** What tells how long a request will hold its slot. */
export interface WorkSize {
  /** Who shares a model and its options. */
  readonly line: string;
  /** On whose account: keys differ in how long answers they get. Absent = nobody's. */
  readonly tenant?: string;
  /** Prompt tokens, estimated; >= 0. */
  readonly promptTokens: number;
  /** Tokens of the answer at most; Infinity = as many as it likes. */
  readonly answerTokensMax: number;
}

/** Weight of what is known against one new measurement: about the last 64 requests count. */
const DECAY = 63 / 64;
/** Kinds of requests that times are kept of at most; the one that was measured longest ago goes. */
const KINDS_MAX = 1_024;
/** Times of a key's own requests that say more than those of all keys. */
const OWN_MIN = 8;
/** What a request counts as until any was measured: all alike, which is fair among them. Milliseconds. */
const UNMEASURED_MS = 1_000;
/** Prompts must differ by so much for their lengths to tell anything. Tokens squared. */
const SPREAD_MIN = 64;
/** Requests of a kind whose distance from what was expected is kept. */
const RATIOS_MAX = 64;
/** Fewer say nothing about the others. */
const RATIOS_MIN = 4;
/** The last requests of a model, which tell whether its machine is quicker or slower by now. */
const RECENT = 8;
/** A machine is not believed to have become faster or slower than this at once. */
const DRIFT_MAX = 4;
/** Of what a request was expected to take, the part that it is expected to take still, however long it took already. */
const TAIL_SHARE = 8;

/** Sums of a straight line through times over prompt lengths, newest counting most. */
interface Fit {
  count: number;
  tokens: number;
  ms: number;
  tokensSquared: number;
  tokensTimesMs: number;
}

interface Kind {
  fit: Fit;
  /** What requests took, as a part of what they were expected to; the newest last. */
  readonly ratios: number[];
}

/**
 * How long requests hold their slots, prefill and decode alike, from what earlier ones of their kind did: of the same model
 * and key, with about the same bound on the answer. Longer prompts take longer by what was measured of that.
 */
export class SlotTimes {
  readonly #kinds = new BoundedMap<string, Kind>(KINDS_MAX);
  /** By line, what its last requests took as a part of what they were expected to. */
  readonly #recent = new BoundedMap<string, number[]>(KINDS_MAX);

  /** One request's time in its slot. Milliseconds. */
  note(size: WorkSize, ms: number): void {
    const before = this.#find(size);
    if (before !== undefined && before.fit.count >= RATIOS_MIN) {
      const recent = this.#recent.get(size.line) ?? [];
      this.#recent.set(size.line, recent);
      push(recent, ms / valueAt(before.fit, size.promptTokens), RECENT);
    }
    // One that only looks at the model says nothing of answers.
    const kinds = size.answerTokensMax === 0 ? [kindOf(size)] : kindsOf(size);
    for (const key of kinds) {
      const kind = this.#kinds.get(key) ?? { fit: NO_FIT, ratios: [] };
      if (kind.fit.count >= RATIOS_MIN) {
        push(kind.ratios, ms / valueAt(kind.fit, size.promptTokens), RATIOS_MAX);
      }
      kind.fit = add(kind.fit, size.promptTokens, ms);
      this.#kinds.set(key, kind);
    }
  }

  /** Undefined = nothing of its model was measured. Milliseconds. */
  measured(size: WorkSize): number | undefined {
    const kind = this.#find(size);
    return kind && valueAt(kind.fit, size.promptTokens) * this.#driftOf(size.line);
  }

  /** In what time such a part of its like is through; as {@link measured} where that can't be told. */
  within(size: WorkSize, share: number): number | undefined {
    const expectedMs = this.measured(size);
    const rising = [...this.#find(size)?.ratios ?? []].sort((a, b) => a - b);
    if (expectedMs === undefined || rising.length < RATIOS_MIN) return expectedMs;
    const ratio = rising[Math.min(rising.length - 1, Math.floor(share * rising.length))] ?? 1;
    // What is often late makes no exception of what is mostly in time.
    return expectedMs * Math.max(1, ratio);
  }

  /** What one that holds its slot so long will go on holding it, as its like did. Undefined = nothing was measured. */
  remaining(size: WorkSize, elapsedMs: number): number | undefined {
    const expectedMs = this.measured(size);
    if (expectedMs === undefined) return undefined;
    const ratios = this.#find(size)?.ratios ?? [];
    const longer = ratios.filter((ratio) => ratio * expectedMs > elapsedMs);
    if (ratios.length < RATIOS_MIN || longer.length === 0) {
      return remainingMs(expectedMs, elapsedMs);
    }
    const meanRatio = longer.reduce((sum, ratio) => sum + ratio, 0) / longer.length;
    return meanRatio * expectedMs - elapsedMs;
  }

  /** What it counts as among others, measured or not. Milliseconds, > 0. */
  expected(size: WorkSize): number {
    return Math.max(1, this.measured(size) ?? UNMEASURED_MS);
  }

  /** All of its state. */
  keep(keeper: StateKeeper): void {
    keepMap(keeper, this.#kinds);
    keepMap(keeper, this.#recent);
  }

  #find(size: WorkSize): Kind | undefined {
    const [own, alike, line] = kindsOf(size).map((key) => this.#kinds.get(key));
    return own !== undefined && own.fit.count >= OWN_MIN ? own : alike ?? line;
  }

  /**
   * How much slower than expected the last requests were, as far as that is no chance (James and Stein): how much requests
   * differ anyway is told by how much each differs from the next.
   */
  #driftOf(line: string): number {
    const recent = this.#recent.get(line) ?? [];
    if (recent.length < RECENT) return 1;
    const offset = recent.reduce((sum, ratio) => sum + ratio, 0) / RECENT - 1;
    if (offset === 0) return 1;
    let squares = 0;
    for (let at = 1; at < RECENT; at++) squares += ((recent[at] ?? 0) - (recent[at - 1] ?? 0)) ** 2;
    const noise = squares / (2 * (RECENT - 1) * RECENT);
    const drift = 1 + offset * Math.max(0, 1 - noise / (offset * offset));
    return Math.min(DRIFT_MAX, Math.max(1 / DRIFT_MAX, drift));
  }
}

const NO_FIT: Fit = { count: 0, tokens: 0, ms: 0, tokensSquared: 0, tokensTimesMs: 0 };

function push(ring: number[], value: number, countMax: number): void {
  ring.push(value);
  if (ring.length > countMax) ring.shift();
}

/** From the narrowest to the widest. */
function kindsOf(size: WorkSize): readonly string[] {
  const alike = kindOf(size);
  return [`${alike}\0${size.tenant ?? ""}`, alike, size.line];
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
  const meanMs = Math.max(MEAN_MS_MIN, fit.ms / count);
  const spread = fit.tokensSquared / count - meanTokens * meanTokens;
  if (spread < SPREAD_MIN) return meanMs;
  const slope = (fit.tokensTimesMs / count - meanTokens * meanMs) / spread;
  // Longer prompts never make an answer sooner: less than nothing is chance.
  return Math.max(meanMs / 8, meanMs + Math.max(0, slope) * (tokens - meanTokens));
}

/** What others are divided by must not be nothing. Milliseconds. */
const MEAN_MS_MIN = 1e-3;

/** What a request that holds its slot will go on holding it, where nothing is known but what it was expected to. Milliseconds. */
export function remainingMs(expectedMs: number, elapsedMs: number): number {
  return Math.max(expectedMs - elapsedMs, expectedMs / TAIL_SHARE);
}
