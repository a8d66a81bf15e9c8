import { computed, signal } from "@preact/signals";
import { ApiError, askJson, askLines, findNode, UnreachableError } from "./api.ts";
import { note, noteMoves, noteStatus } from "./events.ts";
import { apiKey, origin, rememberNodes } from "./session.ts";
import type { Member, RequestRow, Status } from "./shapes.ts";

/** The feed speaks every five seconds at least. */
const SILENCE_MS_MAX = 12_000;
const RETRY_MS = 1_000;
/** What a node says to whom it opens nothing. */
const CLOSED: readonly number[] = [401, 403];
/** How often the running answers are asked for: the asked node asks each other one, so it is less often where there are many. */
const REQUESTS_MS_MIN = 1_000;
const REQUESTS_MS_PER_MEMBER = 50;
/** Points of the curve in the header of the cluster. */
const POINTS_MAX = 120;

/** What the cluster is now, as the asked node knows it; undefined until it has said so. */
export const status = signal<Status | undefined>(undefined);

/** Whether the feed speaks. */
export const connection = signal<"connecting" | "live" | "lost" | "closed">("connecting");

/** Running and recent requests, newest first. */
export const requests = signal<readonly RequestRow[]>([]);

/** How many answers ran, once a second. */
export const runningHistory = signal<readonly number[]>([]);

/** By name. */
export const members = computed<readonly Member[]>(() => status.value?.members ?? []);

/** Follows the cluster for as long as the page is open, on whichever node lives. */
export async function follow(): Promise<void> {
  void followRequests();
  for (;;) {
    let isClosed = false;
    try {
      await followOnce();
    } catch (error) {
      if (error instanceof ApiError) isClosed = CLOSED.includes(error.status);
      else if (!(error instanceof UnreachableError) && !isAbort(error)) throw error;
    }
    // Without a key that opens it there is nothing to try before there is another one.
    connection.value = isClosed ? "closed" : "lost";
    if (isClosed) await untilKeyChanges();
    const before = origin.value;
    await findNode();
    if (origin.value !== before) note("plain", `The page asks ${origin.value} from now on`);
    await pause(RETRY_MS);
  }
}

async function followOnce(): Promise<void> {
  const silence = new AbortController();
  let timer = 0;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS_MAX);
  };
  heard();
  try {
    const lines = askLines<Status>("/api/cluster/feed", { signal: silence.signal });
    for await (const line of lines) {
      heard();
      take(line);
    }
  } finally {
    clearTimeout(timer);
  }
}

function take(now: Status): void {
  const before = status.value;
  // Another node's own words must not look like news of the cluster.
  if (before !== undefined && before.node_id === now.node_id) noteStatus(before, now);
  status.value = now;
  connection.value = "live";
  rememberNodes(
    now.members.flatMap(({ api, health }) => api !== undefined && health === "alive" ? [api] : []),
  );
}

async function followRequests(): Promise<void> {
  for (;;) {
    // Nobody looks at a page in the background.
    if (!document.hidden && connection.value === "live") await lookAtRequests();
    await pause(Math.max(REQUESTS_MS_MIN, members.value.length * REQUESTS_MS_PER_MEMBER));
  }
}

async function lookAtRequests(): Promise<void> {
  try {
    const { requests: rows } = await askJson<{ requests: readonly RequestRow[] }>(
      "/api/cluster/requests",
    );
    noteMoves(rows);
    requests.value = rows;
    const running = rows.filter(({ state }) => state === "running").length;
    runningHistory.value = [...runningHistory.value, running].slice(-POINTS_MAX);
  } catch (error) {
    if (error instanceof ApiError || error instanceof UnreachableError) return;
    throw error;
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function untilKeyChanges(): Promise<void> {
  const key = apiKey.peek();
  const changed = Promise.withResolvers<void>();
  const stop = apiKey.subscribe((now) => {
    if (now !== key) changed.resolve();
  });
  await changed.promise;
  stop();
  connection.value = "connecting";
}
