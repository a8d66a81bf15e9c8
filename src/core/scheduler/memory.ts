/** What the size of a loaded model depends on. */
export interface MemoryShape {
  /** Bytes of the weights file and its adapters. */
  readonly weightsBytes: number;
  readonly blockCount: number;
  readonly kvHeads: number;
  /** Elements of one key plus one value head. */
  readonly keyValueLength: number;
  readonly contextTokens: number;
  readonly slots: number;
  readonly batchTokens: number;
  readonly vocabularyTokens: number;
  readonly embeddingLength: number;
  readonly kvCacheType: "f16" | "q8_0" | "q4_0";
}

/** Bytes per element of the KV cache, scales of the quantised types included. */
const KV_ELEMENT_BYTES = { f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 } as const;
/** A runner without a model: the runtime and the libraries. Measured 60 to 75 MiB. */
const RUNNER_BYTES = 80 * 1024 * 1024;

/**
 * Estimate of what a runner will take, in bytes: weights, KV cache of all slots, logits and compute buffers, the process
 * itself (contract 4.2's formula, with the buffers it leaves out).
 */
export function estimateMemoryBytes(shape: MemoryShape): number {
  const tokens = shape.contextTokens * shape.slots;
  const kvBytes = tokens * shape.blockCount * shape.kvHeads * shape.keyValueLength *
    KV_ELEMENT_BYTES[shape.kvCacheType];
  const logitsBytes = 4 * shape.vocabularyTokens * Math.min(shape.batchTokens, 512);
  const activationsBytes = 4 * 8 * shape.embeddingLength * Math.min(shape.batchTokens, 512);
  return Math.ceil(shape.weightsBytes + kvBytes + logitsBytes + activationsBytes + RUNNER_BYTES);
}
