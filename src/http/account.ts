import { invalidRequest, UnavailableError } from "../base/mod.ts";
import type { KeyLimits, KeyMeter, KeyStanding, LimitState } from "../core/queue/mod.ts";
import type { QueuePlace, QueueWait, RequestAccount } from "../ports/mod.ts";

/** Which of its own requests a key, or a machine without one, has first. */
const PRIORITY_HEADER = "x-odist-priority";
/** When the answer must be whole: seconds from now, or a time (RFC 3339). What can't be is refused at once. */
const DEADLINE_HEADER = "x-odist-deadline";
/** Where a request stood when it came, what it was told of its wait, and how long that took in the end; seconds. */
export const QUEUE_HEADER = "x-odist-queue";
/** `stream`: where the request stands is told in the stream of its answer while it waits. */
const STATUS_HEADER = "x-odist-status";
const PRIORITIES = ["high", "normal", "low"] as const;
/** A deadline in a year is none. Seconds. */
const DEADLINE_SECONDS_MAX = 365 * 24 * 3_600;
const MS_PER_SECOND = 1_000;

/** Whether a stream is to tell where its request stands. @throws RequestError for another value. */
export function wantsStatus(headers: Headers): boolean {
  const given = headers.get(STATUS_HEADER);
  if (given === null || given === "stream") return given !== null;
  throw invalidRequest(`X-Odist-Status must be stream: current value is "${given}"`);
}

/** Where a request stands, in a stream of this type: a comment, which no client takes for an event, or a line of its own. */
export function statusText(
  { position, etaMs }: QueuePlace,
  { contentType, beat = "" }: { readonly contentType: string; readonly beat?: string },
): string {
  const eta = etaMs === undefined ? undefined : Number((etaMs / MS_PER_SECOND).toFixed(1));
  if (contentType !== "text/event-stream") {
    return `${JSON.stringify({ status: "waiting", position, eta })}\n`;
  }
  return `: position=${position}${eta === undefined ? "" : `; eta=${eta}`}\n\n${beat}`;
}

/** Whose a request is, as far as it was found out. */
export interface Payer {
  readonly tenant: string;
  /** Present with a key that opens anything. */
  readonly key?: { readonly keyId: string; readonly limits: KeyLimits };
}

/** @throws RequestError for a header that makes no sense. */
export function readAccount(tenant: string, headers: Headers, nowMs: number): RequestAccount {
  return { tenant, priority: readPriority(headers), deadlineAtMs: readDeadline(headers, nowMs) };
}

function readPriority(headers: Headers): RequestAccount["priority"] {
  const given = headers.get(PRIORITY_HEADER) ?? "normal";
  const priority = PRIORITIES.find((one) => one === given);
  if (priority !== undefined) return priority;
  throw invalidRequest(
    `X-Odist-Priority must be one of ${PRIORITIES.join(", ")}: current value is "${given}"`,
  );
}

function readDeadline(headers: Headers, nowMs: number): number {
  const given = headers.get(DEADLINE_HEADER);
  if (given === null) return Infinity;
  const isSeconds = /^\d{1,9}(\.\d{1,3})?$/.test(given);
  const isDate = /^\d{4}-\d\d-\d\dT/.test(given);
  const dateMs = isDate ? Date.parse(given) : NaN;
  const atMs = isSeconds ? nowMs + Number(given) * MS_PER_SECOND : dateMs;
  if (atMs <= nowMs + DEADLINE_SECONDS_MAX * MS_PER_SECOND) return atMs;
  throw invalidRequest(
    "X-Odist-Deadline must be seconds from now, such as 30, or a time such as 2026-01-31T12:00:00Z within a year: " +
      `current value is "${given}"`,
  );
}

/** What a key's request is, once it was admitted. */
export interface Admission {
  readonly standing: KeyStanding;
  addTokens(count: number): void;
  end(): void;
}

/** What is needed to hold a key to its limits; `refused` hears what is left before it is refused. */
interface Metering {
  readonly meter: KeyMeter;
  readonly nowMs: number;
  readonly refused: (standing: KeyStanding) => void;
}

type Key = NonNullable<Payer["key"]>;

/** Takes one request of a key's limits. @throws UnavailableError `rate_limited`. */
export function admitKey({ keyId, limits }: Key, by: Metering): Admission {
  const { meter } = by;
  const standing = standingOf(keyId, meter.admit(keyId, limits, by.nowMs), by);
  return {
    standing,
    addTokens: (count) => meter.addTokens(keyId, count),
    end: () => meter.end(keyId),
  };
}

/** Whether {@link admitKey} would take one, and takes none. @throws UnavailableError `rate_limited`. */
export function checkKey({ keyId, limits }: Key, by: Metering): void {
  standingOf(keyId, by.meter.check(keyId, limits, by.nowMs), by);
}

function standingOf(
  keyId: string,
  verdict: ReturnType<KeyMeter["admit"]>,
  { refused }: Metering,
): KeyStanding {
  if (verdict.kind === "admitted") return verdict.standing;
  refused(verdict.standing);
  const text = `key "${keyId}" may have ${verdict.limit} ${LIMIT_TEXTS[verdict.by]}, and did`;
  throw new UnavailableError("rate_limited", text, { retryAfterMs: verdict.retryMs });
}

const LIMIT_TEXTS: Readonly<Record<Exclude<keyof KeyLimits, "weight">, string>> = {
  requestsPerMinute: "requests a minute",
  tokensPerDay: "tokens a day",
  concurrentRequests: "requests at once",
};

/** As OpenAI's own API tells what is left. */
export function setLimitHeaders(headers: Headers, { requests, tokens }: KeyStanding): void {
  if (requests !== undefined) setLimit(headers, "requests", requests);
  if (tokens !== undefined) setLimit(headers, "tokens", tokens);
}

function setLimit(headers: Headers, what: string, state: LimitState): void {
  headers.set(`x-ratelimit-limit-${what}`, String(state.limit));
  headers.set(`x-ratelimit-remaining-${what}`, String(state.remaining));
  headers.set(`x-ratelimit-reset-${what}`, `${state.resetMs / MS_PER_SECOND}s`);
}

/** `position=3; eta=12.3; waited=11.9`, without an `eta` where nothing was measured. */
export function waitText({ told, waitedMs }: QueueWait): string {
  const seconds = (ms: number) => (ms / MS_PER_SECOND).toFixed(1);
  const eta = told.etaMs === undefined ? "" : `; eta=${seconds(told.etaMs)}`;
  return `position=${told.position}${eta}; waited=${seconds(waitedMs())}`;
}
