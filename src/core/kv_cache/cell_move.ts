/** What is known of cells that another node has. Undefined = nobody measured it. */
export interface CellMove {
  /** That would have to come. */
  readonly bytes: number;
  /** That came from there, each millisecond. */
  readonly bytesPerMs: number | undefined;
  /** That need not be computed then. */
  readonly savedTokens: number;
  /** What to compute one takes here. */
  readonly msPerToken: number | undefined;
}

/** How long to compute what a move saves would take; undefined = not known. Milliseconds. */
export function computeMsOf(
  move: Pick<CellMove, "savedTokens" | "msPerToken">,
): number | undefined {
  return product(move.savedTokens, move.msPerToken);
}

/** Whether cells come sooner than they are computed. What is as long, or was not measured, is not moved. */
export function paysToMove(move: CellMove): boolean {
  const { bytes, bytesPerMs } = move;
  const computeMs = computeMsOf(move);
  if (computeMs === undefined || bytesPerMs === undefined || !(bytesPerMs > 0)) return false;
  return bytes / bytesPerMs < computeMs;
}

function product(count: number, each: number | undefined): number | undefined {
  return each === undefined || !Number.isFinite(each) ? undefined : count * each;
}
