import { invalidRequest, parseGoDuration } from "../../base/mod.ts";

/** Under which a client may name its answer, and be joined to it when it asks the same again. */
const NAME_HEADERS = ["idempotency-key", "x-conversation-id"] as const;
/** For how long after its client left an answer is made all the same, as `60s`. */
const KEEP_HEADER = "x-odist-keep";
/** Milliseconds at most. */
const KEEP_MS_MAX = 600_000;
const NAME_PATTERN = /^[A-Za-z0-9._:-]{1,128}$/;

/** What the client calls its answer. */
export interface AnswerName {
  readonly id: string;
  /** What is asked for under it is the same each time. */
  readonly isKey: boolean;
}

/** Undefined = it has no name of its client's. @throws RequestError `invalid_request` for one that can't be used. */
export function nameOf(headers: Headers): AnswerName | undefined {
  for (const header of NAME_HEADERS) {
    const id = headers.get(header);
    if (id === null) continue;
    if (NAME_PATTERN.test(id)) return { id, isKey: header === "idempotency-key" };
    const wanted = "1 to 128 letters, digits, or any of . _ : -";
    throw invalidRequest(`${header}: wants ${wanted}, got ${JSON.stringify(id.slice(0, 200))}`);
  }
  return undefined;
}

/** Milliseconds. @throws RequestError `invalid_request`. */
export function keepMsOf(headers: Headers): number {
  const text = headers.get(KEEP_HEADER);
  if (text === null) return 0;
  const ms = parseGoDuration(text);
  if (ms !== undefined && ms >= 0 && ms <= KEEP_MS_MAX) return ms;
  throw invalidRequest(`${KEEP_HEADER}: wants a duration of up to 10m as 60s, got "${text}"`);
}
