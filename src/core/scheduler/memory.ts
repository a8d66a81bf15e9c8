/** What the size of a loaded model depends on. */
export interface MemoryShape {
  /** Bytes of the weights file and its adapters. */
  readonly weightsBytes: number;
  /** Bytes of the file that turns images into embeddings; default 0. */
  readonly projectorBytes?: number;
  readonly blockCount: number;
  readonly kvHeads: number;
  /** Elements of one key plus one value head. */
  readonly keyValueLength: number;
  readonly contextTokens: number;
  readonly slots: number;
  readonly batchTokens: number;
  /** Whether a batch is computed whole, as embedding models do, which see a text from both ends. */
  readonly isBatchWhole: boolean;
  readonly vocabularyTokens: number;
  readonly embeddingLength: number;
  readonly kvCacheType: "f16" | "q8_0" | "q4_0";
}

/** Bytes per element of the KV cache, scales of the quantised types included. */
const KV_ELEMENT_BYTES = { f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 } as const;
/** Who sees whom in one batch, as 32-bit and again as 16-bit floats. */
const MASK_ELEMENT_BYTES = 6;
/** A projector beside its weights has buffers for its largest image, of which its size tells nothing: thought as large again. */
const PROJECTOR_FACTOR = 2;
/** A runner without a model: the runtime and the libraries. Measured 60 to 75 MiB. */
const RUNNER_BYTES = 80 * 1024 * 1024;

/** What a runner's memory is made of, in bytes, not rounded. */
export interface MemoryParts {
  readonly weightsBytes: number;
  /** Of all slots and all blocks. */
  readonly kvBytes: number;
  /** Where the output layer is computed. */
  readonly logitsBytes: number;
  /** Where any block is computed: between its steps, and who sees whom. */
  readonly computeBytes: number;
  readonly processBytes: number;
  /** In one place, with its buffers. */
  readonly projectorBytes: number;
}

/** Bytes of one token's cells, of all blocks. */
export function kvTokenBytes(
  shape: Pick<MemoryShape, "blockCount" | "kvHeads" | "keyValueLength" | "kvCacheType">,
): number {
  const elements = shape.blockCount * shape.kvHeads * shape.keyValueLength;
  return elements * KV_ELEMENT_BYTES[shape.kvCacheType];
}

/** The parts of {@link estimateMemoryBytes}. */
export function memoryParts(shape: MemoryShape): MemoryParts {
  const kvBytes = shape.contextTokens * shape.slots * kvTokenBytes(shape);
  const stepTokens = Math.min(shape.batchTokens, 512);
  const logitsBytes = 4 * shape.vocabularyTokens * stepTokens;
  const computedTokens = shape.isBatchWhole ? shape.batchTokens : stepTokens;
  const activationsBytes = 4 * 8 * shape.embeddingLength * computedTokens;
  const maskBytes = shape.isBatchWhole ? MASK_ELEMENT_BYTES * shape.batchTokens ** 2 : 0;
  return {
    weightsBytes: shape.weightsBytes,
    kvBytes,
    logitsBytes,
    computeBytes: activationsBytes + maskBytes,
    processBytes: RUNNER_BYTES,
    projectorBytes: PROJECTOR_FACTOR * (shape.projectorBytes ?? 0),
  };
}

/**
 * Estimate of what a runner will take, in bytes: weights, KV cache of all slots, logits and compute buffers, the process
 * itself (contract 4.2's formula, with the buffers it leaves out).
 */
export function estimateMemoryBytes(shape: MemoryShape): number {
  const { weightsBytes, kvBytes, logitsBytes, computeBytes, ...others } = memoryParts(shape);
  const besides = others.processBytes + others.projectorBytes;
  return Math.ceil(weightsBytes + kvBytes + (logitsBytes + computeBytes) + besides);
}
