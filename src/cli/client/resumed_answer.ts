import { errorMessage, UnavailableError } from "../../base/mod.ts";

/** Carries one request to a node's HTTP API; `path` begins with a slash. Rejects when no answer comes. */
export type SendRequest = (path: string, init: RequestInit) => Promise<Response>;

/** How long others are asked for the rest of an answer, without a byte of it. Milliseconds. */
const RESUME_PATIENCE_MS = 30_000;
/** Between two rounds in which none had it. Milliseconds. */
const ROUND_PAUSE_MS = 500;
/** A node that takes longer to say anything is not waited for. Milliseconds. */
const WORD_WAIT_MS = 5_000;

/** An answer that is read to its end, whichever node dies. */
export interface ResumedParts {
  /** As its first node tells it. */
  readonly first: Response;
  readonly id: string;
  /** Whom to ask for the rest, in this order, again and again. */
  readonly senders: () => Promise<readonly SendRequest[]>;
  readonly signal: AbortSignal | undefined;
}

/** Its bytes, each once. @throws UnavailableError `peer_lost` when nobody tells the rest; the signal's reason. */
export async function* resumedBytes(parts: ResumedParts): AsyncGenerator<Uint8Array> {
  let body: ReadableStream<Uint8Array> | null = parts.first.body;
  let offset = 0;
  while (body !== null) {
    try {
      for await (const part of body) {
        offset += part.length;
        yield part;
      }
      return;
    } catch (cause) {
      parts.signal?.throwIfAborted();
      body = await restOf(parts, offset, cause);
    }
  }
}

async function restOf(
  { id, senders, signal }: ResumedParts,
  offset: number,
  cause: unknown,
): Promise<ReadableStream<Uint8Array> | null> {
  const path = `/api/answers/${encodeURIComponent(id)}?offset=${offset}`;
  const deadlineMs = performance.now() + RESUME_PATIENCE_MS;
  const nodes = await senders();
  while (performance.now() < deadlineMs) {
    for (const send of nodes) {
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), WORD_WAIT_MS);
      const either = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
      try {
        const response = await send(path, { method: "GET", signal: either });
        if (response.ok) return response.body;
        await response.body?.cancel();
      } catch {
        signal?.throwIfAborted();
      } finally {
        clearTimeout(timer);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, ROUND_PAUSE_MS));
    signal?.throwIfAborted();
  }
  const text = `The node that answered is gone, and no other tells the rest (${
    errorMessage(cause)
  })`;
  throw new UnavailableError("peer_lost", text, { cause });
}
