import {
  assert,
  errorMessage,
  invalidRequest,
  isEdgeError,
  PeerError,
  type RequestError,
  UnavailableError,
} from "../base/mod.ts";
import type { Clock, Log, Metrics, PeerAddress, PeerStream, Transport } from "../ports/mod.ts";
import { decodeValue, encodeValue } from "../transport/mod.ts";
import { objectShape, readShape, textShape, toWireError } from "../protocol/mod.ts";
import { MessageStream } from "./message_stream.ts";

/** How long a stream may stay without its first frame. Milliseconds. */
const OPENING_WAIT_MS = 5_000;
/** Bytes of a first frame. */
const OPENING_BYTES_MAX = 256 * 1024;
/** Streams of one peer whose first frame is awaited; more are reset unread. */
const UNOPENED_STREAMS_MAX = 256;

const OPENING = objectShape({ purpose: textShape(32) });

/** What the router works with. */
export interface StreamRouterParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Who takes the streams of one purpose. */
export interface StreamHandler {
  /** Streams of one peer at once; above, the next is refused with `queue_full`. */
  readonly streamsPerPeerMax: number;
  /**
   * Serves one stream and ends it; the stream is reset when this rejects, but with {@link ToldFailure}. `opening` is the first frame, decoded and not
   * checked but for its purpose.
   *
   * @throws PeerError when the peer sent nonsense.
   */
  serve(stream: PeerStream, opening: unknown): Promise<void>;
}

/** A failure that the other side was told of, on a stream that has ended in order; `cause` is the failure. */
export class ToldFailure extends Error {
  constructor(cause: unknown) {
    super(errorMessage(cause), { cause });
  }
}

/** Reads the first frame of each stream that a peer opens and hands it to whom its purpose belongs to. */
export class StreamRouter {
  readonly #parts: StreamRouterParts;
  readonly #handlers = new Map<string, StreamHandler>();
  /** Streams open by peer and purpose; "" = those whose first frame is awaited. Zero has no entry. */
  readonly #open = new Map<string, number>();

  constructor(parts: StreamRouterParts) {
    this.#parts = parts;
  }

  /** Each purpose has one handler. */
  register(purpose: string, handler: StreamHandler): void {
    this.#handlers.set(purpose, handler);
  }

  /** For {@link TransportHandlers.onStream}. Resolves when the stream is done with; never rejects. */
  async accept(stream: PeerStream): Promise<void> {
    let purpose = "unopened";
    try {
      const opening = await this.#counted(
        { stream, purpose: "", limit: UNOPENED_STREAMS_MAX },
        () => this.#readOpening(stream),
      );
      if (opening === undefined) return stream.reset();
      const handler = this.#handlers.get(opening.purpose);
      if (handler === undefined) {
        this.#count("unknown", "unknown_purpose");
        return await refuse(stream, unknownPurpose(opening.purpose));
      }
      purpose = opening.purpose;
      const served = await this.#counted(
        { stream, purpose, limit: handler.streamsPerPeerMax },
        async () => (await handler.serve(stream, opening.value), true),
      );
      if (served === undefined) await refuse(stream, tooMany(purpose));
    } catch (error) {
      const isTold = error instanceof ToldFailure;
      if (!isTold) stream.reset();
      this.#note(isTold ? error.cause : error, { peer: stream.peer, purpose });
    }
  }

  /** Undefined without a call when there are too many. */
  async #counted<T>(
    of: { readonly stream: PeerStream; readonly purpose: string; readonly limit: number },
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    const key = `${of.stream.peer} ${of.purpose}`;
    const open = this.#open.get(key) ?? 0;
    if (open >= of.limit) {
      this.#count(of.purpose === "" ? "unopened" : of.purpose, "too_many");
      return undefined;
    }
    this.#open.set(key, open + 1);
    try {
      return await work();
    } finally {
      const left = (this.#open.get(key) ?? 0) - 1;
      assert(left >= 0, "A stream that ends was counted", { key, left });
      if (left > 0) this.#open.set(key, left);
      else this.#open.delete(key);
    }
  }

  async #readOpening(stream: PeerStream): Promise<{ purpose: string; value: unknown }> {
    // A reset makes the read fail, so that a silent peer costs nothing for longer.
    const timer = this.#parts.clock.after(OPENING_WAIT_MS, () => stream.reset());
    try {
      const frame = await stream.read();
      if (frame === undefined || frame.length > OPENING_BYTES_MAX) {
        throw new PeerError("malformed_frame", "A stream began without a first frame of its own");
      }
      const value = decodeValue(frame);
      const opening = readShape(OPENING, value);
      if (opening.kind === "malformed") {
        throw new PeerError("malformed_frame", `A stream's first frame: ${opening.reason}`);
      }
      return { purpose: opening.value.purpose, value };
    } finally {
      timer.cancel();
    }
  }

  #note(error: unknown, values: { readonly peer: string; readonly purpose: string }): void {
    const { log } = this.#parts;
    const shown = { ...values, reason: errorMessage(error) };
    if (error instanceof PeerError) {
      this.#count(values.purpose, "malformed");
      log.log("warn", "peer_stream_malformed", shown);
    } else if (isEdgeError(error)) {
      log.log("debug", "peer_stream_lost", shown);
    } else {
      this.#count(values.purpose, "failed");
      log.log("error", "peer_stream_failed", shown);
    }
  }

  #count(purpose: string, reason: string): void {
    this.#parts.metrics.increment("odist_peer_streams_refused_total", { purpose, reason });
  }
}

/**
 * Opens a stream for a purpose: the counterpart of {@link StreamRouter.accept}.
 *
 * @throws UnavailableError `peer_lost`; the signal's reason.
 */
export async function openPurpose(
  transport: Pick<Transport, "openStream">,
  to: { readonly peer: PeerAddress; readonly opening: { readonly purpose: string } },
  signal: AbortSignal,
): Promise<PeerStream> {
  const stream = await transport.openStream(to.peer, signal);
  try {
    await stream.write(encodeValue(to.opening));
    return stream;
  } catch (error) {
    stream.reset();
    throw error;
  }
}

/** Ends a stream with one message that says why: `{kind: "refused", error}`. */
export async function refuse(stream: PeerStream, error: unknown): Promise<void> {
  const messages = new MessageStream(stream);
  await messages.write({ kind: "refused", error: toWireError(error) });
  await messages.end();
}

function unknownPurpose(purpose: string): RequestError {
  return invalidRequest(`Streams for "${purpose}" are not served here`);
}

function tooMany(purpose: string): UnavailableError {
  return new UnavailableError("queue_full", `Too many streams for "${purpose}" are open here`, {
    retryAfterMs: 1000,
  });
}
