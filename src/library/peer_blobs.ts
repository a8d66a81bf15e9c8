import {
  type Digest,
  errorMessage,
  isEdgeError,
  type NodeId,
  PeerError,
  StorageError,
  UnavailableError,
} from "../base/mod.ts";
import { type AttemptEnd, BlobAttempts } from "../core/catalogue/mod.ts";
import type {
  BlobPeers,
  BlobRange,
  BlobSource,
  Log,
  Metrics,
  PeerAddress,
  PeerStream,
  TransferLimits,
  Transport,
} from "../ports/mod.ts";
import { fromWireError, readShape } from "../protocol/mod.ts";
import { BLOB_PURPOSE, blobAnswerShape, MessageStream, openPurpose } from "../calls/mod.ts";

/** Transfers between nodes: parts small enough to come from several holders, and little patience with each of them. */
export const PEER_TRANSFER_LIMITS: TransferLimits = {
  partBytesMin: 8 * 1024 * 1024,
  partBytesMax: 256 * 1024 * 1024,
  partsAtOnceMax: 8,
  triesMax: 4,
  stallMs: 5_000,
  stallsMax: 3,
  pauseMs: 200,
  redirectsMax: 0,
  progressMs: 60,
  syncBytes: 16 * 1024 * 1024,
};

/** What {@link PeerBlobs} works with. */
export interface PeerBlobsParts {
  readonly transport: Pick<Transport, "openStream">;
  /** Nodes of use that may hold a blob, this one not among them; some may turn out not to. */
  readonly holdersOf: (digest: Digest) => readonly PeerAddress[];
  /** Tells the cluster that a node sent wrong bytes. */
  readonly reportCorrupt: (digest: Digest, nodeId: NodeId) => void;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Blobs from the other nodes of the cluster. */
export class PeerBlobs implements BlobPeers {
  readonly #parts: PeerBlobsParts;

  constructor(parts: PeerBlobsParts) {
    this.#parts = parts;
  }

  async bring(
    blob: { readonly digest: Digest; readonly blobBytes: number },
    download: (source: BlobSource) => Promise<void>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { digest } = blob;
    const holders = new Map(
      this.#parts.holdersOf(digest).map((address) => [address.nodeId, address]),
    );
    const attempts = new BlobAttempts([...holders.keys()]);
    let failure: unknown;
    for (let chosen = attempts.holders(); chosen !== undefined; chosen = attempts.holders()) {
      const addresses = chosen.flatMap((nodeId) => holders.get(nodeId) ?? []);
      const source = new PeerSource(blob, addresses, this.#parts);
      try {
        await download(source);
        return true;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof StorageError && error.code !== "corrupt_file") throw error;
        failure = error;
        this.#judge(digest, attempts.fail(source.endOf(error)));
      }
    }
    if (failure === undefined) return false;
    throw failure;
  }

  #judge(digest: Digest, culprit: NodeId | undefined): void {
    if (culprit === undefined) return;
    this.#parts.log.log("warn", "peer_blob_corrupt", { digest, peer: culprit });
    this.#parts.metrics.increment("odist_peer_blobs_corrupt_total");
    this.#parts.reportCorrupt(digest, culprit);
  }
}

/** One blob from some of its holders. */
class PeerSource implements BlobSource {
  readonly limits: TransferLimits;
  readonly #blob: { readonly digest: Digest; readonly blobBytes: number };
  readonly #holders: readonly PeerAddress[];
  readonly #parts: PeerBlobsParts;
  /** Ranges being read from each. */
  readonly #busy = new Map<NodeId, number>();
  /** Holders that failed and are not asked until all have. */
  readonly #failed = new Set<NodeId>();
  readonly #senders = new Set<NodeId>();
  #receivedBytes = 0;

  constructor(
    blob: { readonly digest: Digest; readonly blobBytes: number },
    holders: readonly PeerAddress[],
    parts: PeerBlobsParts,
  ) {
    this.#blob = blob;
    this.#holders = holders;
    this.#parts = parts;
    // A part may have to ask each of them before it meets the one that has it.
    const triesMax = PEER_TRANSFER_LIMITS.triesMax + holders.length - 1;
    this.limits = { ...PEER_TRANSFER_LIMITS, triesMax };
  }

  /** What a failed download of this source says about its holders. */
  endOf(error: unknown): AttemptEnd {
    if (!(error instanceof StorageError) || error.code !== "corrupt_file") return { kind: "lost" };
    const isWhole = this.#receivedBytes === this.#blob.blobBytes;
    return { kind: "corrupt", senders: [...this.#senders].sort(), isWhole };
  }

  /** Each read is answered with what the holder has, so there is nothing to ask before. */
  async check(): Promise<void> {}

  async *read(range: BlobRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const holder = this.#choose();
    this.#busy.set(holder.nodeId, (this.#busy.get(holder.nodeId) ?? 0) + 1);
    let isDone = false;
    try {
      for await (const bytes of this.#readFrom(holder, range, signal)) {
        this.#senders.add(holder.nodeId);
        this.#receivedBytes += bytes.length;
        this.#parts.metrics.increment("odist_blob_bytes_received_total", {}, bytes.length);
        yield bytes;
      }
      isDone = true;
    } catch (cause) {
      signal.throwIfAborted();
      // Anything else is our bug, and must not look like a node that is gone.
      throw isEdgeError(cause) ? lost(holder.nodeId, cause) : cause;
    } finally {
      this.#busy.set(holder.nodeId, (this.#busy.get(holder.nodeId) ?? 1) - 1);
      // Also when the reader gave up waiting: the next one is to ask somebody else.
      if (!isDone) this.#failed.add(holder.nodeId);
    }
  }

  retry(): void {}

  /** The holder with the least to do, of those that have not failed. */
  #choose(): PeerAddress {
    if (this.#failed.size >= this.#holders.length) this.#failed.clear();
    const [best] = this.#holders.filter(({ nodeId }) => !this.#failed.has(nodeId))
      .map((holder) => ({ holder, busy: this.#busy.get(holder.nodeId) ?? 0 }))
      .sort((a, b) => a.busy - b.busy);
    if (best !== undefined) return best.holder;
    throw new UnavailableError("peer_lost", `nobody is known to hold blob ${this.#blob.digest}`);
  }

  async *#readFrom(
    holder: PeerAddress,
    range: BlobRange,
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    const { digest, blobBytes } = this.#blob;
    const opening = { purpose: BLOB_PURPOSE, digest, ...range };
    const stream = await openPurpose(this.#parts.transport, { peer: holder, opening }, signal);
    const onAbort = () => stream.reset();
    signal.addEventListener("abort", onAbort, { once: true });
    let left = range.length;
    try {
      signal.throwIfAborted();
      const found = await readAnswer(stream);
      if (found !== blobBytes) throw nonsense(`the blob has ${found} bytes, not ${blobBytes}`);
      for (let bytes = await stream.read(); bytes !== undefined; bytes = await stream.read()) {
        left -= bytes.length;
        if (bytes.length === 0 || left < 0) throw nonsense("more bytes than were asked for");
        yield bytes;
      }
      if (left > 0) throw nonsense(`the stream ended ${left} bytes early`);
      await stream.end();
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (left > 0) stream.reset();
    }
  }
}

/** Size of the blob over there. @throws the peer's refusal; PeerError `malformed_frame`. */
async function readAnswer(stream: PeerStream): Promise<number> {
  const message = await new MessageStream(stream).read();
  const decoded = readShape(blobAnswerShape, message);
  if (decoded.kind === "malformed") throw nonsense(decoded.reason);
  const answer = decoded.value;
  if (answer.kind === "refused") throw fromWireError(answer.error);
  return answer.blobBytes;
}

function nonsense(reason: string): PeerError {
  return new PeerError("malformed_frame", `An answer with a blob's bytes: ${reason}`);
}

function lost(nodeId: NodeId, cause: unknown): UnavailableError {
  const message = `Cannot read from node ${nodeId}: ${errorMessage(cause)}`;
  return new UnavailableError("peer_lost", message, { cause });
}
