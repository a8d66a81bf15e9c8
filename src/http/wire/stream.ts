/** Characters waiting for a slow reader at most; above, the producer must wait. */
const PENDING_CHARS_MAX = 64 * 1024;

const encoder = new TextEncoder();

/** Where a producer writes the text of a streamed answer. */
class TextSink {
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #pending: string[] = [];
  #pendingChars = 0;
  #room: PromiseWithResolvers<void> | undefined;
  #gone = false;

  /** True once the reader has left; writing then has no effect. */
  get gone(): boolean {
    return this.#gone;
  }

  /**
   * Hands text to the reader at once when it is waiting; otherwise keeps it. Each text stays a chunk of its own, as many
   * clients take a chunk for a line. Returns a promise only when the producer must wait for the reader.
   */
  write(text: string): Promise<void> | undefined {
    if (this.#gone || text === "") return undefined;
    this.#pending.push(text);
    this.#pendingChars += text.length;
    if (this.#controller !== undefined && (this.#controller.desiredSize ?? 0) > 0) this.#flush();
    if (this.#pendingChars <= PENDING_CHARS_MAX) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** The stream's own calls; not for producers. */
  source(onGone: () => void): UnderlyingDefaultSource<Uint8Array> {
    return {
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#flush(),
      cancel: () => {
        this.#gone = true;
        this.#drop();
        this.#release();
        onGone();
      },
    };
  }

  /** Ends the stream after what was written. */
  close(): void {
    if (this.#gone) return;
    this.#flush();
    this.#gone = true;
    this.#controller?.close();
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    const texts = this.#pending;
    // Before: whoever waits for one asks for the next while this one is handed over.
    this.#drop();
    for (const text of texts) this.#controller?.enqueue(encoder.encode(text));
    this.#release();
  }

  #drop(): void {
    this.#pending = [];
    this.#pendingChars = 0;
  }

  #release(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}

/** How the items of a stream become text. */
export interface StreamEncoder<T> {
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text of one item: one or more whole lines or events. */
  encode(item: T): string;
  /** Text for an error after the first byte; the stream ends after it. */
  encodeFailure(error: unknown): string;
}

/** What a stream tells the one who started it. */
export interface StreamWatcher {
  /** The client went away: stop the work. */
  gone(): void;
  /** The last byte was handed over, or the client went away. */
  ended(): void;
}

/**
 * Streams items as text. The first item is awaited before the answer begins, so that an error up to there is an
 * ordinary answer with its own status; this function rejects with it then.
 */
export async function streamAnswer<T>(
  items: AsyncIterable<T>,
  encode: StreamEncoder<T>,
  watcher: StreamWatcher,
): Promise<Response> {
  const iterator = items[Symbol.asyncIterator]();
  const first = await iterator.next();
  const sink = new TextSink();
  const body = new ReadableStream(sink.source(() => watcher.gone()), { highWaterMark: 1 });
  pump({ iterator, first, sink, encode }).finally(() => watcher.ended());
  return new Response(body, {
    headers: { ...encode.headers, "content-type": encode.contentType },
  });
}

async function pump<T>(parts: {
  readonly iterator: AsyncIterator<T>;
  readonly first: IteratorResult<T>;
  readonly sink: TextSink;
  readonly encode: StreamEncoder<T>;
}): Promise<void> {
  const { iterator, sink, encode } = parts;
  try {
    for (let next = parts.first; next.done !== true; next = await iterator.next()) {
      const room = sink.write(encode.encode(next.value));
      if (room !== undefined) await room;
      if (sink.gone) {
        await iterator.return?.();
        break;
      }
    }
  } catch (error) {
    sink.write(encode.encodeFailure(error));
  }
  sink.close();
}

/** The parts of an answer's body, for its one reader. */
export interface AnswerParts {
  next(): Promise<IteratorResult<Uint8Array, unknown>>;
  /** Nobody reads on: whoever makes them stops. */
  cancel(): Promise<void>;
}

/** Of answers whose bodies nobody has begun to read as streams. */
const partsOf = new WeakMap<Response, AnswerParts>();

/**
 * Takes the body of an answer, which must not be read otherwise then. A stream of the platform between who makes the parts and
 * who sends them costs more than the sending.
 */
export function takeParts(answer: Response, body: ReadableStream<Uint8Array>): AnswerParts {
  const parts = partsOf.get(answer);
  if (parts !== undefined && !body.locked) return parts;
  const reader = body.getReader();
  return {
    next: async () => {
      const { done, value } = await reader.read();
      return done ? { done, value: undefined } : { done, value };
    },
    cancel: () => reader.cancel(new DOMException("The client went away", "AbortError")),
  };
}

/** An answer of bytes as they come; what they break off with breaks it off. `left` hears of a client that went away. */
export function bytesAnswer(
  bytes: AsyncIterator<Uint8Array>,
  init: { readonly status?: number; readonly headers: Readonly<Record<string, string>> },
  left: () => void,
): Response {
  const parts: AnswerParts = {
    next: () => bytes.next(),
    async cancel() {
      // First: it may wait for bytes, and whoever makes those should stop.
      left();
      await bytes.return?.();
    },
  };
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await parts.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: () => parts.cancel(),
  }, { highWaterMark: 0 });
  const answer = new Response(body, init);
  partsOf.set(answer, parts);
  return answer;
}

/** An answer whose head is sent while it is not known yet what follows. */
export interface EarlyParts {
  readonly headers: Readonly<Record<string, string>>;
  /** What follows once it is known. */
  readonly made: Promise<Response>;
  /** Told meanwhile; "" = nothing. */
  status(): string;
  /** Until the next look at the status. */
  pause(): Promise<void>;
  /** Told in place of what could not be made. */
  failed(error: unknown): Promise<string>;
  /** The client went away. */
  left(): void;
  /** Nothing follows, or nobody reads it. */
  over(): void;
}

/** Begins with what is told of the waiting, and goes on with the answer's own bytes. */
export function earlyAnswer(parts: EarlyParts): Response {
  // Its client may leave before anyone looks.
  parts.made.catch(() => {});
  return bytesAnswer(earlyBytes(parts), { headers: parts.headers }, () => parts.left());
}

async function* earlyBytes(parts: EarlyParts): AsyncGenerator<Uint8Array> {
  const { made } = parts;
  let isKnown = false;
  const known = made.then(() => {}, () => {}).finally(() => isKnown = true);
  try {
    while (!isKnown) {
      const text = parts.status();
      if (text !== "") yield encoder.encode(text);
      await Promise.race([known, parts.pause()]);
    }
    const response = await made.catch((error) => parts.failed(error));
    if (typeof response === "string") yield encoder.encode(response);
    else yield* response.body ?? [];
  } finally {
    parts.over();
  }
}
