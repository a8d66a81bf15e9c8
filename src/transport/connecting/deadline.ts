import type { Clock } from "../../ports/mod.ts";

/**
 * `work`, unless it takes longer than `limitMs`: then rejects with what `late` makes. The work itself goes on; what it
 * still yields goes to `discard`, and what it throws is of no interest any more.
 */
export async function withDeadline<T>(
  work: Promise<T>,
  options: {
    readonly clock: Clock;
    readonly limitMs: number;
    readonly late: () => Error;
    readonly discard?: (value: T) => void;
  },
): Promise<T> {
  let isLate = false;
  const gate = Promise.withResolvers<never>();
  const timer = options.clock.after(options.limitMs, () => {
    isLate = true;
    gate.reject(options.late());
  });
  work.then((value) => {
    if (isLate) options.discard?.(value);
  }, () => {});
  try {
    return await Promise.race([work, gate.promise]);
  } finally {
    timer.cancel();
  }
}
