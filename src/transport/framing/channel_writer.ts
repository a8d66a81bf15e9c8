import { encodeStreamHeader, type FrameChannel } from "../../protocol/mod.ts";
import type { FrameQueue } from "./frame_queue.ts";

/** What a writer needs of its connection. */
export interface ChannelWriterParts {
  readonly channel: FrameChannel;
  /** Outlives the connection: what it still holds then is its owner's affair. */
  readonly queue: FrameQueue;
  readonly open: () => Promise<WritableStream<Uint8Array>>;
  /** The connection is of no use any more; this many frames were taken from the queue and did not get through. */
  readonly onLost: (frames: number, error: unknown) => void;
}

/** Writes one channel's queue to its stream: one write at a time, each with everything that waits. */
export class ChannelWriter {
  readonly #parts: ChannelWriterParts;
  #sink: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #busy = false;

  constructor(parts: ChannelWriterParts) {
    this.#parts = parts;
  }

  /** Something was queued. What else is queued before the running code comes to an end goes out in the same write. */
  wake(): void {
    if (this.#busy) return;
    this.#busy = true;
    queueMicrotask(() => void this.#writeAll());
  }

  async #writeAll(): Promise<void> {
    const { queue, channel, onLost } = this.#parts;
    let frames = 0;
    try {
      if (this.#sink === undefined) {
        this.#sink = (await this.#parts.open()).getWriter();
        await this.#sink.write(encodeStreamHeader(channel));
      }
      let spare: Uint8Array<ArrayBuffer> | undefined;
      for (;;) {
        const batch = queue.takeAll(spare);
        if (batch === undefined) break;
        frames = batch.frames;
        await this.#sink.write(batch.bytes);
        spare = batch.bytes;
        frames = 0;
      }
      this.#busy = false;
    } catch (error) {
      // Stays busy: this stream is gone, and the connection ends with it.
      onLost(frames, error);
    }
  }
}
