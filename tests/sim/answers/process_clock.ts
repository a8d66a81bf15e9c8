import type { VirtualTime } from "../raft/virtual_time.ts";

/** A process on virtual time: it can stand still, when nothing it does happens until it wakes, and end, when nothing ever does. */
export class ProcessClock {
  readonly #time: VirtualTime;
  #late: (() => void)[] = [];
  #isStopped = false;
  #isHung = false;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  get isRunning(): boolean {
    return !this.#isStopped && !this.#isHung;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  monotonicMs(): number {
    return this.#time.nowMs;
  }

  after(delayMs: number, run: () => void): { cancel(): void } {
    let isCancelled = false;
    this.#time.after(Math.max(0, delayMs), () =>
      this.whenAwake(() => {
        if (!isCancelled) run();
      }));
    return { cancel: () => isCancelled = true };
  }

  /** Does something in this process: now, when it wakes, or never. */
  whenAwake(run: () => void): void {
    if (this.#isStopped) return;
    if (this.#isHung) this.#late.push(run);
    else run();
  }

  hang(): void {
    this.#isHung = true;
  }

  wake(): void {
    this.#isHung = false;
    const late = this.#late;
    this.#late = [];
    for (const run of late) this.whenAwake(run);
  }

  stop(): void {
    this.#isStopped = true;
    this.#late = [];
  }
}
