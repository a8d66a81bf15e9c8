/** A float as activations are sent. */
const FLOAT_BYTES = 4;
/** The attention mask with flash attention, per cell of the cache. */
const MASK_CELL_BYTES = 2;
/** The cache that a step looks at grows by so many cells. */
const CELLS_STEP = 256;
/** Command, length, description of a tensor and offset, before the tensor's bytes. */
const SET_TENSOR_HEAD_BYTES = 1 + 8 + 296 + 8;
/** Activations, positions, mask, places of keys and of values, rows of the output. */
const SET_TENSORS = 6;

/**
 * Bytes that llama.cpp's own protocol sends for one token between the leader and one worker, the output layer being the
 * leader's: activations there and back, and the small tensors of a step. Computed for SmolLM2: 4.7 KB up, 2.3 KB
 * down; so much was counted. `cachedTokens` = tokens before this one.
 */
export function linkBytesPerToken(
  step: { readonly embeddingLength: number; readonly cachedTokens: number },
): { readonly upBytes: number; readonly downBytes: number } {
  const downBytes = FLOAT_BYTES * step.embeddingLength;
  const cells = Math.ceil((step.cachedTokens + 1) / CELLS_STEP) * CELLS_STEP;
  const upBytes = downBytes + MASK_CELL_BYTES * cells + SET_TENSORS * SET_TENSOR_HEAD_BYTES;
  return { upBytes, downBytes };
}
