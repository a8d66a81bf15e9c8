import type { FramePipe } from "../../src/transport/mod.ts";

/** One end of a pipe in memory; what the other end writes comes in order. */
export class MemoryPipe implements FramePipe {
  readonly #arrived: Uint8Array<ArrayBuffer>[] = [];
  readonly #readers: ((frame: Uint8Array<ArrayBuffer> | undefined) => void)[] = [];
  #other: MemoryPipe | undefined;
  #ended = false;

  /** Both ends. */
  static pair(): { readonly left: MemoryPipe; readonly right: MemoryPipe } {
    const left = new MemoryPipe();
    const right = new MemoryPipe();
    left.#other = right;
    right.#other = left;
    return { left, right };
  }

  /** Frames this end was sent and has not read, oldest first. */
  get unread(): readonly Uint8Array<ArrayBuffer>[] {
    return this.#arrived;
  }

  async write(frame: Uint8Array): Promise<void> {
    this.#other?.arrive(Uint8Array.from(frame));
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const frame = this.#arrived.shift();
    if (frame !== undefined || this.#ended) return frame;
    return await new Promise((resolve) => this.#readers.push(resolve));
  }

  /** The other end reads undefined behind what was written. */
  end(): void {
    this.#other?.arriveEnd();
  }

  private arrive(frame: Uint8Array<ArrayBuffer>): void {
    const reader = this.#readers.shift();
    if (reader === undefined) this.#arrived.push(frame);
    else reader(frame);
  }

  private arriveEnd(): void {
    this.#ended = true;
    for (const reader of this.#readers.splice(0)) reader(undefined);
  }
}

/** Hands frames from one end to the other until it ends; `change` may replace each. For what sits between two peers. */
export async function forwardFrames(
  from: FramePipe,
  to: FramePipe,
  change: (frame: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> = (frame) => frame,
): Promise<void> {
  for (let frame = await from.read(); frame !== undefined; frame = await from.read()) {
    await to.write(change(frame));
  }
}
