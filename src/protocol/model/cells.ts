/** Bytes of one prefix's cells at most that leave a runner. */
export const CELLS_BYTES_MAX = 512 * 1024 * 1024;
/** Bytes of cells in one frame at most. */
export const CELLS_PART_BYTES = 1024 * 1024;

/** Bytes of the names of a prompt's blocks at most that are sought. */
export const CELLS_BLOCKS_BYTES_MAX = 128 * 1024;
/** Nodes at most that a request names as keepers of cells. */
export const CELLS_KEEPERS_MAX = 2;

/** Cells that would save a prompt from being computed. */
export interface CellsWish {
  /** Names of the prompt's beginnings, as `core/kv_cache` makes them. */
  readonly blocks: Uint8Array;
  /** What is here already: fewer tokens save nothing. */
  readonly readyTokens: number;
}

/** Of a header's bytes; at most so many. */
export function cellsTokens(
  { tokens: bytes }: Pick<CellsHeader, "tokens">,
  tokensMax = Infinity,
): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tokens = new Int32Array(Math.min(bytes.length >> 2, tokensMax));
  for (let at = 0; at < tokens.length; at++) tokens[at] = view.getInt32(at * 4, true);
  return tokens;
}

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
