/** What is read off a queue's world that has run. */
import type { QueueWorld } from "./queue_world.ts";

/** Slot time of answers that were whole in time, and while requests came, by tenant. */
export function goodMs(world: QueueWorld, untilMs: number): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { outcome, tenant, slotMs, endedMs = Infinity } of world.asked) {
    if (outcome !== "whole" || endedMs > untilMs) continue;
    sums.set(tenant, (sums.get(tenant) ?? 0) + slotMs);
  }
  return sums;
}

/** 1 = all alike, 1 / n = one has it all. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return sum * sum / (shares.length * squares);
}

/** How far what was told of waits was off, as a part of the wait, rising; of those that waited so long at least. */
export function etaErrors(
  world: QueueWorld,
  of: { readonly waitedMs: number; readonly sinceMs: number },
): readonly number[] {
  return world.asked.flatMap(({ etaMs, startedMs, atMs, retries }) => {
    if (etaMs === undefined || startedMs === undefined || retries > 0) return [];
    const waited = startedMs - atMs;
    if (waited < of.waitedMs || atMs < of.sinceMs) return [];
    return [Math.abs(etaMs - waited) / waited];
  }).sort((a, b) => a - b);
}

export function quantile(rising: readonly number[], share: number): number {
  return rising[Math.min(rising.length - 1, Math.floor(share * rising.length))] ?? NaN;
}
