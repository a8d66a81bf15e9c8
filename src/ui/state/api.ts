import { apiKey, keyWanted, knownOrigins, origin } from "./session.ts";

/** A node that says nothing for so long to whether it lives is passed over. */
const PROBE_MS = 2_000;

/** An answer that is none: what the node said, for people. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** No node answers any more. */
export class UnreachableError extends Error {}

/** How one asks. */
export interface AskOptions {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * Asks the node that the page talks to, with the session's key.
 *
 * @throws ApiError for an answer that is no success, UnreachableError where the node is gone. A DOMException where the
 * signal ended it.
 */
export async function ask(path: string, options: AskOptions = {}): Promise<Response> {
  const response = await send(path, options);
  if (response.ok) return response;
  const message = await messageOf(response);
  if (response.status === 401) keyWanted.value = message;
  throw new ApiError(response.status, message);
}

async function send(path: string, options: AskOptions): Promise<Response> {
  const { method = "GET", body, headers = {}, signal } = options;
  const key = apiKey.value;
  try {
    return await fetch(`${origin.value}${path}`, {
      method,
      ...(signal === undefined ? {} : { signal }),
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new UnreachableError(`${origin.value} does not answer`, { cause: error });
  }
}

/** As {@link ask}, for JSON; what is given for `T` is what the API says it answers. */
export async function askJson<T>(path: string, options: AskOptions = {}): Promise<T> {
  return await (await ask(path, options)).json();
}

/** Changes something and waits until it is changed. */
export async function change(method: string, path: string, body?: unknown): Promise<void> {
  await (await ask(path, { method, ...(body === undefined ? {} : { body }) })).body?.cancel();
}

/** Lines of JSON as they come. @throws UnreachableError where the stream breaks off. */
export async function* askLines<T>(path: string, options: AskOptions = {}): AsyncGenerator<T> {
  yield* jsonLines<T>(await ask(path, options), options.signal);
}

/** The lines of an answer; `heard` is told the bytes of each line once it is whole. */
export async function* jsonLines<T>(
  response: Response,
  signal?: AbortSignal,
  heard: (bytes: number) => void = () => {},
): AsyncGenerator<T> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  let kept = new Uint8Array(0);
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause) => {
        if (signal?.aborted === true) throw cause;
        throw new UnreachableError("the answer broke off", { cause });
      });
      if (done) break;
      kept = concat(kept, value);
      for (let end = kept.indexOf(10); end >= 0; end = kept.indexOf(10)) {
        const line = new TextDecoder().decode(kept.subarray(0, end));
        kept = kept.slice(end + 1);
        heard(end + 1);
        if (line !== "") yield JSON.parse(line);
      }
    }
    if (kept.length > 0) throw new UnreachableError("the answer broke off within a line");
  } finally {
    void reader.cancel().catch(() => {});
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

async function messageOf(response: Response): Promise<string> {
  const refused = response.headers.get("x-odist-refused");
  const text = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(text);
    if (typeof error === "string") return error;
  } catch {
    // Not JSON: said as it is.
  }
  return refused ?? (text || `${response.status} ${response.statusText}`);
}

/** The one search for a living node that goes on. */
let searching: Promise<boolean> | undefined;

/** Looks for a node that lives, the page's own first, and asks that one from now on. False: there is none. */
export function findNode(): Promise<boolean> {
  searching ??= search().finally(() => searching = undefined);
  return searching;
}

async function search(): Promise<boolean> {
  const alive = knownOrigins().map(async (one) => await lives(one) ? one : undefined);
  for (const one of alive) {
    const found = await one;
    if (found === undefined) continue;
    origin.value = found;
    return true;
  }
  return false;
}

async function lives(one: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PROBE_MS);
    const response = await fetch(`${one}/health`, { signal });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
