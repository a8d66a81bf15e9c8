/**
 * What is asked of a loaded model and what it answers, in a runner or on another node; and how a runner is started. Pure
 * types. Start reading in `sequence.ts`.
 *
 * @module
 */
export {
  CELLS_BLOCKS_BYTES_MAX,
  CELLS_BYTES_MAX,
  CELLS_KEEPERS_MAX,
  CELLS_PART_BYTES,
  type CellsHeader,
  cellsTokens,
  type CellsWish,
} from "./cells.ts";
export {
  DRAFT_COSTS_MAX,
  type Exactness,
  type ExactPolicy,
  type ExactProof,
  type ExactWish,
  UNPROVEN_REASON,
} from "./exactness.ts";
export { type ImageHeader, IMAGES_PIXELS_MAX, readImageHeader } from "./image_header.ts";
export {
  IMAGE_PARTS_MAX,
  IMAGE_TOKEN_MIN,
  IMAGE_TOKENS_ESTIMATED,
  IMAGES_BYTES_MAX,
  IMAGES_MAX,
  imageToken,
  isImageToken,
  splitAtImages,
} from "./image_tokens.ts";
export type { AnswerEntry, AnswerKey, AnswerOpening, JournalHead } from "./answer_journal.ts";
export {
  type CellsCommand,
  type CellsReply,
  type LoadedFacts,
  type LoadSettings,
  type ModelCommand,
  type ModelReply,
  RUNNER_FRAME_BYTES_MAX,
  RUNNER_PROTOCOL_VERSION,
  type RunnerCommand,
  type RunnerReply,
  type ShardSettings,
  type WorkerSettings,
} from "./runner.ts";
export {
  type AnswerToken,
  type DraftUse,
  type FinishReason,
  PREFIX_ENDS,
  PREFIX_SOURCES,
  type PrefixUse,
  type Prompt,
  type SamplerSettings,
  type SequenceEvent,
  type SequenceRequest,
  type TokenLogprob,
} from "./sequence.ts";
export { vectorFromBytes, vectorToBytes } from "./vector_bytes.ts";
