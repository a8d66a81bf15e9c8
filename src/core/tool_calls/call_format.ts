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
   * `names`: the tool's name, or nothing; `addressees`: `to=self`, `to=user`, `to=name`, or nothing, and calls are found in
   * what is said.
   */
  readonly headers: "channels" | "recipients" | "names" | "addressees";
}

/** A tool as far as calls of it are read. */
export interface CallableTool {
  readonly name: string;
  /** JSON Schema of the arguments: says which arguments are text though they look like a number. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Quotation marks of the braces syntax. */
export const STRING_MARKS = ['<|"|>', "<escape>"];

/** How a family writes one call, piece by piece: its prompts show earlier calls so, and an answer held to a call is one. */
export interface CallText {
  /** Before the name. */
  readonly before: string;
  /** As it is; in quotation marks; or as `functions.name:0`, the id of the call. */
  readonly name: "bare" | "json" | "id";
  /** Between the name and the same name once more; absent = it stands once. */
  readonly again?: string;
  /** Between the name and the arguments. */
  readonly between: string;
  /** One JSON object, or each by itself. */
  readonly arguments: "json" | ArgumentText;
  /** Between the arguments and the call's id in quotation marks; absent = no id is written. */
  readonly idAfter?: string;
  readonly after: string;
}

/** How one argument is written. */
export interface ArgumentText {
  readonly before: string;
  /** Between key and value. */
  readonly between: string;
  readonly after: string;
  /** Between two arguments. */
  readonly separator: string;
  /** Around values that are texts; "" = nothing. `json`: as all other values are. */
  readonly mark: "json" | string;
}

/** What a whole list of calls is written between. */
export interface CallsText {
  readonly before: string;
  readonly call: CallText;
  readonly after: string;
  /** Around thinking, where it is a part of its own before the calls. */
  readonly thinking?: readonly [before: string, after: string];
}
