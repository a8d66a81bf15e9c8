import {
  BoundedMap,
  InvariantError,
  isEdgeError,
  type NodeId,
  UnavailableError,
} from "../../base/mod.ts";
import { FRAME_LENGTH_BYTES } from "../../protocol/mod.ts";
import type { FramePipe } from "../frame_pipe.ts";
import { type ByteSource, type FrameReader, STREAM_ENDED, withLength } from "./frame_reader.ts";

/** One bidirectional stream, both its locks taken. */
export interface StreamParts {
  readonly source: ByteSource & { cancel(): Promise<void> };
  readonly sink: WritableStreamDefaultWriter<Uint8Array>;
}

/** A bidirectional stream of QUIC or WebTransport. */
export interface ByteStreams {
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly writable: WritableStream<Uint8Array>;
}

/** Takes both locks of a stream. */
export function takeStream(stream: ByteStreams): StreamParts {
  const source = stream.readable.getReader({ mode: "byob" });
  return { source: sourceOf(source), sink: stream.writable.getWriter() };
}

/**
 * A reader in the narrower shape that frames are cut from. It reads into memory that it is given: left to itself, the runtime
 * takes 64 KiB for each piece of a stream, most of it unused, and then spends more time on giving it back than on the stream.
 */
export function sourceOf(reader: ReadableStreamBYOBReader): StreamParts["source"] {
  return {
    read: async (into) => {
      const { done, value } = await reader.read(into);
      return done || value === undefined ? { done: true } : { done: false, value };
    },
    cancel: () => reader.cancel(),
  };
}

/** Frames over one QUIC stream whose header was written or read already. */
export class StreamPipe implements FramePipe {
  readonly #parts: StreamParts;
  readonly #reader: FrameReader;

  constructor(parts: StreamParts, reader: FrameReader) {
    this.#parts = parts;
    this.#reader = reader;
  }

  async write(frame: Uint8Array): Promise<void> {
    try {
      await this.#parts.sink.write(withLength(frame));
    } catch (cause) {
      throw lostConnection(cause);
    }
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const frame = await readFrame(this.#reader);
    return frame === STREAM_ENDED ? undefined : frame;
  }

  /** No more frames either way; the stream's credit returns to whoever opened it. */
  release(): void {
    this.#parts.sink.close().catch(ignoreLoss);
    this.#parts.source.cancel().catch(ignoreLoss);
  }
}

/** {@link FrameReader.next}, with the runtime's many ways to say that a connection ended made one. */
async function readFrame(reader: FrameReader): ReturnType<FrameReader["next"]> {
  try {
    return await reader.next();
  } catch (error) {
    throw isRuntimeLoss(error) ? lostConnection(error) : error;
  }
}

/** Whether the runtime says that a stream or its connection is gone: all but our own errors. */
export function isRuntimeLoss(error: unknown): boolean {
  return !isEdgeError(error) && !(error instanceof InvariantError);
}

/** Peers whose loss has an error for all who see it. */
const LOST_PEERS_MAX = 256;
const lostPeers = new BoundedMap<NodeId, UnavailableError>(LOST_PEERS_MAX);

/** As {@link lostConnection}, for a stream that this side has given up: most end so, and nobody reads the stack of each. */
export function givenUp(peer: NodeId): UnavailableError {
  const known = lostPeers.use(peer) ?? lostConnection(undefined, peer);
  lostPeers.set(peer, known);
  return known;
}

/** Made once: the runtime would make an error for each stream that gets none. */
export const RESET: DOMException = new DOMException("The stream is given up", "AbortError");

/** What callers of a stream see when it is gone. */
export function lostConnection(cause?: unknown, peer?: NodeId): UnavailableError {
  const text = peer === undefined ? "The connection is gone" : `Node ${peer} is out of reach`;
  return new UnavailableError("peer_lost", text, cause === undefined ? {} : { cause });
}

/** For what is thrown away anyway: the connection's end is noticed where it is read. */
export function ignoreLoss(): void {
  // The connection's end is noticed where it is read.
}

/** A length that says that the sender has ended its stream. */
export const END_MARK: Uint8Array<ArrayBuffer> = new Uint8Array(FRAME_LENGTH_BYTES).fill(0xff);
