import type { WrittenCall } from "./read_tool_call.ts";

/** Characters of one call at most, tag included; beyond it the text is released as content. */
export const TOOL_CALL_CHARS_MAX = 256 * 1024;

/** Content or a complete call, in the order of the text. `text` is never empty. */
export type CallPiece =
  | { readonly kind: "content"; readonly text: string }
  | { readonly kind: "tool_call"; readonly call: WrittenCall };

/** Finds calls in a text that grows. */
export interface CallSource {
  push(text: string): readonly CallPiece[];
  /** Releases what was held back: calls, if it is complete but for its end, else content. */
  flush(): readonly CallPiece[];
}
