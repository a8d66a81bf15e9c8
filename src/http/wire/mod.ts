/**
 * How requests become typed values and answers become bytes, the same for every API family: bodies, fields, options,
 * times, error sorting and streams. Knows no endpoint and no error body. Start with `fields.ts` and `stream.ts`.
 *
 * @module
 */
export {
  describeFailure,
  type Failure,
  jsonAnswer,
  PLAIN_JSON_CONTENT_TYPE,
  plainJsonAnswer,
  shardShape,
  textAnswer,
  unroutedAnswer,
  wireFields,
  withRetry,
} from "./answers.ts";
export { type BodyRules, parseFirstJson, readJsonBody } from "./body.ts";
export { type Defined, defined, Fields, isObject } from "./fields.ts";
export {
  LINES_HEADER,
  MESSAGES_MAX,
  parseBase64,
  parseEmbedTexts,
  parseFormat,
  parseImages,
  parseKeepAlive,
  parseMessages,
  parseOptions,
  parseThink,
  parseTools,
  parseTopLogprobs,
  readLinesWish,
  TOOL_CALLS_MAX,
} from "./inference_fields.ts";
export { InlineMedia } from "./inline_media.ts";
export { JsonScan } from "./json_scan.ts";
export { withLinkedImages } from "./linked_images.ts";
export { type LongAnswer, longJsonAnswer } from "./long_answer.ts";
export { LiveAnswer, type LiveAnswerParts } from "./live_answer.ts";
export { joinParts, parseImageUrl } from "./said_parts.ts";
export {
  type AnswerParts,
  bytesAnswer,
  earlyAnswer,
  streamAnswer,
  type StreamEncoder,
  type StreamWatcher,
  takeParts,
} from "./stream.ts";
export { DURATION_MS_MAX, localTime, utcTime } from "./time.ts";
