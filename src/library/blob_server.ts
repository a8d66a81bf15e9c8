import {
  type Digest,
  invalidRequest,
  PeerError,
  RequestError,
  StorageError,
  UnavailableError,
} from "../base/mod.ts";
import type { BlobReader, BlobStore, Clock, Metrics, PeerStream } from "../ports/mod.ts";
import { readShape } from "../protocol/mod.ts";
import {
  BLOB_FRAME_BYTES,
  blobOpeningShape,
  MessageStream,
  refuse,
  type StreamHandler,
} from "../calls/mod.ts";

/** Files beside the models', whose digests stand in the source. */
export interface PinnedFiles {
  /** Undefined = it isn't here. */
  open(digest: Digest): Promise<BlobReader | undefined>;
}

/** What {@link BlobServer} works with. */
export interface BlobServerParts {
  readonly blobs: Pick<BlobStore, "find" | "open">;
  /** Default: there are none. */
  readonly pinned?: PinnedFiles;
  /** Whether the copy on this node was found corrupt by another. */
  readonly isQuarantined: (digest: Digest) => boolean;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Ranges read for all peers at once: beyond, the disk only seeks. */
const TRANSFERS_MAX = 32;
/** Ranges of one peer: two blobs with all their parts. */
const TRANSFERS_PER_PEER_MAX = 16;
/** How long a peer may leave a frame unread. Milliseconds. */
const WRITE_WAIT_MS = 30_000;
/** When to ask again while too many transfers run. Milliseconds. */
const BUSY_RETRY_MS = 500;

/** Sends ranges of blobs to other nodes that ask for them. */
export class BlobServer implements StreamHandler {
  readonly streamsPerPeerMax = TRANSFERS_PER_PEER_MAX;
  readonly #parts: BlobServerParts;
  #transfers = 0;

  constructor(parts: BlobServerParts) {
    this.#parts = parts;
  }

  /** @throws PeerError for a first frame that makes no sense; UnavailableError `peer_lost` when the peer goes away. */
  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const decoded = readShape(blobOpeningShape, opening);
    if (decoded.kind === "malformed") {
      throw new PeerError("malformed_frame", `A request for a blob: ${decoded.reason}`);
    }
    const { digest, offset, length } = decoded.value;
    if (this.#transfers >= TRANSFERS_MAX) return await refuse(stream, tooMany());
    this.#transfers++;
    try {
      const reader = await this.#open(digest);
      if (reader instanceof Error) return await refuse(stream, reader);
      try {
        await this.#send(stream, reader, { offset, length });
      } finally {
        reader.close();
      }
    } finally {
      this.#transfers--;
    }
  }

  async #open(digest: Digest): Promise<BlobReader | RequestError | StorageError> {
    const { blobs, isQuarantined } = this.#parts;
    if (isQuarantined(digest)) {
      return new StorageError("corrupt_file", `The copy of blob ${digest} here is under doubt`);
    }
    if (await blobs.find(digest) === undefined) {
      const pinned = await this.#parts.pinned?.open(digest);
      return pinned ?? new RequestError("blob_not_found", `blob ${digest} not found`);
    }
    try {
      return await blobs.open(digest);
    } catch (error) {
      if (error instanceof StorageError) return error;
      throw error;
    }
  }

  async #send(
    stream: PeerStream,
    reader: BlobReader,
    range: { readonly offset: number; readonly length: number },
  ): Promise<void> {
    const end = range.offset + range.length;
    if (end > reader.blobBytes) {
      const bounds = `the blob has ${reader.blobBytes} bytes, not ${end}`;
      return await refuse(stream, invalidRequest(bounds));
    }
    await new MessageStream(stream).write({ kind: "granted", blobBytes: reader.blobBytes });
    // The same for all frames: a fresh one for each is zeroed and collected, which costs more than reading the file.
    const into = new ArrayBuffer(Math.min(BLOB_FRAME_BYTES, range.length));
    for (let at = range.offset; at < end;) {
      const bytes = await reader.read(at, Math.min(BLOB_FRAME_BYTES, end - at), { into });
      // The file was cut off after it was opened: the peer sees a part that ends early.
      if (bytes.length === 0) break;
      await this.#write(stream, bytes);
      at += bytes.length;
    }
    await stream.end();
  }

  async #write(stream: PeerStream, bytes: Uint8Array): Promise<void> {
    // A reset makes the write fail: a peer that stopped reading must not keep a transfer for others.
    const timer = this.#parts.clock.after(WRITE_WAIT_MS, () => stream.reset());
    try {
      await stream.write(bytes);
      this.#parts.metrics.increment("odist_blob_bytes_sent_total", {}, bytes.length);
    } finally {
      timer.cancel();
    }
  }
}

function tooMany(): UnavailableError {
  return new UnavailableError("queue_full", "Too many blobs are on their way from here", {
    retryAfterMs: BUSY_RETRY_MS,
  });
}
