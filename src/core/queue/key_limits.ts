import { BoundedMap } from "../../base/mod.ts";
import {
  integerShape,
  KEY_USES_MAX,
  type KeyUse,
  type KeyUses,
  objectShape,
  readShape,
} from "../../protocol/mod.ts";

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
  /** Requests that it may make now, anywhere; they come back by and by. Below 0 where nodes admitted too many at once. */
  requestsLeft: number;
  atMs: number;
  /** Day since 1970, UTC, of the tokens. */
  day: number;
  /** Of all nodes, as far as was heard. */
  tokens: number;
  ownTokens: number;
  ownRequests: number;
  /** Here. */
  running: number;
  isLimited: boolean;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Who is at its limit of requests at once looks again after so long: when one of them ends is not known. */
const BUSY_RETRY_MS = 1_000;
/** Thirds of a request that came back three times are one. */
const ROUNDING = 1e-6;
/** Keys that used nothing for a day are forgotten beyond these. */
const KEYS_MAX = 4_096;

/** Requests that nodes admitted too many, in minutes of what a key may make: more is nobody's honest count. */
const DEBT_MINUTES_MAX = 60;
/** Keys of another node whose last word is kept, and nodes. */
const HEARD_KEYS_MAX = 256;
const HEARD_NODES_MAX = 1_024;

/** What one node said last. */
interface Heard {
  day: number;
  readonly keys: BoundedMap<string, KeyUse>;
  /** By key, as of its last word. */
  running: ReadonlyMap<string, number>;
}

/**
 * Counts what keys use of their limits in the whole cluster, by wall-clock milliseconds: what is asked of this node at once, and
 * of others as soon as they tell. What was admitted too much until then is taken off what comes next, so that only what is
 * under way at once, and until all have heard, may be more than a limit. Days are those of UTC.
 */
export class KeyMeter {
  readonly #uses = new Map<string, Use>();
  readonly #heard = new BoundedMap<string, Heard>(HEARD_NODES_MAX);
  #onChanged: () => void = () => {};

  /** Calls back when there is something to tell the other nodes. */
  onChanged(listener: () => void): void {
    this.#onChanged = listener;
  }

  /** Takes one request, unless a limit is reached; an admitted one must be ended with {@link end}. */
  admit(keyId: string, limits: KeyLimits, nowMs: number): KeyVerdict {
    const verdict = this.check(keyId, limits, nowMs);
    if (verdict.kind === "limited") return verdict;
    const use = this.#useOf(keyId, limits, nowMs);
    use.requestsLeft--;
    use.running++;
    use.ownRequests++;
    this.#changed(use);
    return { kind: "admitted", standing: standingOf(use, limits, nowMs) };
  }

  /** What {@link admit} would say, without taking anything. */
  check(keyId: string, limits: KeyLimits, nowMs: number): KeyVerdict {
    const use = this.#useOf(keyId, limits, nowMs);
    const standing = standingOf(use, limits, nowMs);
    const running = use.running + this.#runningElsewhere(keyId, limits);
    const by = limitReached({ ...use, running }, limits);
    if (by === undefined) return { kind: "admitted", standing };
    const retryMs = Math.max(1, Math.round(retryMsOf(by, { use, limits, nowMs })));
    return { kind: "limited", by, limit: limits[by], retryMs, standing };
  }

  /** Tokens of a request's prompt or answer, known when they are there. */
  addTokens(keyId: string, tokens: number): void {
    const use = this.#uses.get(keyId);
    if (use === undefined) return;
    use.tokens += tokens;
    use.ownTokens += tokens;
    this.#changed(use);
  }

  end(keyId: string): void {
    const use = this.#uses.get(keyId);
    if (use === undefined) return;
    use.running--;
    this.#changed(use);
  }

  /** For the other nodes: of keys that have limits, those that were used last, the newest first. */
  told(nowMs: number): KeyUses {
    const day = Math.floor(nowMs / DAY_MS);
    const limited = [...this.#uses].filter(([, { isLimited, ownRequests }]) =>
      isLimited && ownRequests > 0
    );
    const keys = limited.slice(-KEY_USES_MAX).reverse().map(([keyId, use]): KeyUse => ({
      ...{ keyId, requests: use.ownRequests, running: use.running },
      tokens: use.day === day ? use.ownTokens : 0,
    }));
    return { day, keys };
  }

  /** What another node told; undefined = it is gone, and nothing runs there. */
  hear(
    nodeId: string,
    told: KeyUses | undefined,
    by: { readonly limitsOf: (keyId: string) => KeyLimits; readonly nowMs: number },
  ): void {
    const heard = this.#heard.get(nodeId) ??
      { day: 0, keys: new BoundedMap<string, KeyUse>(HEARD_KEYS_MAX), running: new Map() };
    this.#heard.set(nodeId, heard);
    heard.running = new Map(told?.keys.map(({ keyId, running }) => [keyId, running]));
    if (told === undefined) return;
    for (const now of told.keys.slice(0, KEY_USES_MAX)) {
      this.#hearKey(now, { before: heard.keys.get(now.keyId), heard, day: told.day, ...by });
      heard.keys.set(now.keyId, now);
    }
    heard.day = told.day;
  }

  #hearKey(
    now: KeyUse,
    { before, heard, day, limitsOf, nowMs }: {
      readonly before: KeyUse | undefined;
      readonly heard: Heard;
      readonly day: number;
      readonly limitsOf: (keyId: string) => KeyLimits;
      readonly nowMs: number;
    },
  ): void {
    const limits = limitsOf(now.keyId);
    const use = this.#useOf(now.keyId, limits, nowMs);
    // Fewer than before: it has started anew. Of a node that is heard of first nobody knows how long ago it was asked.
    const known = before !== undefined && now.requests >= before.requests ? before.requests : 0;
    const more = before === undefined
      ? Math.min(now.requests, limits.requestsPerMinute)
      : now.requests - known;
    const debtMax = limits.requestsPerMinute * DEBT_MINUTES_MAX;
    use.requestsLeft = Math.max(-debtMax, use.requestsLeft - more);
    if (day !== use.day) return;
    const isSameLife = before !== undefined && heard.day === day && now.tokens >= before.tokens;
    use.tokens += now.tokens - (isSameLife ? before.tokens : 0);
  }

  #runningElsewhere(keyId: string, { concurrentRequests }: KeyLimits): number {
    if (concurrentRequests === 0) return 0;
    let running = 0;
    for (const heard of this.#heard.values()) running += heard.running.get(keyId) ?? 0;
    return running;
  }

  #changed({ isLimited }: Use): void {
    if (isLimited) this.#onChanged();
  }

  #useOf(keyId: string, limits: KeyLimits, nowMs: number): Use {
    const { requestsPerMinute } = limits;
    const day = Math.floor(nowMs / DAY_MS);
    const use = this.#uses.get(keyId) ?? {
      ...{ requestsLeft: requestsPerMinute, atMs: nowMs, day, tokens: 0, running: 0 },
      ...{ ownTokens: 0, ownRequests: 0, isLimited: false },
    };
    use.isLimited = requestsPerMinute + limits.tokensPerDay + limits.concurrentRequests > 0;
    const passedMs = Math.max(0, nowMs - use.atMs);
    const refilled = use.requestsLeft + passedMs * requestsPerMinute / MINUTE_MS;
    use.requestsLeft = Math.min(requestsPerMinute, refilled);
    use.atMs = nowMs;
    if (use.day !== day) [use.day, use.tokens, use.ownTokens] = [day, 0, 0];
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
  use: Pick<Use, "running" | "tokens" | "requestsLeft">,
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
