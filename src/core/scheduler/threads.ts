/**
 * Threads for a new runner when `runners` (itself included) share `cores`.
 *
 * llama.cpp's threads meet at spinning barriers: on two cores with another busy process two threads gave 1.2 tokens/s
 * where one gave 71 to 95. So one core is left to the node and the rest is divided, never below one.
 */
export function planThreads(share: { readonly cores: number; readonly runners: number }): number {
  const forRunners = Math.max(1, share.cores - 1);
  return Math.max(1, Math.floor(forRunners / Math.max(1, share.runners)));
}
