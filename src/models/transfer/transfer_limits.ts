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
  /** Such beginnings of one part before they count as failure: a registry may answer and never send. */
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

/** The contract's figures where it has some. */
export const TRANSFER_LIMITS: TransferLimits = {
  partBytesMin: 100_000_000,
  partBytesMax: 1_000_000_000,
  partsAtOnceMax: 16,
  triesMax: 6,
  stallMs: 30_000,
  stallsMax: 20,
  pauseMs: 1_000,
  redirectsMax: 10,
  progressMs: 60,
  syncBytes: 64 * 1024 * 1024,
};

/** Parts a blob is cut into. */
const PARTS = 16;

/** Bytes of each part but the last (contract 2.5). */
export function partBytesOf(blobBytes: number, limits: TransferLimits): number {
  const even = Math.ceil(blobBytes / PARTS);
  return Math.max(1, Math.min(limits.partBytesMax, Math.max(limits.partBytesMin, even)));
}
