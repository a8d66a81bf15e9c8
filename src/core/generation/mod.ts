/**
 * Turns a stream of tokens into what the reader sees, and keeps the journal that lets another runner continue it. Never
 * knows which runner the tokens come from, nor what is done with the pieces. Start with `answer_stream.ts`, which says how a
 * model writes, too; the other files are its stages, in order: bytes to text, stop strings, thinking or headers.
 *
 * @module
 */
export {
  type AnswerEnd,
  type AnswerEvent,
  type AnswerFormat,
  type AnswerJournal,
  type AnswerPiece,
  AnswerStream,
  type AnswerStreamOptions,
  literalsOf,
} from "./answer_stream.ts";
export type { ThinkingPiece, ThinkingTags } from "./thinking_parser.ts";
export type {
  ArgumentText,
  CallableTool,
  CallFormat,
  CallsText,
  CallSyntax,
  CallText,
} from "../tool_calls/mod.ts";
