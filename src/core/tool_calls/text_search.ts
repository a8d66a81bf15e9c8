/**
 * Length of the longest end of `text` that is the beginning of `wanted`, but not all of it: what must be held back because
 * the next chunk may complete it.
 */
export function partialMatchLength(text: string, wanted: string): number {
  const longest = Math.min(text.length, wanted.length - 1);
  for (let length = longest; length > 0; length--) {
    if (wanted.startsWith(text.slice(text.length - length))) return length;
  }
  return 0;
}
