/**
 * The shapes processes send each other, their versions and limits. Pure types and pure codecs; no transport.
 *
 * @module
 */
export type { ChatMessage, ThinkLevel, Tool, ToolCall } from "./chat.ts";
export {
  type LoadedFacts,
  type LoadSettings,
  RUNNER_FRAME_BYTES_MAX,
  RUNNER_PROTOCOL_VERSION,
  type RunnerCommand,
  type RunnerReply,
} from "./runner.ts";
export type {
  AnswerToken,
  FinishReason,
  Prompt,
  SamplerSettings,
  SequenceEvent,
  SequenceRequest,
  TokenLogprob,
} from "./sequence.ts";
export {
  type BlobLayer,
  encodeManifest,
  type Manifest,
  MANIFEST_BYTES_MAX,
  MANIFEST_MEDIA_TYPE,
  parseManifest,
} from "./manifest.ts";
export {
  displayModelName,
  formatModelName,
  isModelName,
  isSameModelName,
  type ModelName,
  parseModelName,
} from "./model_name.ts";
