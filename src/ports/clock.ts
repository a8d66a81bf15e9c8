/** Time as the shell sees it. The core gets it in events. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. */
  nowMs(): number;
  /** Milliseconds since some fixed point; never goes back, has a fractional part. */
  monotonicMs(): number;
  /** Calls back once after `delayMs` (>= 0) unless cancelled; never keeps the process alive by itself. */
  after(delayMs: number, callback: () => void): { cancel(): void };
}
