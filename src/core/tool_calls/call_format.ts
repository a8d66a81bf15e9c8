/**
 * How a call is written between its tags.
 *
 * - `json`: an object, or a list of them, with the name in it or before it.
 * - `xml`: `<function=name><parameter=key>text</parameter></function>`, or the same with `name="…"` attributes.
 * - `pairs`: the name, then `<arg_key>key</arg_key><arg_value>text</arg_value>` for each argument.
 * - `python`: `name(key=value)`, one or a list of them.
 * - `braces`: `call:name{key:value}`.
 */
export type CallSyntax = "json" | "xml" | "pairs" | "python" | "braces";

/** One way in which a model writes calls. */
export interface CallFormat {
  /** What a call begins with, literally; "" = an answer that begins with the call itself. */
  readonly open: string;
  /** What it ends with, literally; "" = where its text is complete. */
  readonly close: string;
  /** Tried in this order on what stands between the two. Never empty. */
  readonly syntaxes: readonly CallSyntax[];
}

/** Answers in parts, each behind a header that says whom it is for. */
export interface SegmentFormat {
  /** The prompt ends where a header begins. */
  readonly startsInHeader: boolean;
  /** What another header begins with. */
  readonly opens: readonly string[];
  /** What ends a header. */
  readonly headerEnd: string;
  /** What ends a part. */
  readonly ends: readonly string[];
  /**
   * `channels`: `<|channel|>analysis`, `to=functions.name`; `recipients`: the tool's name, or `all`;
   * `names`: the tool's name, or nothing.
   */
  readonly headers: "channels" | "recipients" | "names";
}

/** A tool as far as calls of it are read. */
export interface CallableTool {
  readonly name: string;
  /** JSON Schema of the arguments: says which arguments are text though they look like a number. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Quotation marks of the braces syntax. */
export const STRING_MARKS = ['<|"|>', "<escape>"];
