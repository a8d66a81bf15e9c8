import { assert } from "../../base/mod.ts";
import type { PromptPart } from "../images/mod.ts";
import { addressOf, BATCH } from "../llama/mod.ts";
import type { RunnerModel } from "./model.ts";
import type { Slot } from "./slot.ts";

/** A slot whose next positions are those of an image, which is encoded. */
export interface ReadyImage {
  readonly slot: Slot;
  readonly part: PromptPart;
}

/**
 * The first image that can be decoded now. What has to be encoded before is begun, beside the batches of others; `onReady` is
 * called when it is there.
 */
export function readyImage(
  slots: readonly Slot[],
  onReady: () => void,
): ReadyImage | undefined {
  let ready: ReadyImage | undefined;
  for (const slot of slots) {
    const part = slot.pendingImage;
    if (part === undefined) continue;
    if (part.embeddings === undefined) part.encode(onReady);
    else ready ??= { slot, part };
  }
  return ready;
}

/**
 * Puts an image into the window of its slot, in batches of its own: one holds either tokens or embeddings.
 *
 * @returns Where in the last batch an output is; undefined when something follows the image.
 * @throws Error when llama.cpp fails.
 */
export async function decodeImage(
  model: RunnerModel,
  { slot, part }: ReadyImage,
): Promise<number | undefined> {
  const { llama, context, projector, batchTokens, embeddingWidth } = model;
  const { embeddings, tokenCount } = part;
  assert(embeddings !== undefined && projector !== undefined, "An image was encoded before");
  const { window, computed } = slot;
  const isWhole = window[computed] === window[computed + tokenCount - 1];
  assert(isWhole, "A window holds whole images", { computed, tokenCount, length: window.length });
  const { isBidirectional } = projector;
  if (isBidirectional) llama.call.llama_set_causal_attn(context, false);
  const positions = part.positions(slot.computed - slot.savedPositions);
  let last = 0;
  for (let at = 0; at < tokenCount; at += batchTokens) {
    const count = Math.min(batchTokens, tokenCount - at);
    const end = slot.computed + count;
    const batch = batchOf(embeddings.subarray(at * embeddingWidth), {
      ...{ count, sequence: slot.index, wantsOutput: end === slot.window.length },
      positions: positions.map((list) => list.subarray(at, at + count)),
    });
    const code = await llama.call.llama_decode_later(context, batch.struct);
    if (code !== 0) throw new Error(`llama_decode of an image failed with code ${code}`);
    if (llama.gpus.length > 0) await llama.call.llama_synchronize_later(context);
    assert(batch.arrays.length > 0, "What a batch points to outlives it");
    slot.computed = end;
    last = count - 1;
  }
  slot.savedPositions += tokenCount - part.positionCount;
  if (isBidirectional) llama.call.llama_set_causal_attn(context, true);
  return slot.pendingTokens === 0 ? last : undefined;
}

/** Its arrays must be held as long as it is used. */
function batchOf(
  embeddings: Float32Array<ArrayBuffer>,
  place: {
    readonly count: number;
    /** Of each token, in one dimension or several. */
    readonly positions: readonly Int32Array[];
    readonly sequence: number;
    readonly wantsOutput: boolean;
  },
): { readonly struct: Uint8Array<ArrayBuffer>; readonly arrays: readonly unknown[] } {
  const { count, wantsOutput } = place;
  const positions = integers(count * place.positions.length);
  place.positions.forEach((list, dimension) => positions.set(list, dimension * count));
  const counts = integers(count).fill(1);
  const sequence = integers(1).fill(place.sequence);
  const sequences = new BigUint64Array(new ArrayBuffer(count * 8)).fill(addressOf(sequence));
  const outputs = new Int8Array(new ArrayBuffer(count));
  if (wantsOutput) outputs[count - 1] = 1;
  const struct = new Uint8Array(new ArrayBuffer(BATCH.size));
  BATCH.set(struct, "count", count);
  BATCH.set(struct, "embeddings", addressOf(embeddings));
  BATCH.set(struct, "positions", addressOf(positions));
  BATCH.set(struct, "sequenceCounts", addressOf(counts));
  BATCH.set(struct, "sequences", addressOf(sequences));
  BATCH.set(struct, "outputs", addressOf(outputs));
  return { struct, arrays: [embeddings, positions, counts, sequence, sequences, outputs] };
}

/** Over a buffer of its own: V8 keeps the elements of small arrays on its heap, where they may move. */
function integers(count: number): Int32Array<ArrayBuffer> {
  return new Int32Array(new ArrayBuffer(count * Int32Array.BYTES_PER_ELEMENT));
}
