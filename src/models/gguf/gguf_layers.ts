import { ggufError } from "./gguf_cursor.ts";
import { ggufFacts } from "./gguf_facts.ts";
import type { Gguf, GgufTensor, GgufValue } from "./read_gguf.ts";

/** A model's tensors as a split over several memories sees them. All in bytes. */
export interface GgufLayers {
  /** By block; `activeBytes` are read for one token: of experts only those that a token asks. */
  readonly layers: readonly { readonly weightsBytes: number; readonly activeBytes: number }[];
  /** Token embeddings. */
  readonly inputBytes: number;
  /** Everything else outside the blocks. */
  readonly outputBytes: number;
  /** Whether the token embeddings are the output matrix, too. */
  readonly isOutputTied: boolean;
}

const BLOCK_TENSOR = /^blk\.(\d{1,6})\./;
const INPUT_TENSOR = "token_embd.weight";
const OUTPUT_TENSOR = "output.weight";
/** All experts of a block in one tensor. */
const EXPERTS_TENSOR = /_exps\./;

/**
 * Sums tensors up by block.
 *
 * @throws RequestError `invalid_gguf` where a block has no tensor, or a tensor no block.
 */
export function ggufLayers(gguf: Gguf): GgufLayers {
  const { blockCount, architecture } = ggufFacts(gguf);
  // Before so many are made: a damaged count may be billions.
  if (blockCount < 1 || blockCount > gguf.tensors.length) {
    throw ggufError(`it has ${blockCount} blocks and ${gguf.tensors.length} tensors`, 0);
  }
  const layers = Array.from({ length: blockCount }, () => ({ weightsBytes: 0, activeBytes: 0 }));
  const share = expertShare(gguf.metadata, architecture);
  const outside = gguf.tensors.filter((tensor) => {
    const block = BLOCK_TENSOR.exec(tensor.name)?.[1];
    if (block === undefined) return true;
    const layer = layers[Number(block)];
    if (layer === undefined) {
      throw ggufError(`tensor "${tensor.name}" is of none of its ${blockCount} blocks`, 0);
    }
    layer.weightsBytes += tensor.tensorBytes;
    layer.activeBytes += tensor.tensorBytes * (EXPERTS_TENSOR.test(tensor.name) ? share : 1);
    return false;
  });
  const empty = layers.findIndex(({ weightsBytes }) => weightsBytes === 0);
  if (empty >= 0) throw ggufError(`block ${empty} of ${blockCount} has no tensors`, 0);
  const inputs = outside.filter(({ name }) => name === INPUT_TENSOR);
  return {
    layers,
    inputBytes: sumOf(inputs),
    outputBytes: sumOf(outside) - sumOf(inputs),
    isOutputTied: !outside.some(({ name }) => name === OUTPUT_TENSOR),
  };
}

/** Which part of a block's experts a token asks; 1 where the file doesn't say. */
function expertShare(metadata: ReadonlyMap<string, GgufValue>, architecture: string): number {
  const used = metadata.get(`${architecture}.expert_used_count`);
  const all = metadata.get(`${architecture}.expert_count`);
  if (typeof used !== "number" || typeof all !== "number") return 1;
  return used > 0 && used < all ? used / all : 1;
}

function sumOf(tensors: readonly GgufTensor[]): number {
  return tensors.reduce((sum, { tensorBytes }) => sum + tensorBytes, 0);
}
