/** Bytes of one prefix's cells at most that leave a runner. */
export const CELLS_BYTES_MAX = 512 * 1024 * 1024;
/** Bytes of cells in one frame at most. */
export const CELLS_PART_BYTES = 1024 * 1024;

/** Cells of a prefix that left the runner which computed them. */
export interface CellsHeader {
  /** Of the tokens; 32 hex digits. */
  readonly id: string;
  /** Little-endian integers of 32 bits. */
  readonly tokens: Uint8Array;
  /** By how many their positions are fewer than they. */
  readonly savedPositions: number;
  /** What to compute them took, in milliseconds. */
  readonly computeMs: number;
  /** Of the cells. */
  readonly bytes: number;
  /** Of what they hold for, and all above and below; hex. Nothing else would notice a changed bit. */
  readonly sha256: string;
}
