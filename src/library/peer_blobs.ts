import {
  BoundedMap,
  type Digest,
  errorMessage,
  isEdgeError,
  LineLimiter,
  type NodeId,
  PeerError,
  RequestError,
  StorageError,
  UnavailableError,
} from "../base/mod.ts";
import { type AttemptEnd, BlobAttempts } from "../core/catalogue/mod.ts";
import type {
  BlobPeers,
  BlobRange,
  BlobSource,
  Clock,
  Log,
  Metrics,
  PeerAddress,
  PeerStream,
  TransferLimits,
  Transport,
} from "../ports/mod.ts";
import { fromWireError, readShape } from "../protocol/mod.ts";
import { StalledError } from "../models/mod.ts";
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
  /** Whether a node said itself that it holds the blob; others are asked all the same while nobody did. */
  readonly saysToHold: (digest: Digest, nodeId: NodeId) => boolean;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A node that failed with a blob is asked for none during this time, unless there is nobody else. */
const AVOIDED_MS = 60_000;
/** Nodes that are avoided at once. */
const AVOIDED_MAX = 1_024;
/** The same node's faults make one line in this time; the metric counts each. */
const FAULT_LINE_MS = 1_000;
/** A holder is slow that sends less than this in the time that is waited for it; it goes on only where there is no other. */
const SLOW_BYTES = 64 * 1024;
const SLOW_MS = 10_000;

/** What a node did instead of sending what it was asked for. */
type BlobFault =
  /** All of its bytes came, and were not the blob. */
  | "corrupt"
  | "malformed"
  /** It began to send and then broke off. */
  | "cut"
  | "stalled"
  | "slow"
  /** It said that it holds the blob, and does not. */
  | "absent";

/** Who failed with blobs, counted and named, and not asked for a while. */
class Faults {
  readonly #parts: PeerBlobsParts;
  readonly #lines = new LineLimiter(FAULT_LINE_MS);
  readonly #untilMs = new BoundedMap<NodeId, number>(AVOIDED_MAX);

  constructor(parts: PeerBlobsParts) {
    this.#parts = parts;
  }

  note(
    peer: NodeId,
    fault: BlobFault,
    about: { readonly digest: Digest; readonly reason: string },
  ) {
    const { clock, log, metrics } = this.#parts;
    const nowMs = clock.monotonicMs();
    this.#untilMs.set(peer, nowMs + AVOIDED_MS);
    metrics.increment("odist_peer_blob_faults_total", { peer, fault });
    const unsaid = this.#lines.claim(peer, nowMs);
    if (unsaid === undefined) return;
    log.log("warn", "peer_blob_fault", { peer, fault, ...about, count: 1 + unsaid });
  }

  /** Those who have not failed lately; all where all have. */
  sound(holders: readonly PeerAddress[]): readonly PeerAddress[] {
    const nowMs = this.#parts.clock.monotonicMs();
    const sound = holders.filter(({ nodeId }) => (this.#untilMs.get(nodeId) ?? -Infinity) <= nowMs);
    return sound.length > 0 ? sound : holders;
  }
}

/** Blobs from the other nodes of the cluster. */
export class PeerBlobs implements BlobPeers {
  readonly #parts: PeerBlobsParts;
  readonly #faults: Faults;

  constructor(parts: PeerBlobsParts) {
    this.#parts = parts;
    this.#faults = new Faults(parts);
  }

  async bring(
    blob: { readonly digest: Digest; readonly blobBytes: number },
    download: (source: BlobSource) => Promise<void>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { digest } = blob;
    const holders = new Map(
      this.#faults.sound(this.#parts.holdersOf(digest)).map((holder) => [holder.nodeId, holder]),
    );
    const attempts = new BlobAttempts([...holders.keys()]);
    let failure: unknown;
    for (let chosen = attempts.holders(); chosen !== undefined; chosen = attempts.holders()) {
      const addresses = chosen.flatMap((nodeId) => holders.get(nodeId) ?? []);
      const source = new PeerSource(blob, addresses, { ...this.#parts, faults: this.#faults });
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
    this.#faults.note(culprit, "corrupt", { digest, reason: "the bytes have another digest" });
    this.#parts.reportCorrupt(digest, culprit);
  }
}

/** One blob from some of its holders. */
class PeerSource implements BlobSource {
  readonly limits: TransferLimits;
  readonly #blob: { readonly digest: Digest; readonly blobBytes: number };
  readonly #holders: readonly PeerAddress[];
  readonly #parts: PeerBlobsParts & { readonly faults: Faults };
  /** Ranges being read from each. */
  readonly #busy = new Map<NodeId, number>();
  /** Holders that failed and are not asked until all have. */
  readonly #failed = new Set<NodeId>();
  readonly #senders = new Set<NodeId>();
  /** Holders that did something else than they were asked for. */
  readonly #faulted = new Set<NodeId>();
  #receivedBytes = 0;

  constructor(
    blob: { readonly digest: Digest; readonly blobBytes: number },
    holders: readonly PeerAddress[],
    parts: PeerBlobsParts & { readonly faults: Faults },
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
    const [senders, faulted] = [[...this.#senders].sort(), [...this.#faulted]];
    return { kind: "corrupt", senders, isWhole, faulted };
  }

  /** Each read is answered with what the holder has, so there is nothing to ask before. */
  async check(): Promise<void> {}

  async *read(range: BlobRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const holder = this.#choose();
    this.#busy.set(holder.nodeId, (this.#busy.get(holder.nodeId) ?? 0) + 1);
    let isDone = false;
    let hasBegun = false;
    try {
      for await (const bytes of this.#readFrom(holder, range, signal)) {
        hasBegun = true;
        this.#senders.add(holder.nodeId);
        this.#receivedBytes += bytes.length;
        this.#parts.metrics.increment("odist_blob_bytes_received_total", {}, bytes.length);
        yield bytes;
      }
      isDone = true;
    } catch (cause) {
      // Whoever stopped reading for another reason has nothing against this holder.
      const isStalled = signal.aborted && signal.reason instanceof StalledError;
      const error = isStalled ? signal.reason : cause;
      const fault = signal.aborted && !isStalled
        ? undefined
        : this.#faultOf(error, { peer: holder.nodeId, hasBegun });
      const about = { digest: this.#blob.digest, reason: errorMessage(error) };
      if (fault !== undefined) {
        this.#faulted.add(holder.nodeId);
        this.#parts.faults.note(holder.nodeId, fault, about);
      }
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

  /** What a holder is to blame for; undefined where it may be anything else, such as its death. */
  #faultOf(
    error: unknown,
    of: { readonly peer: NodeId; readonly hasBegun: boolean },
  ): BlobFault | undefined {
    if (error instanceof StalledError) return "stalled";
    if (error instanceof SlowError) return "slow";
    if (error instanceof PeerError) return "malformed";
    if (error instanceof UnavailableError) return of.hasBegun ? "cut" : undefined;
    const isAbsent = error instanceof RequestError && error.code === "blob_not_found";
    return isAbsent && this.#parts.saysToHold(this.#blob.digest, of.peer) ? "absent" : undefined;
  }

  /** Somebody else may have it and has not failed. */
  #hasOthers(nodeId: NodeId): boolean {
    return this.#holders.some((other) =>
      other.nodeId !== nodeId && !this.#failed.has(other.nodeId)
    );
  }

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
    let hasEnded = false;
    try {
      signal.throwIfAborted();
      const found = await readBlobAnswer(stream);
      if (found !== blobBytes) throw nonsense(`the blob has ${found} bytes, not ${blobBytes}`);
      const pace = new Pace(this.#parts.clock);
      // What the reader is done with is the memory for the next frame.
      let spare: ArrayBuffer | undefined;
      const next = () => pace.time(stream.read(spare));
      for (let bytes = await next(); bytes !== undefined; bytes = await next()) {
        left -= bytes.length;
        if (bytes.length === 0 || left < 0) throw nonsense("more bytes than were asked for");
        if (pace.isSlow(bytes.length) && this.#hasOthers(holder.nodeId)) throw new SlowError();
        yield bytes;
        spare = bytes.buffer instanceof ArrayBuffer ? bytes.buffer : undefined;
      }
      if (left > 0) throw nonsense(`the stream ended ${left} bytes early`);
      await stream.end();
      hasEnded = true;
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (!hasEnded) stream.reset();
    }
  }
}

/** Too few bytes in too long a time: whoever drips them holds a transfer up for as long as it likes. */
class SlowError extends PeerError {
  constructor() {
    super("malformed_frame", `less than ${SLOW_BYTES} bytes in ${SLOW_MS} ms`);
  }
}

/** How fast bytes come, by the time that is spent waiting for them: what is done with them may take longer. */
class Pace {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #waitedMs = 0;
  #bytes = 0;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  async time<T>(coming: Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonicMs();
    const come = await coming;
    this.#waitedMs += this.#clock.monotonicMs() - startedMs;
    return come;
  }

  isSlow(bytes: number): boolean {
    this.#bytes += bytes;
    if (this.#waitedMs < SLOW_MS) return false;
    const isSlow = this.#bytes < SLOW_BYTES;
    this.#waitedMs = 0;
    this.#bytes = 0;
    return isSlow;
  }
}

/** Size of the blob over there. @throws the peer's refusal; PeerError `malformed_frame`. */
export async function readBlobAnswer(stream: PeerStream): Promise<number> {
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
