import type { Digest } from "../base/mod.ts";

/** Bytes `[offset, offset + length)` of a blob. */
export interface BlobRange {
  readonly offset: number;
  readonly length: number;
}

/** Bounds of one transfer. Bytes, counts and milliseconds. */
export interface TransferLimits {
  /** A blob is cut into 16 parts, each within these bounds (contract 2.5). */
  readonly partBytesMin: number;
  readonly partBytesMax: number;
  /** Parts of one blob on their way at once. */
  readonly partsAtOnceMax: number;
  /** Tries of one part before the transfer fails. */
  readonly triesMax: number;
  /** Without a byte for this long a part begins again, which is no try. */
  readonly stallMs: number;
  /** Such beginnings of one part before they count as failure: a sender may answer and never send. */
  readonly stallsMax: number;
  /** Pause after the first failed try; doubles with each. */
  readonly pauseMs: number;
  /** Redirects followed on the way to a blob's direct address. */
  readonly redirectsMax: number;
  /** Between two progress lines of one blob. */
  readonly progressMs: number;
  /** Bytes of a download that a crash may cost: progress is made durable at least this often. */
  readonly syncBytes: number;
}

/** Where the bytes of one blob are had from. */
export interface BlobSource {
  readonly limits: TransferLimits;
  /** Asked before the first byte is stored. @throws PeerError or UnavailableError when the source can't give the blob. */
  check(signal: AbortSignal): Promise<void>;
  /**
   * The bytes of a range, in order; several ranges are read at once. Each piece is the reader's until it asks for the next
   * one. Ending early or throwing means that the rest must be asked for again.
   */
  read(range: BlobRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** A read failed and will be tried again: what was learnt on the way to it may be outdated. */
  retry(): void;
}

/** The other nodes, as a place to get blobs from. */
export interface BlobPeers {
  /**
   * Hands `download` a source, and another one when it fails, until it has succeeded. What it stored before it failed may
   * be built upon. Says which holders are corrupt where it can.
   *
   * @returns false when no other node is known to hold the blob; `download` was not called then.
   * @throws what the last `download` threw; at once a StorageError other than `corrupt_file`, or the signal's reason.
   */
  bring(
    blob: { readonly digest: Digest; readonly blobBytes: number },
    download: (source: BlobSource) => Promise<void>,
    signal: AbortSignal,
  ): Promise<boolean>;
}
