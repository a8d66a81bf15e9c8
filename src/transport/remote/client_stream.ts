import { PeerError } from "../../base/mod.ts";
import {
  CLIENT_FRAME_BYTES_MAX,
  type Decoded,
  encodeStreamHeader,
  readShape,
  type Shape,
  type StreamKind,
} from "../../protocol/mod.ts";
import {
  END_MARK,
  FrameReader,
  ignoreLoss,
  isRuntimeLoss,
  lostConnection,
  STREAM_ENDED,
  type StreamParts,
  withLength,
} from "../framing/mod.ts";

/**
 * What a body's next frame turned out to be. `gone`: nothing more can come from that side, whether or not it said so. Over
 * WebTransport the runtime tells neither of a stream's end nor of its reset, so both are said in frames.
 */
export type Piece =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "end" | "broken_off" | "gone" };

const BROKEN_OFF = new Uint8Array(0);

/** One stream of a client's session, from either side: a head, the frames of a body, and a mark that says how it ended. */
export class ClientStream {
  readonly #parts: StreamParts;
  readonly #reader: FrameReader;
  #released = false;

  constructor(parts: StreamParts, options: { readonly nowMs: () => number }) {
    this.#parts = parts;
    this.#reader = new FrameReader(parts.source, {
      frameBytesMax: CLIENT_FRAME_BYTES_MAX,
      nowMs: options.nowMs,
    });
  }

  /** By whoever opened the stream, before anything else. */
  async writeKind(kind: StreamKind): Promise<void> {
    await this.#write(encodeStreamHeader(kind));
  }

  /** By the other side. @throws PeerError `early_frame` when it is another one; UnavailableError `peer_lost`. */
  async expectKind(kind: StreamKind): Promise<void> {
    const found = await this.#read(() => this.#reader.header());
    if (found === undefined) throw lostConnection();
    if (found !== kind) {
      throw new PeerError("early_frame", `The client opened a stream of kind "${found}" too early`);
    }
  }

  async writeHead(head: object): Promise<void> {
    await this.#write(withLength(new TextEncoder().encode(JSON.stringify(head))));
  }

  /** @throws PeerError `malformed_frame`; UnavailableError `peer_lost`. */
  async readHead<T>(shape: Shape<T>): Promise<T> {
    const piece = await this.readPiece();
    if (piece.kind !== "bytes") throw lostConnection();
    const decoded = decodeHead(shape, piece.bytes);
    if (decoded.kind === "decoded") return decoded.value;
    throw new PeerError(
      "malformed_frame",
      `The other side's head makes no sense: ${decoded.reason}`,
    );
  }

  /** Of any length. Waits while the other side does not read. */
  async writeBody(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += CLIENT_FRAME_BYTES_MAX) {
      await this.#write(withLength(bytes.subarray(at, at + CLIENT_FRAME_BYTES_MAX)));
    }
  }

  /** Nothing more comes from here, and what came is whole. */
  async writeEnd(): Promise<void> {
    await this.#write(END_MARK);
  }

  /** What came from here is all there will be, and it is not whole; an answer is not wanted any more. */
  async writeBrokenOff(): Promise<void> {
    await this.#write(withLength(BROKEN_OFF));
  }

  /** The next frame of the other side's body. @throws PeerError `malformed_frame`; UnavailableError `peer_lost`. */
  async readPiece(): Promise<Piece> {
    const frame = await this.#read(() => this.#reader.next());
    if (frame === undefined) return { kind: "gone" };
    if (frame === STREAM_ENDED) return { kind: "end" };
    return frame.length === 0 ? { kind: "broken_off" } : { kind: "bytes", bytes: frame };
  }

  /** Gives the stream back to its connection. Safe to repeat. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#parts.sink.close().catch(ignoreLoss);
    this.#parts.source.cancel().catch(ignoreLoss);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#parts.sink.write(bytes);
    } catch (cause) {
      throw lostConnection(cause);
    }
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      throw isRuntimeLoss(error) ? lostConnection(error) : error;
    }
  }
}

/** A head from its frame; never throws. */
export function decodeHead<T>(shape: Shape<T>, bytes: Uint8Array): Decoded<T> {
  return readShape(shape, parseJson(bytes));
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined; // Whoever reads it by its shape says what is wanted instead.
  }
}
