import { integerShape, objectShape, readShape } from "../../protocol/mod.ts";

const LIMIT_MAX = 1_000_000_000;
/** Heavier keys would leave others nothing that could be told from nothing. */
const WEIGHT_MAX = 1_000;

const limitsShape = objectShape({
  weight: integerShape(1, WEIGHT_MAX),
  requestsPerMinute: integerShape(0, LIMIT_MAX),
  tokensPerDay: integerShape(0, LIMIT_MAX),
  concurrentRequests: integerShape(0, LIMIT_MAX),
});

/** What a key may ask of the cluster. 0 = as much as it likes; `weight` is its part when not all can be served. */
export type KeyLimits = ReturnType<typeof limitsShape.read>;

/** Of a key of which nothing is said. */
export const NO_LIMITS: KeyLimits = {
  weight: 1,
  requestsPerMinute: 0,
  tokensPerDay: 0,
  concurrentRequests: 0,
};

/** Bounds of each limit, to be told to people. */
export const KEY_LIMIT_RANGES: Readonly<
  Record<keyof KeyLimits, { readonly low: number; readonly high: number }>
> = {
  weight: { low: 1, high: WEIGHT_MAX },
  requestsPerMinute: { low: 0, high: LIMIT_MAX },
  tokensPerDay: { low: 0, high: LIMIT_MAX },
  concurrentRequests: { low: 0, high: LIMIT_MAX },
};

/** Key of the setting that keeps a key's limits. */
export function limitsKey(keyId: string): string {
  return `key_limits.${keyId}`;
}

export function writeKeyLimits(limits: KeyLimits): string {
  return JSON.stringify(limits);
}

/** As said of the key; {@link NO_LIMITS} where nothing is, or it makes no sense. */
export function readKeyLimits(value: string | undefined): KeyLimits {
  if (value === undefined) return NO_LIMITS;
  try {
    const decoded = readShape(limitsShape, JSON.parse(value));
    return decoded.kind === "decoded" ? decoded.value : NO_LIMITS;
  } catch {
    return NO_LIMITS;
  }
}

/** How much of one limit is left. */
export interface LimitState {
  readonly limit: number;
  readonly remaining: number;
  /** Until all of it is there again. Milliseconds. */
  readonly resetMs: number;
}

/** What a key has left; absent = it has no such limit. */
export interface KeyStanding {
  readonly requests?: LimitState;
  readonly tokens?: LimitState;
}

/** What is said to a request of a key. */
export type KeyVerdict =
  | { readonly kind: "admitted"; readonly standing: KeyStanding }
  | {
    readonly kind: "limited";
    readonly by: Exclude<keyof KeyLimits, "weight">;
    readonly limit: number;
    /** Until it may ask again; milliseconds. */
    readonly retryMs: number;
    readonly standing: KeyStanding;
  };

interface Use {
  /** Requests that it may make now; they come back by and by. */
  requestsLeft: number;
  atMs: number;
  /** Day since 1970, UTC, of {@link tokens}. */
  day: number;
  tokens: number;
  running: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Who is at its limit of requests at once looks again after so long: when one of them ends is not known. */
const BUSY_RETRY_MS = 1_000;
/** Thirds of a request that came back three times are one. */
const ROUNDING = 1e-6;
/** Keys that used nothing for a day are forgotten beyond these. */
const KEYS_MAX = 4_096;

/** Counts what keys use of their limits on one node, by wall-clock milliseconds. Days are those of UTC. */
export class KeyMeter {
  readonly #uses = new Map<string, Use>();

  /** Takes one request, unless a limit is reached; an admitted one must be ended with {@link end}. */
  admit(keyId: string, limits: KeyLimits, nowMs: number): KeyVerdict {
    const use = this.#useOf(keyId, limits, nowMs);
    const by = limitReached(use, limits);
    if (by !== undefined) {
      const retryMs = Math.max(1, Math.round(retryMsOf(by, { use, limits, nowMs })));
      const standing = standingOf(use, limits, nowMs);
      return { kind: "limited", by, limit: limits[by], retryMs, standing };
    }
    use.requestsLeft--;
    use.running++;
    return { kind: "admitted", standing: standingOf(use, limits, nowMs) };
  }

  /** Tokens of a request's prompt or answer, known when they are there. */
  addTokens(keyId: string, tokens: number): void {
    const use = this.#uses.get(keyId);
    if (use !== undefined) use.tokens += tokens;
  }

  end(keyId: string): void {
    const use = this.#uses.get(keyId);
    if (use !== undefined) use.running--;
  }

  #useOf(keyId: string, { requestsPerMinute }: KeyLimits, nowMs: number): Use {
    const day = Math.floor(nowMs / DAY_MS);
    const use = this.#uses.get(keyId) ??
      { requestsLeft: requestsPerMinute, atMs: nowMs, day, tokens: 0, running: 0 };
    const passedMs = Math.max(0, nowMs - use.atMs);
    const refilled = use.requestsLeft + passedMs * requestsPerMinute / MINUTE_MS;
    use.requestsLeft = Math.min(requestsPerMinute, refilled);
    use.atMs = nowMs;
    if (use.day !== day) [use.day, use.tokens] = [day, 0];
    this.#uses.delete(keyId);
    this.#uses.set(keyId, use);
    this.#forget(day);
    return use;
  }

  #forget(day: number): void {
    if (this.#uses.size <= KEYS_MAX) return;
    for (const [keyId, use] of this.#uses) {
      if (use.running === 0 && use.day !== day) this.#uses.delete(keyId);
    }
  }
}

function limitReached(
  use: Use,
  { requestsPerMinute, tokensPerDay, concurrentRequests }: KeyLimits,
): Exclude<keyof KeyLimits, "weight"> | undefined {
  if (concurrentRequests > 0 && use.running >= concurrentRequests) return "concurrentRequests";
  if (tokensPerDay > 0 && use.tokens >= tokensPerDay) return "tokensPerDay";
  if (requestsPerMinute > 0 && use.requestsLeft < 1 - ROUNDING) return "requestsPerMinute";
  return undefined;
}

function retryMsOf(
  by: Exclude<keyof KeyLimits, "weight">,
  at: { readonly use: Use; readonly limits: KeyLimits; readonly nowMs: number },
): number {
  if (by === "concurrentRequests") return BUSY_RETRY_MS;
  if (by === "tokensPerDay") return DAY_MS - at.nowMs % DAY_MS;
  return (1 - at.use.requestsLeft) * MINUTE_MS / at.limits.requestsPerMinute;
}

function standingOf(
  use: Use,
  { requestsPerMinute, tokensPerDay }: KeyLimits,
  nowMs: number,
): KeyStanding {
  return {
    ...requestsPerMinute > 0 && {
      requests: {
        limit: requestsPerMinute,
        remaining: Math.max(0, Math.floor(use.requestsLeft + ROUNDING)),
        resetMs: Math.round((requestsPerMinute - use.requestsLeft) * MINUTE_MS / requestsPerMinute),
      },
    },
    ...tokensPerDay > 0 && {
      tokens: {
        limit: tokensPerDay,
        remaining: Math.max(0, tokensPerDay - use.tokens),
        resetMs: DAY_MS - nowMs % DAY_MS,
      },
    },
  };
}
