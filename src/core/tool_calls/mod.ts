/**
 * Finds tool calls in an answer, in whatever way its model writes them. Start with `call_chain.ts`, then the two parsers of
 * one way each; `read_calls.ts` reads what stands between two tags, `segment_parser.ts` answers in parts behind headers.
 *
 * @module
 */
export {
  type ArgumentText,
  type CallableTool,
  type CallFormat,
  type CallsText,
  type CallSyntax,
  type CallText,
  type SegmentFormat,
  STRING_MARKS,
} from "./call_format.ts";
export { CallChain } from "./call_chain.ts";
export type { CallPiece } from "./call_source.ts";
export type { WrittenCall } from "./read_tool_call.ts";
export { SegmentParser, type SegmentPiece } from "./segment_parser.ts";
export { partialMatchLength } from "./text_search.ts";
export { isTextArgument } from "./typed_argument.ts";
