import type { TransferLimits } from "../../ports/mod.ts";

/** For registries: the contract's figures where it has some. */
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
