/**
 * When a slot is free for one before whom so much is served. Milliseconds from now.
 *
 * @param remainingMs What each slot is still held; its length is the number of slots.
 * @param aheadMs Slot time of all that comes before, shared by the slots as they come free.
 */
export function waitMs(remainingMs: readonly number[], aheadMs: number): number {
  const rising = [...remainingMs].sort((a, b) => a - b);
  let left = aheadMs;
  let nowMs = rising[0] ?? 0;
  for (let free = 1; free < rising.length; free++) {
    const nextMs = rising[free] ?? nowMs;
    const roomMs = (nextMs - nowMs) * free;
    if (left <= roomMs) return nowMs + left / free;
    left -= roomMs;
    nowMs = nextMs;
  }
  return nowMs + left / Math.max(1, rising.length);
}
