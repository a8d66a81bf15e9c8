/** What waiting needs of a clock. */
interface Timers {
  after(delayMs: number, callback: () => void): { cancel(): void };
}

/** Resolves after `delayMs`, or rejects with the signal's reason before that. */
export function pause(clock: Timers, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
}
