/** The candidate a typing mistake most likely meant, or undefined when none is close. Ties go to the earlier one. */
export function findNearest(text: string, candidates: readonly string[]): string | undefined {
  let nearest: string | undefined;
  // A third of the letters may differ: beyond that a suggestion confuses more than it helps. One of them must be right.
  let best = Math.min(text.length - 1, Math.max(1, Math.floor(text.length / 3))) + 1;
  for (const candidate of candidates) {
    const distance = candidate.startsWith(text) && text.length >= 3
      ? 1
      : editDistance(text, candidate);
    if (distance < best) [nearest, best] = [candidate, distance];
  }
  return nearest;
}

/** Insertions, deletions, replacements and swaps of neighbours between two short texts. */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      let cost = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, replaced);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (isSwap) cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      current.push(cost);
    }
    [before, previous] = [previous, current];
  }
  return previous[to.length] ?? 0;
}
